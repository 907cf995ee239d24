//! Why something is not taken for sending.

use std::fmt;

use crate::wire::close::{InvalidClose, MalformedClose};
use crate::wire::opcode::MAX_CONTROL_PAYLOAD;

/// Why something was not taken for sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The connection is closing or closed.
    Closing,
    /// A ping, pong or close frame with so many bytes, of which 125 are allowed.
    ControlTooLong(usize),
    /// A control frame with `fin` off.
    FragmentedControl,
    /// A continuation, and no unfinished message to continue.
    NothingToContinue,
    /// A continuation of a message that another sender has begun.
    OthersMessage,
    /// The first frame of a message, while another one made of frames is unfinished.
    MessageUnfinished,
    /// A data frame with RSV1 on a connection with compression, which alone sets it there.
    CompressedByHand,
    /// A close code or reason that can't be sent.
    InvalidClose(InvalidClose),
    /// A close frame made by hand whose payload is not one.
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

/// Something that was not taken for sending, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendError<T> {
    why: Refused,
    item: T,
}

impl<T> SendError<T> {
    /// `item` was not taken, and this is why.
    pub fn new(why: Refused, item: T) -> Self {
        Self { why, item }
    }

    /// Why it was not taken.
    pub fn why(&self) -> Refused {
        self.why
    }

    /// What was not taken.
    pub fn into_inner(self) -> T {
        self.item
    }

    /// The error without what was not taken.
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
