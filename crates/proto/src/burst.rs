//! Short messages for many connections, encoded once.

use std::fmt;

use crate::compression::Compress;
use crate::message::Message;
use crate::wire::header::{Header, Rsv};
use crate::wire::opcode::Opcode;

/// Messages for many connections, encoded once for all that send the same bytes for them.
///
/// Those are the connections of a server that neither compress nor fragment the messages.
/// [`Session::send_burst`](crate::Session::send_burst) copies the frames to the queue of such a connection in
/// one go. For the others, send the messages one by one. Each message is one unmasked frame (RFC 6455,
/// section 5.2) of a header of at most 10 bytes and the payload. A burst takes the memory of its frames.
///
/// ```
/// use towline_proto::{Burst, Compress, Message, Session};
///
/// fn to_all(sessions: &mut [Session], messages: &[Message]) {
///     let mut burst = Burst::new();
///     for message in messages {
///         burst.push(message, Compress::Auto);
///     }
///     for session in sessions {
///         if !session.send_burst(&burst) {
///             for message in messages {
///                 session.send(message).ok();
///             }
///         }
///     }
/// }
/// ```
#[derive(Clone, Default)]
pub struct Burst {
    wire: Vec<u8>,
    /// How many bytes precede the last frame.
    before_last: usize,
    messages: u64,
    payload_bytes: u64,
    /// The length of the longest payload.
    longest: usize,
    /// The same, of the messages that may be compressed.
    longest_compressible: Option<usize>,
}

impl fmt::Debug for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Burst")
            .field("messages", &self.messages)
            .field("wire_bytes", &self.wire.len())
            .finish_non_exhaustive()
    }
}

impl Burst {
    /// Creates a burst without messages.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message: copies its payload behind those before.
    ///
    /// A message longer than [`Outbound::COPY_MAX`](crate::Outbound::COPY_MAX) makes
    /// [`Session::send_burst`](crate::Session::send_burst) refuse the whole burst.
    pub fn push(&mut self, message: &Message, compress: Compress) {
        let payload = message.as_bytes();
        let opcode = Opcode::of_message(message.is_text());
        let payload_len = payload.len() as u64;
        self.before_last = self.wire.len();
        let header = Header { fin: true, rsv: Rsv::NONE, opcode, mask: None, payload_len };
        header.encode(&mut self.wire);
        self.wire.extend_from_slice(payload);
        self.messages += 1;
        self.payload_bytes += payload_len;
        self.longest = self.longest.max(payload.len());
        if compress == Compress::Auto {
            self.longest_compressible = self.longest_compressible.max(Some(payload.len()));
        }
    }

    /// Returns the frames of all messages, as they are sent.
    #[inline]
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// Returns the number of messages.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Returns the sum of the payloads' lengths in bytes.
    pub fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// Returns whether there are no messages.
    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Returns how many bytes precede the last message's frame.
    #[inline]
    pub(crate) fn before_last(&self) -> usize {
        self.before_last
    }

    /// Returns the length of the longest payload in bytes.
    #[inline]
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// Returns the same for the messages that may be compressed, if there are any.
    #[inline]
    pub(crate) fn longest_compressible(&self) -> Option<usize> {
        self.longest_compressible
    }
}
