//! Why there is no relay, or no interest.

use std::error::Error as StdError;
use std::fmt;

use redis::RedisError;

/// An error of this crate.
///
/// [`RedisRelay::connect`](crate::RedisRelay::connect) returns it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The URL is wrong, or the relay could not connect.
    Connect(RedisError),
    /// The broker refuses a subscription.
    Refused(RedisError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(_) => f.write_str("cannot connect to Redis"),
            Self::Refused(error) => write!(f, "Redis refuses the subscription: {error}"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Connect(error) | Self::Refused(error) => Some(error),
        }
    }
}
