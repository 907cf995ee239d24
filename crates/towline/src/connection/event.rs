//! What is received.

use bytes::Bytes;
use towline_proto::{Frame, Message};

/// What is received, for programs that want more than messages.
///
/// [`Connection::next_event`](crate::Connection::next_event) gives these;
/// [`Connection::recv`](crate::Connection::recv) gives the messages alone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A message.
    Message(Message),
    /// A data frame, where [`assemble_fragments`](crate::Config::assemble_fragments) is off. One
    /// that is a message by itself is followed by that.
    Frame(Frame),
    /// A ping. It has been answered; there is nothing to do.
    Ping(Bytes),
    /// A pong.
    Pong(Bytes),
}
