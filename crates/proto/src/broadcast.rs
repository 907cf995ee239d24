//! One message for many connections.

use std::fmt;

use bytes::Bytes;

use crate::compression::Deflating;
use crate::message::Message;

/// A message for many connections, which is compressed once for all that make the same of it.
///
/// Those are the connections with the same level and window, and no context takeover in the
/// direction of the message; on the others it is compressed for each.
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
pub struct Broadcast {
    message: Message,
    /// What has become of it, by the kind of deflater; nothing where it is better sent as it is.
    deflated: Vec<(u16, Option<Bytes>)>,
}

impl fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast").field("message", &self.message).finish_non_exhaustive()
    }
}

impl Broadcast {
    /// A message for many connections.
    pub fn new(message: impl Into<Message>) -> Self {
        Self { message: message.into(), deflated: Vec::new() }
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// What a deflater makes of the message, if it is one that can share that with others, and
    /// makes it shorter. And whether it was done just now.
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
