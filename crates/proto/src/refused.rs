//! The reasons why a message or frame is refused for sending.

use std::fmt;

use crate::wire::close::{InvalidClose, MalformedClose};
use crate::wire::opcode::MAX_CONTROL_PAYLOAD;

/// Why a message or frame was refused for sending.
///
/// [`SendError`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The connection is closing or closed.
    Closing,
    /// A ping, pong or close frame with this many bytes of payload; the limit is 125.
    ControlTooLong(usize),
    /// A control frame with `fin` off.
    FragmentedControl,
    /// A continuation without an unfinished message.
    NothingToContinue,
    /// A continuation of a message that another sender began.
    OthersMessage,
    /// The first frame of a message while another message made of frames is unfinished.
    MessageUnfinished,
    /// A data frame with RSV1 on a connection with compression, which reserves that bit.
    CompressedByHand,
    /// A close code or reason that cannot be sent.
    InvalidClose(InvalidClose),
    /// A close frame with an invalid payload, made by the program.
    MalformedClose(MalformedClose),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closing => f.write_str("the connection is closed"),
            Self::ControlTooLong(len) => {
                write!(f, "control frame of {len} bytes: at most {MAX_CONTROL_PAYLOAD} are allowed")
            }
            Self::FragmentedControl => f.write_str("a control frame can't be a fragment"),
            Self::NothingToContinue => {
                f.write_str("continuation frame, but no message is unfinished")
            }
            Self::OthersMessage => {
                f.write_str("continuation frame, but the unfinished message is another sender's")
            }
            Self::MessageUnfinished => {
                f.write_str("first frame of a message, but the last one is unfinished")
            }
            Self::CompressedByHand => f.write_str(
                "data frame with RSV1, which is for the connection's compression to set",
            ),
            Self::InvalidClose(error) => error.fmt(f),
            Self::MalformedClose(error) => error.fmt(f),
        }
    }
}

// Without a source: the texts above contain those of the reasons that they hold.
impl std::error::Error for Refused {}

/// A message or frame that was refused for sending, and why.
///
/// ```
/// use std::time::Instant;
/// use bytes::Bytes;
/// use towline_proto::{Config, Connection, Refused, Role};
///
/// let mut connection = Connection::new(Role::Client, &Config::client(), Instant::now());
/// let error = connection.session().ping(Bytes::from(vec![0; 126])).unwrap_err();
/// println!("{error}");
/// assert_eq!(error.into_inner().len(), 126);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendError<T> {
    why: Refused,
    item: T,
}

impl<T> SendError<T> {
    /// Creates the error for a refused `item`.
    pub fn new(why: Refused, item: T) -> Self {
        Self { why, item }
    }

    /// Returns why the item was refused.
    pub fn why(&self) -> Refused {
        self.why
    }

    /// Returns the refused item.
    pub fn into_inner(self) -> T {
        self.item
    }

    /// Splits into the reason and the refused item.
    pub fn split(self) -> (Refused, T) {
        (self.why, self.item)
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl<T: fmt::Debug> std::error::Error for SendError<T> {}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::time::Instant;

    use crate::config::Config;
    use crate::connection::Connection;
    use crate::role::Role;
    use crate::wire::close::CloseFrame;

    use super::*;

    fn close_twice(now: Instant) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut connection = Connection::new(Role::Client, &Config::client(), now);
        connection.session().close(now, CloseFrame::EMPTY)?;
        connection.session().close(now, CloseFrame::EMPTY)?;
        Ok(())
    }

    #[test]
    fn a_refused_close_is_an_error_to_pass_on() {
        let error = close_twice(crate::testing::start()).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Refused::Closing));
        assert_eq!(error.to_string(), "the connection is closed");
    }
}
