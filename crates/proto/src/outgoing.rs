//! Messages to send, owned or borrowed, and whether to compress them.

use std::borrow::Cow;
use std::fmt;

use bytes::{Bytes, BytesMut};

use crate::broadcast::Broadcast;
use crate::compression::Compress;
use crate::message::{Lent, Message, MessageRef};
use crate::text::Text;

/// A message to send.
///
/// Converted from all kinds of text and bytes. Owned payloads are moved. Borrowed ones (`&str`,
/// `&[u8]`, a [`MessageRef`]) are copied into the write buffer, which is the cheapest way for small
/// messages. A `&Message` or a [`Broadcast`] is shared if it is long. `Debug` shows payloads as
/// that of [`Message`] does.
///
/// ```
/// use towline_proto::{Compress, Outgoing};
///
/// let plain = Outgoing::from("ship ahoy");
/// let secret = Outgoing::from("the rum is in the hold").compress(Compress::Never);
/// assert_eq!(plain.message().len(), 9);
/// # let _ = secret;
/// ```
pub struct Outgoing<'m> {
    pub(crate) payload: Payload<'m>,
    pub(crate) compress: Compress,
}

/// Flat, because this is checked for each message sent.
pub(crate) enum Payload<'m> {
    Owned(Message),
    Text(&'m str),
    Binary(&'m [u8]),
    /// A message that can be shared if it must be kept.
    Shared(&'m Message),
    Broadcast(&'m mut Broadcast),
}

/// The parts of a message that a frame is made of.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'m> {
    pub(crate) is_text: bool,
    pub(crate) payload: &'m [u8],
}

impl<'m> Parts<'m> {
    #[inline(always)]
    fn of(message: &'m Message) -> Self {
        Self { is_text: message.is_text(), payload: message.as_bytes() }
    }
}

impl<'m> Outgoing<'m> {
    #[inline]
    fn new(payload: Payload<'m>) -> Self {
        Self { payload, compress: Compress::Auto }
    }

    /// Sets whether the message is compressed if compression was negotiated. Default:
    /// [`Compress::Auto`].
    #[must_use]
    pub fn compress(mut self, compress: Compress) -> Self {
        self.compress = compress;
        self
    }

    /// Returns the message by reference.
    pub fn message(&self) -> MessageRef<'_> {
        match &self.payload {
            Payload::Owned(message) => message.into(),
            Payload::Text(text) => MessageRef::text(text),
            Payload::Binary(bytes) => MessageRef::binary(bytes),
            Payload::Shared(message) => (*message).into(),
            Payload::Broadcast(broadcast) => broadcast.message().into(),
        }
    }

    /// Returns the parts that a frame is made of.
    #[inline(always)]
    pub(crate) fn parts(&self) -> Parts<'_> {
        match &self.payload {
            Payload::Owned(message) => Parts::of(message),
            Payload::Text(text) => Parts { is_text: true, payload: text.as_bytes() },
            Payload::Binary(payload) => Parts { is_text: false, payload },
            Payload::Shared(message) => Parts::of(message),
            Payload::Broadcast(broadcast) => Parts::of(broadcast.message()),
        }
    }

    /// Returns the payload's length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.parts().payload.len()
    }

    /// Returns whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Converts into an owned message and its compression setting.
    pub fn into_parts(self) -> (Message, Compress) {
        let compress = self.compress;
        (self.into_message(), compress)
    }

    /// Returns an owned copy. The payload is shared if possible.
    pub fn to_owned(&self) -> Outgoing<'static> {
        Outgoing::from(self.message().to_message()).compress(self.compress)
    }

    /// Converts into an owned message. Borrowed payloads are copied.
    pub fn into_message(self) -> Message {
        match self.payload {
            Payload::Owned(message) => message,
            _ => self.message().to_message(),
        }
    }

    /// Takes the message out, leaving an empty one.
    pub(crate) fn take(&mut self) -> Outgoing<'m> {
        let nothing = Payload::Owned(Message::Binary(Bytes::new()));
        let payload = std::mem::replace(&mut self.payload, nothing);
        Outgoing { payload, compress: self.compress }
    }
}

impl fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("message", &self.message())
            .field("compress", &self.compress)
            .finish()
    }
}

impl<'m> From<MessageRef<'m>> for Outgoing<'m> {
    #[inline]
    fn from(message: MessageRef<'m>) -> Self {
        Self::new(match message.0 {
            Lent::Text(text) => Payload::Text(text),
            Lent::Binary(bytes) => Payload::Binary(bytes),
            Lent::Message(message) => Payload::Shared(message),
        })
    }
}

impl<'m> From<&'m Message> for Outgoing<'m> {
    fn from(message: &'m Message) -> Self {
        Self::new(Payload::Shared(message))
    }
}

impl<'m> From<&'m str> for Outgoing<'m> {
    fn from(text: &'m str) -> Self {
        MessageRef::text(text).into()
    }
}

impl<'m> From<&'m String> for Outgoing<'m> {
    fn from(text: &'m String) -> Self {
        MessageRef::text(text).into()
    }
}

impl<'m> From<&'m [u8]> for Outgoing<'m> {
    fn from(bytes: &'m [u8]) -> Self {
        MessageRef::binary(bytes).into()
    }
}

impl<'m> From<&'m Vec<u8>> for Outgoing<'m> {
    fn from(bytes: &'m Vec<u8>) -> Self {
        MessageRef::binary(bytes).into()
    }
}

impl<'m, const N: usize> From<&'m [u8; N]> for Outgoing<'m> {
    fn from(bytes: &'m [u8; N]) -> Self {
        MessageRef::binary(bytes).into()
    }
}

impl<'m> From<&'m mut Broadcast> for Outgoing<'m> {
    fn from(broadcast: &'m mut Broadcast) -> Self {
        Self::new(Payload::Broadcast(broadcast))
    }
}

impl<'m> From<Cow<'m, str>> for Outgoing<'m> {
    fn from(text: Cow<'m, str>) -> Self {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

macro_rules! from_owned {
    ($($owned:ty),*) => {$(
        impl From<$owned> for Outgoing<'_> {
            #[inline]
            fn from(message: $owned) -> Self {
                Self::new(Payload::Owned(message.into()))
            }
        }
    )*};
}

from_owned!(Message, Text, String, Box<str>, Bytes, BytesMut, Vec<u8>);

impl<const N: usize> From<[u8; N]> for Outgoing<'_> {
    fn from(bytes: [u8; N]) -> Self {
        Self::new(Payload::Owned(bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_is_not_copied_before_it_is_sent() {
        let text = String::from("ship ahoy");
        for outgoing in [Outgoing::from(&text), text.as_str().into(), Cow::Borrowed(&*text).into()]
        {
            assert_eq!(outgoing.message().as_bytes().as_ptr(), text.as_ptr());
            assert_eq!(outgoing.into_message(), Message::text("ship ahoy"));
        }
    }

    #[test]
    fn what_was_owned_is_moved_and_not_copied() {
        let bytes = Bytes::from(vec![7; 100]);
        let at = bytes.as_ptr();
        let mut outgoing = Outgoing::from(bytes);
        assert_eq!(outgoing.take().into_message().as_bytes().as_ptr(), at);
        assert!(outgoing.message().is_empty());
    }
}
