//! Why there is no relay, or no interest.

use std::error::Error as StdError;
use std::fmt;

/// An error of this crate.
///
/// [`NatsRelay::connect`](crate::NatsRelay::connect) returns it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The [prefix](crate::Builder::prefix) makes no NATS subject.
    Prefix(String),
    /// The relay could not connect.
    Connect(async_nats::ConnectError),
    /// The client is closed, or refuses an address or a subject.
    Client(Box<dyn StdError + Send + Sync>),
    /// The broker refuses a subscription to this subject.
    Denied(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(prefix) => write!(
                f,
                "the prefix {prefix:?} makes no NATS subject: it must not have white space, wildcards, \
                 or empty tokens (option prefix)"
            ),
            Self::Connect(_) => f.write_str("cannot connect to NATS"),
            Self::Client(error) => write!(f, "the NATS client failed: {error}"),
            Self::Denied(subject) => {
                write!(f, "NATS refuses a subscription to the subject {subject:?}")
            }
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Connect(error) => Some(error),
            Self::Client(error) => Some(&**error),
            _ => None,
        }
    }
}
