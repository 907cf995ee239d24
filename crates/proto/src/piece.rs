//! Pieces of a message that is handed out as it arrives.

use std::borrow::Cow;
use std::fmt;

use crate::glimpse;
use crate::message::{MessageKind, MessageRef};

/// A piece of a message, as [`Inbound::poll_piece`] returns it.
///
/// Its boundaries have no meaning: they depend on how the bytes arrived. A piece of a text message
/// can begin and end within a character; the whole of the text is validated as it arrives. `Debug`
/// shows the payload as that of [`Message`](crate::message::Message) does.
///
/// [`Inbound::poll_piece`]: crate::inbound::Inbound::poll_piece
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Piece<'b> {
    /// The kind of the message.
    pub kind: MessageKind,
    /// The bytes: borrowed from the input, or owned if they were inflated. The first and the last
    /// piece of a message can be empty.
    pub payload: Cow<'b, [u8]>,
    /// Whether the message ends with this piece.
    pub is_last: bool,
}

impl<'b> Piece<'b> {
    pub(crate) fn new(kind: MessageKind, payload: impl Into<Cow<'b, [u8]>>, is_last: bool) -> Self {
        Self { kind, payload: payload.into(), is_last }
    }

    /// A message that is complete in the input.
    #[inline]
    pub(crate) fn whole(message: MessageRef<'b>) -> Self {
        Self::new(message.kind(), message.as_bytes(), true)
    }

    /// Converts into a piece that is independent of the input.
    pub fn into_owned(self) -> Piece<'static> {
        Piece::new(self.kind, self.payload.into_owned(), self.is_last)
    }
}

impl fmt::Debug for Piece<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Piece")
            .field("kind", &self.kind)
            .field("payload", &glimpse::Bytes(&self.payload))
            .field("is_last", &self.is_last)
            .finish()
    }
}
