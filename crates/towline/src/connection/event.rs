//! Received events.

use bytes::Bytes;
use towline_proto::{Frame, Message};

/// A received message, frame, ping or pong.
///
/// [`Connection::next_event`](crate::Connection::next_event) returns events;
/// [`Connection::recv`](crate::Connection::recv) returns messages only.
///
/// ```
/// # async fn example(mut connection: towline::Connection) -> towline::Result<()> {
/// use towline::Event;
///
/// while let Some(event) = connection.next_event().await? {
///     match event {
///         Event::Message(message) => connection.send(message).await?,
///         Event::Pong(payload) => println!("a pong with {payload:?}"),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A message.
    Message(Message),
    /// A data frame, if [`assemble_fragments`](crate::Config::assemble_fragments) is off. A frame
    /// that is a whole message is followed by the message.
    Frame(Frame),
    /// A ping, with its payload. It is answered automatically.
    Ping(Bytes),
    /// A pong, with its payload.
    Pong(Bytes),
}
