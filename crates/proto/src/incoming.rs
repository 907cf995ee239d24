//! The input of the decoder, received bytes, and its output.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use crate::fault::Fault;
use crate::glimpse;
use crate::message::{Message, MessageRef};
use crate::piece::Piece;
use crate::text::Text;
use crate::wire::close::CloseFrame;
use crate::wire::frame::Frame;

/// Received bytes, consumed from the front.
///
/// They are mutable because they are unmasked in place, and decoded items borrow from them.
/// [`ReadBuffer`](crate::read_buffer::ReadBuffer) creates one from its content. `Debug` shows the
/// length and the first 32 bytes.
pub struct Input<'b> {
    bytes: &'b mut [u8],
    /// The buffer's count of consumed bytes.
    consumed: Option<&'b mut usize>,
    gathers: usize,
}

impl<'b> Input<'b> {
    /// Creates an input from these bytes. The decoder consumes all of them before it asks for more.
    pub fn new(bytes: &'b mut [u8]) -> Self {
        Self { bytes, consumed: None, gathers: 0 }
    }

    /// Creates an input from the content of a buffer after `consumed`.
    #[inline]
    pub(crate) fn of_buffer(buffer: &'b mut [u8], consumed: &'b mut usize, gathers: usize) -> Self {
        Self { bytes: &mut buffer[*consumed..], consumed: Some(consumed), gathers }
    }

    /// Returns how many bytes have not been consumed.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns whether all bytes have been consumed.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns the bytes that have not been consumed.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes
    }

    /// The longest frame, including its header, whose beginning is kept here until the rest
    /// arrives.
    pub(crate) fn gathers(&self) -> usize {
        self.gathers
    }

    /// Consumes `count` bytes, or all if there are fewer.
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> &'b mut [u8] {
        let bytes = std::mem::take(&mut self.bytes);
        let (taken, rest) = bytes.split_at_mut(count.min(bytes.len()));
        self.bytes = rest;
        if let Some(consumed) = &mut self.consumed {
            **consumed += taken.len();
        }
        taken
    }

    /// Consumes all remaining bytes.
    pub(crate) fn discard(&mut self) {
        self.take(usize::MAX);
    }
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Input").field(&glimpse::Bytes(self.bytes)).finish()
    }
}

impl<'b> From<&'b mut [u8]> for Input<'b> {
    fn from(bytes: &'b mut [u8]) -> Self {
        Self::new(bytes)
    }
}

/// An item decoded from received bytes.
///
/// A message that is complete in the input is borrowed from it; one that arrived in pieces is
/// owned. [`into_message`](Self::into_message) converts either to an owned one. `Debug` shows
/// payloads as that of [`Message`] does.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incoming<'b> {
    /// A text message.
    Text(Cow<'b, str>),
    /// A binary message.
    Binary(Cow<'b, [u8]>),
    /// A data frame, if `assemble_fragments` is off.
    Frame(Frame),
    /// A piece of a message, from [`Inbound::poll_piece`](crate::Inbound::poll_piece) only.
    Piece(Piece<'b>),
    /// Nothing to hand out: some of a message was dropped whose first piece was returned, see
    /// [`Inbound::skip_message`](crate::Inbound::skip_message). Poll again, after other work if the
    /// thread has any: a compressed message can inflate to a thousand times its length.
    Skipped,
    /// A ping. The [session](crate::session::Session) answers it when told of it.
    Ping(Bytes),
    /// A pong.
    Pong(Bytes),
    /// The peer's close frame, the last item. The session answers it when told of it.
    Close(CloseFrame),
    /// An error of the peer, the last item. The session closes when told of it.
    Fault(Fault),
    /// There is no complete item: read more bytes.
    More,
    /// There are no more items after a close frame or a fault. Discard further bytes.
    End,
}

impl fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload = |name: &str, payload: &[u8], f: &mut fmt::Formatter<'_>| {
            f.debug_tuple(name).field(&glimpse::Bytes(payload)).finish()
        };
        match self {
            Self::Text(text) => f.debug_tuple("Text").field(&glimpse::Text(text)).finish(),
            Self::Binary(bytes) => payload("Binary", bytes, f),
            Self::Frame(frame) => f.debug_tuple("Frame").field(frame).finish(),
            Self::Piece(piece) => f.debug_tuple("Piece").field(piece).finish(),
            Self::Skipped => f.write_str("Skipped"),
            Self::Ping(bytes) => payload("Ping", bytes, f),
            Self::Pong(bytes) => payload("Pong", bytes, f),
            Self::Close(close) => f.debug_tuple("Close").field(close).finish(),
            Self::Fault(fault) => f.debug_tuple("Fault").field(fault).finish(),
            Self::More => f.write_str("More"),
            Self::End => f.write_str("End"),
        }
    }
}

impl<'b> From<MessageRef<'b>> for Incoming<'b> {
    #[inline]
    fn from(message: MessageRef<'b>) -> Self {
        match message.as_text() {
            Some(text) => Self::Text(Cow::Borrowed(text)),
            None => Self::Binary(Cow::Borrowed(message.as_bytes())),
        }
    }
}

impl Incoming<'_> {
    /// Converts a message into an owned one, or returns `None` for other items. Borrowed payloads
    /// are copied, owned ones are moved.
    #[inline]
    pub fn into_message(self) -> Option<Message> {
        match self {
            Self::Text(text) => Some(Message::Text(Text::from(text))),
            Self::Binary(Cow::Borrowed(bytes)) => {
                Some(Message::Binary(Bytes::copy_from_slice(bytes)))
            }
            Self::Binary(Cow::Owned(bytes)) => Some(Message::Binary(bytes.into())),
            _ => None,
        }
    }

    /// Returns the message by reference, or `None` for other items.
    pub fn as_message(&self) -> Option<MessageRef<'_>> {
        match self {
            Self::Text(text) => Some(MessageRef::text(text)),
            Self::Binary(bytes) => Some(MessageRef::binary(bytes)),
            _ => None,
        }
    }

    /// Converts into an owned item, independent of the input.
    pub fn into_owned(self) -> Incoming<'static> {
        match self {
            Self::Text(text) => Incoming::Text(Cow::Owned(text.into_owned())),
            Self::Binary(bytes) => Incoming::Binary(Cow::Owned(bytes.into_owned())),
            Self::Frame(frame) => Incoming::Frame(frame),
            Self::Piece(piece) => Incoming::Piece(piece.into_owned()),
            Self::Skipped => Incoming::Skipped,
            Self::Ping(payload) => Incoming::Ping(payload),
            Self::Pong(payload) => Incoming::Pong(payload),
            Self::Close(frame) => Incoming::Close(frame),
            Self::Fault(fault) => Incoming::Fault(fault),
            Self::More => Incoming::More,
            Self::End => Incoming::End,
        }
    }
}
