//! What has come of a message, or of a frame where those are handed out.

use std::fmt;

use crate::glimpse;
use crate::text::InvalidUtf8;

/// Nothing, or a buffer that ends with the message.
#[derive(Default)]
pub(crate) enum Body {
    #[default]
    None,
    Bytes(Vec<u8>),
    /// Text as far as it is ASCII. To make a `String` of that takes no copy, and a look that is soon
    /// over.
    Ascii(Vec<u8>),
    Text(String),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bytes(bytes) | Self::Ascii(bytes) => glimpse::Bytes(bytes).fmt(f),
            Self::Text(text) => glimpse::Text(text).fmt(f),
        }
    }
}

impl Body {
    /// Its length and its capacity.
    pub(crate) fn extent(&self) -> (usize, usize) {
        match self {
            Self::None => (0, 0),
            Self::Text(text) => (text.len(), text.capacity()),
            Self::Bytes(bytes) | Self::Ascii(bytes) => (bytes.len(), bytes.capacity()),
        }
    }

    /// Makes room for `additional` bytes, and for `factor` times as many as there are, so that a
    /// body which grows in pieces is not copied for each of them; but for no more than `most` in
    /// all.
    pub(crate) fn grow(&mut self, additional: usize, factor: usize, most: usize) {
        let (len, capacity) = self.extent();
        if additional <= capacity - len {
            return;
        }
        let lever = len.saturating_mul(factor).min(most).saturating_sub(len);
        let more = additional.max(lever);
        match self {
            Self::None => {}
            Self::Text(text) => text.reserve_exact(more),
            Self::Bytes(bytes) | Self::Ascii(bytes) => bytes.reserve_exact(more),
        }
    }

    /// What was ASCII so far becomes text that may be anything.
    pub(crate) fn widen(&mut self) -> Result<(), InvalidUtf8> {
        if let Self::Ascii(bytes) = self {
            *self = Self::Text(text_of(std::mem::take(bytes))?);
        }
        Ok(())
    }
}

/// It is quick for what is ASCII.
pub(crate) fn text_of(bytes: Vec<u8>) -> Result<String, InvalidUtf8> {
    String::from_utf8(bytes).map_err(|_| InvalidUtf8)
}
