//! What the handler of a request or of a connection returns.

use std::error::Error as StdError;
use std::sync::LazyLock;

use crate::error::{Blame, Error};
use crate::server::seldom::Seldom;

/// The output of a handler, such as that of [`ServerHandle::respond`](crate::ServerHandle::respond): `()`,
/// or a `Result<(), E>`, so that `?` can be used. `E` is any error: [`towline::Error`](crate::Error),
/// `anyhow::Error`, `Box<dyn Error + Send + Sync>`, a string.
///
/// An error is logged by `tracing` with the path of the request: at the level DEBUG if it is a
/// [`towline::Error`](crate::Error), or has one as its source, for which the [peer](Blame::Remote) is to
/// blame, and otherwise at WARN. Since clients can cause errors, each level has one line a second at most:
/// the field `left_out` of the next one is the number of errors in between. The connection is closed with
/// 1001, as any that is dropped. To tell the peer, close it with another code before returning the error.
///
/// [`ServerHandle::respond`](crate::ServerHandle::respond) has an example.
pub trait Outcome: sealed::Sealed {}

impl Outcome for () {}

impl<E: Into<BoxError>> Outcome for Result<(), E> {}

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

pub(crate) mod sealed {
    use crate::server::outcome::BoxError;

    pub trait Sealed {
        fn into_error(self) -> Option<BoxError>;
    }

    impl Sealed for () {
        fn into_error(self) -> Option<BoxError> {
            None
        }
    }

    impl<E: Into<BoxError>> Sealed for Result<(), E> {
        fn into_error(self) -> Option<BoxError> {
            self.err().map(Into::into)
        }
    }
}

/// The lines of the log that clients can cause.
#[derive(Default)]
struct Lines {
    ended: Seldom,
    failed: Seldom,
}

static LINES: LazyLock<Lines> = LazyLock::new(Lines::default);

/// Logs the error of a handler.
pub fn log_outcome(outcome: impl Outcome, path: &str) {
    let Some(error) = outcome.into_error() else { return };
    if is_of_the_peer(&*error) {
        if let Some(left_out) = LINES.ended.turn() {
            tracing::debug!(path, %error, left_out = left_out.count(), "WebSocket ended");
        }
    } else if let Some(left_out) = LINES.failed.turn() {
        tracing::warn!(path, %error, left_out = left_out.count(), "WebSocket failed");
    }
}

fn is_of_the_peer(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<Error>() {
            return error.blame() == Blame::Remote;
        }
        next = error.source();
    }
    false
}
