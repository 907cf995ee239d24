//! The received part of a message, or of a frame if frames are returned.

use std::fmt;

use crate::glimpse;
use crate::text::InvalidUtf8;

/// Empty, or a buffer that ends with the message.
#[derive(Default)]
pub(crate) enum Body {
    #[default]
    None,
    Bytes(Vec<u8>),
    /// Text that is ASCII so far. It becomes a `String` without a copy, after a quick check.
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
    /// Returns the length and the capacity.
    pub(crate) fn extent(&self) -> (usize, usize) {
        match self {
            Self::None => (0, 0),
            Self::Text(text) => (text.len(), text.capacity()),
            Self::Bytes(bytes) | Self::Ascii(bytes) => (bytes.len(), bytes.capacity()),
        }
    }

    /// Reserves room for `additional` bytes, and for `factor` times the current length, so that a
    /// growing body is not copied for each piece, but for at most `most` bytes in total.
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

    /// Takes the bytes, without those that the validator holds back.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        match std::mem::take(self) {
            Self::None => Vec::new(),
            Self::Bytes(bytes) | Self::Ascii(bytes) => bytes,
            Self::Text(text) => text.into_bytes(),
        }
    }

    /// Converts ASCII into text that may have any character.
    pub(crate) fn widen(&mut self) -> Result<(), InvalidUtf8> {
        if let Self::Ascii(bytes) = self {
            *self = Self::Text(text_of(std::mem::take(bytes))?);
        }
        Ok(())
    }
}

/// Converts bytes into text. Fast for ASCII.
pub(crate) fn text_of(bytes: Vec<u8>) -> Result<String, InvalidUtf8> {
    String::from_utf8(bytes).map_err(|_| InvalidUtf8)
}
