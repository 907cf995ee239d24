//! Messages: text or bytes.

use std::borrow::Cow;
use std::fmt;

use bytes::{Bytes, BytesMut};

use crate::glimpse;
use crate::text::Text;

/// A message: text or bytes.
///
/// Cheap to clone: clones share the payload.
///
/// `Debug` shows text of up to 128 bytes completely. For longer text it shows the length and the
/// first 128 bytes, cut at a character boundary; for bytes, the length and the first 32.
///
/// ```
/// use towline_proto::Message;
///
/// assert_eq!(Message::text("hi"), Message::from("hi"));
/// assert_eq!(Message::binary(vec![1, 2]).as_bytes(), [1, 2]);
/// assert_eq!(format!("{:?}", Message::binary(vec![1, 2])), "Binary(2 bytes: 01 02)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    #[doc(alias = "utf8Data")]
    Text(Text),
    /// A binary message.
    #[doc(alias = "binaryData")]
    Binary(Bytes),
}

/// The kind of a message: text or bytes ([RFC 6455, section 5.6]).
///
/// `Display` writes it in lower case: `text`, `binary`.
///
/// [RFC 6455, section 5.6]: https://www.rfc-editor.org/rfc/rfc6455#section-5.6
///
/// ```
/// use towline_proto::{Message, MessageKind};
///
/// assert_eq!(Message::text("ahoy").kind(), MessageKind::Text);
/// assert_eq!(MessageKind::Binary.to_string(), "binary");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Text, in UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

impl MessageKind {
    /// Returns the kind of a message that is text or not.
    #[inline]
    pub(crate) fn of(is_text: bool) -> Self {
        if is_text { Self::Text } else { Self::Binary }
    }
}

impl fmt::Display for MessageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Text => "text",
            Self::Binary => "binary",
        })
    }
}

impl Message {
    /// Creates a text message.
    pub fn text(text: impl Into<Text>) -> Self {
        Self::Text(text.into())
    }

    /// Creates a binary message.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::Binary(bytes.into())
    }

    /// Returns the kind of the message.
    pub fn kind(&self) -> MessageKind {
        MessageKind::of(self.is_text())
    }

    /// Returns whether this is text.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// Returns whether this is binary.
    pub fn is_binary(&self) -> bool {
        matches!(self, Self::Binary(_))
    }

    /// Returns the text, if this is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// Returns the payload.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_ref(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Returns the payload, shared rather than copied.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Returns the text, shared rather than copied, if this is text. For a protocol of text only, as
    /// most with JSON are.
    ///
    /// ```
    /// use towline_proto::{Message, Text};
    ///
    /// let text: Text = Message::text("ship ahoy").into_text()?;
    /// assert_eq!(text, "ship ahoy");
    /// let error = Message::binary(vec![1, 2]).into_text().unwrap_err();
    /// assert_eq!(error.to_string(), "binary message of 2 bytes, but text was expected");
    /// assert_eq!(error.into_message(), Message::binary(vec![1, 2]));
    /// # Ok::<_, towline_proto::NotText>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotText`], with the message, if this is binary.
    pub fn into_text(self) -> Result<Text, NotText> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Binary(bytes) => Err(NotText(bytes)),
        }
    }

    /// Returns the payload's length in bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Returns whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&MessageRef::from(self), f)
    }
}

/// A binary message where text was expected, from [`Message::into_text`].
#[derive(Clone, PartialEq, Eq)]
pub struct NotText(Bytes);

impl NotText {
    /// Returns the message.
    pub fn into_message(self) -> Message {
        Message::Binary(self.0)
    }
}

impl fmt::Display for NotText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.0.len();
        let bytes = if len == 1 { "byte" } else { "bytes" };
        write!(f, "binary message of {len} {bytes}, but text was expected")
    }
}

impl fmt::Debug for NotText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NotText").field(&glimpse::Bytes(&self.0)).finish()
    }
}

impl std::error::Error for NotText {}

/// A borrowed message: in the buffer that it was received into, or in the program.
///
/// `Debug` shows the same as that of a [`Message`].
///
/// ```
/// use towline_proto::{Message, MessageRef};
///
/// let message = MessageRef::from("ship ahoy");
/// assert_eq!(message.as_text(), Some("ship ahoy"));
/// assert_eq!(message.to_message(), Message::text("ship ahoy"));
/// ```
#[derive(Clone, Copy)]
pub struct MessageRef<'m>(pub(crate) Lent<'m>);

