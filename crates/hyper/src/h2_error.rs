//! Says which end reset an HTTP/2 stream or ended an HTTP/2 connection, and with which error code.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use h2::Reason;

/// How much of a peer's debug data is shown, in bytes with escapes.
const DEBUG_DATA: usize = 200;

/// Replaces an error that h2 has caused by one that names the end, what it ended, and the error
/// code of RFC 9113, section 7. Its source is the original error. Other errors are returned as they
/// are.
pub(crate) fn explain(error: io::Error) -> io::Error {
    match find(&error).and_then(read) {
        Some((kind, message)) => {
            io::Error::new(kind, Explained(Arc::new(Parts { message, error })))
        }
        None => error,
    }
}

/// The same for an error that ends the stream. If h2 has not caused it, it is that of the connection.
pub(crate) fn explain_end(error: io::Error) -> io::Error {
    let error = explain(error);
    if copy(&error).is_some() {
        return error;
    }
    let message = format!("the HTTP/2 connection failed: {error}");
    io::Error::new(error.kind(), Explained(Arc::new(Parts { message, error })))
}

/// Returns a copy of an error, if it is [explained](explain).
pub(crate) fn copy(error: &io::Error) -> Option<io::Error> {
    let explained = error.get_ref()?.downcast_ref::<Explained>()?;
    Some(io::Error::new(error.kind(), explained.clone()))
}

/// An error of h2, in words.
#[derive(Debug, Clone)]
struct Explained(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    message: String,
    error: io::Error,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Explained {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0.error)
    }
}

/// Returns the error of h2 among the causes of this one.
fn find(error: &io::Error) -> Option<&h2::Error> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>() {
            // `source` of an `io::Error` skips the error that it wraps.
            Some(io) => io.get_ref().map(|inner| inner as _),
            None => error.source(),
        };
    }
    None
}

fn read(error: &h2::Error) -> Option<(io::ErrorKind, String)> {
    if let Some(io) = error.get_io() {
        return Some((io.kind(), format!("the HTTP/2 connection failed: {io}")));
    }
    let reason = error.reason()?;
    let (kind, end) = match error.is_remote() {
        true => (io::ErrorKind::ConnectionReset, "the peer"),
        false => (io::ErrorKind::ConnectionAborted, "this end"),
    };
    Some(if error.is_go_away() {
        let debug_data = debug_data(error);
        (kind, format!("{end} ended the HTTP/2 connection: {reason:?}{debug_data}"))
    } else if error.is_reset() {
        (kind, format!("{end} reset the HTTP/2 stream: {reason:?}"))
    } else {
        bare(reason)
    })
}

/// hyper's writing side knows the error code alone. A library resets no stream with CANCEL while the
/// program holds it, so CANCEL is from the peer.
fn bare(reason: Reason) -> (io::ErrorKind, String) {
    let what = match reason {
        Reason::CANCEL => "the peer reset the HTTP/2 stream",
        _ => "the HTTP/2 stream was reset, or its connection ended",
    };
    (io::ErrorKind::ConnectionReset, format!("{what}: {reason:?}"))
}

/// The debug data of a GOAWAY frame, which h2 shows in its message only, with escapes.
fn debug_data(error: &h2::Error) -> String {
    let message = error.to_string();
    let data = message.split_once(" (b\"").and_then(|(_, data)| data.strip_suffix("\")"));
    match data {
        Some(data) => format!(" ({})", data.get(..DEBUG_DATA).unwrap_or(data)),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_error_code_is_found_at_any_depth() {
        let wrapped = io::Error::other(io::Error::other(h2::Error::from(Reason::CANCEL)));
        let explained = explain(wrapped);
        assert_eq!(explained.to_string(), "the peer reset the HTTP/2 stream: CANCEL");
        assert_eq!(explained.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(find(&explained).unwrap().reason(), Some(Reason::CANCEL));
        let refused = explain(io::Error::other(h2::Error::from(Reason::REFUSED_STREAM)));
        let expected = "the HTTP/2 stream was reset, or its connection ended: REFUSED_STREAM";
        assert_eq!(refused.to_string(), expected);
    }

    #[test]
    fn other_errors_stay_as_they_are() {
        let error = explain(io::Error::new(io::ErrorKind::TimedOut, "late"));
        assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::TimedOut, "late".into()));
        assert_eq!(explain(io::ErrorKind::BrokenPipe.into()).kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn an_end_without_an_error_of_h2_is_that_of_the_connection() {
        let error = explain_end(io::ErrorKind::ConnectionReset.into());
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(error.to_string(), "the HTTP/2 connection failed: connection reset");
        let reset = explain_end(io::Error::other(h2::Error::from(Reason::CANCEL)));
        assert_eq!(reset.to_string(), "the peer reset the HTTP/2 stream: CANCEL");
    }
}
