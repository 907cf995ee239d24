//! One message for many connections.

use std::fmt;

use bytes::Bytes;

use crate::compression::Deflating;
use crate::message::Message;

/// A message for many connections, compressed once for all that produce the same output.
///
/// Those are the connections with the same level and window, without context takeover for sent
/// messages. For the others, the message is compressed once per connection.
///
/// ```
/// use towline_proto::{Broadcast, Message, Session};
///
/// fn to_all(sessions: &mut [Session], message: Message) {
///     let mut broadcast = Broadcast::new(message);
///     for session in sessions {
///         session.send(&mut broadcast).ok();
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Broadcast {
    message: Message,
    /// The compressed message, by kind of deflater; `None` if it is better sent uncompressed.
    deflated: Vec<(u16, Option<Bytes>)>,
}

impl fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast").field("message", &self.message).finish_non_exhaustive()
    }
}

impl Broadcast {
    /// Creates a message for many connections.
    pub fn new(message: impl Into<Message>) -> Self {
        Self { message: message.into(), deflated: Vec::new() }
    }

    /// Returns the message.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Returns the compressed message, if the deflater can share it and it is smaller, and whether
    /// it was compressed just now.
    pub(crate) fn deflated(
        &mut self,
        kind: u16,
        deflating: &mut dyn Deflating,
    ) -> (Option<Bytes>, bool) {
        if let Some((_, deflated)) = self.deflated.iter().find(|(other, _)| *other == kind) {
            return (deflated.clone(), false);
        }
        let mut deflated = None;
        deflating.whole(self.message.as_bytes(), &mut |whole| {
            deflated = Some(Bytes::copy_from_slice(whole));
        });
        self.deflated.push((kind, deflated.clone()));
        (deflated, true)
    }
}