#[derive(Clone, Copy)]
pub(crate) enum Lent<'m> {
    Text(&'m str),
    Binary(&'m [u8]),
    /// A message that can be shared if it must be kept.
    Message(&'m Message),
}

impl<'m> MessageRef<'m> {
    /// Creates a text message.
    #[inline]
    pub fn text(text: &'m str) -> Self {
        Self(Lent::Text(text))
    }

    /// Creates a binary message.
    #[inline]
    pub fn binary(bytes: &'m [u8]) -> Self {
        Self(Lent::Binary(bytes))
    }

    /// Returns the kind of the message.
    #[inline]
    pub fn kind(self) -> MessageKind {
        MessageKind::of(self.is_text())
    }

    /// Returns whether this is text.
    #[inline]
    pub fn is_text(self) -> bool {
        match self.0 {
            Lent::Text(_) => true,
            Lent::Binary(_) => false,
            Lent::Message(message) => message.is_text(),
        }
    }

    /// Returns whether this is binary.
    pub fn is_binary(self) -> bool {
        !self.is_text()
    }

    /// Returns the text, if this is text.
    pub fn as_text(self) -> Option<&'m str> {
        match self.0 {
            Lent::Text(text) => Some(text),
            Lent::Binary(_) => None,
            Lent::Message(message) => message.as_text(),
        }
    }

    /// Returns the payload.
    #[inline]
    pub fn as_bytes(self) -> &'m [u8] {
        match self.0 {
            Lent::Text(text) => text.as_bytes(),
            Lent::Binary(bytes) => bytes,
            Lent::Message(message) => message.as_bytes(),
        }
    }

    /// Returns the payload's length in bytes.
    pub fn len(self) -> usize {
        self.as_bytes().len()
    }

    /// Returns whether the payload is empty.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Returns whether converting to an owned message needs no copy.
    #[inline]
    pub(crate) fn is_shareable(self) -> bool {
        matches!(self.0, Lent::Message(_))
    }

    /// Converts to an owned message. The payload is copied, or shared if this borrows a
    /// [`Message`].
    #[inline]
    pub fn to_message(self) -> Message {
        match self.0 {
            Lent::Text(text) => Message::Text(text.into()),
            Lent::Binary(bytes) => Message::Binary(Bytes::copy_from_slice(bytes)),
            Lent::Message(message) => message.clone(),
        }
    }
}

/// Messages are equal if they have the same type and payload, wherever they are stored.
impl PartialEq for MessageRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.is_text() == other.is_text() && self.as_bytes() == other.as_bytes()
    }
}

impl Eq for MessageRef<'_> {}

impl fmt::Debug for MessageRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_text() {
            Some(text) => f.debug_tuple("Text").field(&glimpse::Text(text)).finish(),
            None => f.debug_tuple("Binary").field(&glimpse::Bytes(self.as_bytes())).finish(),
        }
    }
}

impl<'m> From<&'m Message> for MessageRef<'m> {
    fn from(message: &'m Message) -> Self {
        Self(Lent::Message(message))
    }
}

impl<'m> From<&'m str> for MessageRef<'m> {
    fn from(text: &'m str) -> Self {
        Self::text(text)
    }
}

impl<'m> From<&'m [u8]> for MessageRef<'m> {
    fn from(bytes: &'m [u8]) -> Self {
        Self::binary(bytes)
    }
}

impl From<MessageRef<'_>> for Message {
    fn from(message: MessageRef<'_>) -> Self {
        message.to_message()
    }
}

impl From<Text> for Message {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&String> for Message {
    fn from(text: &String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Box<str>> for Message {
    fn from(text: Box<str>) -> Self {
        Self::Text(text.into())
    }
}

impl From<Cow<'_, str>> for Message {
    fn from(text: Cow<'_, str>) -> Self {
        Self::Text(text.into())
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<BytesMut> for Message {
    fn from(bytes: BytesMut) -> Self {
        Self::Binary(bytes.freeze())
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(bytes))
    }
}

impl<const N: usize> From<&[u8; N]> for Message {
    fn from(bytes: &[u8; N]) -> Self {
        bytes.as_slice().into()
    }
}

impl<const N: usize> From<[u8; N]> for Message {
    fn from(bytes: [u8; N]) -> Self {
        bytes.as_slice().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_made_of_all_kinds_of_strings() {
        let string = String::from("hi");
        for message in [
            Message::from("hi"),
            Message::from(&string),
            Message::from(string.clone()),
            Message::from(string.clone().into_boxed_str()),
            Message::from(Cow::Borrowed("hi")),
            Message::from(Cow::<str>::Owned(string.clone())),
            Message::from(Text::from_static("hi")),
        ] {
            assert_eq!(message, Message::text("hi"));
        }
    }

    #[test]
    fn text_is_taken_out_without_a_copy_and_bytes_are_given_back() {
        let text = Text::from("ship ahoy".to_owned());
        let place = text.as_ptr();
        assert_eq!(Message::from(text).into_text().map(|text| text.as_ptr()), Ok(place));
        // Although it would be valid text.
        let bytes = Bytes::from_static(b"h");
        let error = Message::from(bytes.clone()).into_text().unwrap_err();
        assert_eq!(error.to_string(), "binary message of 1 byte, but text was expected");
        assert_eq!(format!("{error:?}"), "NotText(1 byte: 68)");
        assert_eq!(error.into_message().as_bytes().as_ptr(), bytes.as_ptr());
    }

    #[test]
    fn a_binary_message_is_made_of_all_kinds_of_bytes() {
        for message in [
            Message::from(b"hi"),
            Message::from(*b"hi"),
            Message::from(b"hi".as_slice()),
            Message::from(b"hi".to_vec()),
            Message::from(Bytes::from_static(b"hi")),
            Message::from(BytesMut::from(b"hi".as_slice())),
        ] {
            assert_eq!(message, Message::binary(b"hi".as_slice()));
        }
    }
}
