//! Valid UTF-8 text, and its validation.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use bytestring::ByteString;

/// The text of a message: valid UTF-8, and cheap to clone and to move to another task.
///
/// Dereferences to `str`. Conversion from a `String` does not copy.
///
/// ```
/// use towline_proto::Text;
///
/// let text = Text::from("ship ahoy");
/// assert!(text.starts_with("ship"));
/// assert_eq!(text, "ship ahoy");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text(ByteString);

impl Text {
    /// Creates text from a static string, without a copy.
    pub const fn from_static(text: &'static str) -> Self {
        Self(ByteString::from_static(text))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the bytes, shared rather than copied.
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<Box<str>> for Text {
    fn from(text: Box<str>) -> Self {
        String::from(text).into()
    }
}

impl From<Cow<'_, str>> for Text {
    fn from(text: Cow<'_, str>) -> Self {
        Self(match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        })
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.as_str().to_owned()
    }
}

impl From<Text> for Bytes {
    fn from(text: Text) -> Self {
        text.into_bytes()
    }
}

impl TryFrom<Bytes> for Text {
    type Error = InvalidUtf8;

    fn try_from(bytes: Bytes) -> Result<Self, InvalidUtf8> {
        ByteString::try_from(bytes).map(Self).map_err(|_| InvalidUtf8)
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for Text {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The error for bytes that are not UTF-8.
///
/// [`validate`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidUtf8;

impl fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes are not valid UTF-8")
    }
}

impl std::error::Error for InvalidUtf8 {}

/// Validates bytes as text.
///
/// ```
/// assert_eq!(towline_proto::text::validate(b"ahoy"), Ok("ahoy"));
/// assert!(towline_proto::text::validate(b"\xff").is_err());
/// ```
///
/// # Errors
///
/// [`InvalidUtf8`] if the bytes are not UTF-8.
#[inline]
pub fn validate(bytes: &[u8]) -> Result<&str, InvalidUtf8> {
    // Below this, entering the vector code costs more than it saves.
    const WORTH_VECTORS: usize = 128;
    if bytes.len() < WORTH_VECTORS {
        std::str::from_utf8(bytes).map_err(|_| InvalidUtf8)
    } else {
        simdutf8::basic::from_utf8(bytes).map_err(|_| InvalidUtf8)
    }
}

/// Validates text that arrives in pieces, which may end within a character.
///
/// It fails at the first byte that makes the text invalid, so that a peer learns of bad text in the
/// middle of a frame.
///
/// ```
/// use towline_proto::Utf8Validator;
///
/// let (mut validator, mut text) = (Utf8Validator::default(), String::new());
/// for piece in [&b"na\xC3"[..], b"\xAFve"] {
///     validator.push(piece, |valid| text.push_str(valid))?;
/// }
/// validator.finish()?;
/// assert_eq!(text, "naïve");
/// # Ok::<(), towline_proto::InvalidUtf8>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Utf8Validator {
    /// The beginning of an incomplete character.
    started: [u8; 4],
    len: u8,
}

impl Utf8Validator {
    /// Validates the next piece, and passes the characters that are complete to `valid`.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] at the first byte that makes the text invalid.
    pub fn push(
        &mut self,
        mut piece: &[u8],
        mut valid: impl FnMut(&str),
    ) -> Result<(), InvalidUtf8> {
        while self.len > 0 {
            let Some((next, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            self.started[usize::from(self.len)] = *next;
            self.len += 1;
            match std::str::from_utf8(&self.started[..usize::from(self.len)]) {
                Ok(character) => {
                    valid(character);
                    self.len = 0;
                }
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(InvalidUtf8),
            }
        }
        let (complete, started) = piece.split_at(piece.len() - unfinished(piece));
        if !complete.is_empty() {
            valid(validate(complete)?);
        }
        if let Err(error) = std::str::from_utf8(started)
            && error.error_len().is_some()
        {
            return Err(InvalidUtf8);
        }
        self.started[..started.len()].copy_from_slice(started);
        // At most three bytes are incomplete.
        self.len = started.len().try_into().unwrap_or(0);
        Ok(())
    }

    /// Returns the bytes of an incomplete character that are held back.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.started[..usize::from(self.len)]
    }

    /// Checks that the text does not end within a character, and resets for the next text.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] if it ends within a character.
    pub fn finish(&mut self) -> Result<(), InvalidUtf8> {
        if std::mem::take(&mut self.len) == 0 { Ok(()) } else { Err(InvalidUtf8) }
    }
}

/// Returns how many bytes at the end of `piece` look like an incomplete character.
fn unfinished(piece: &[u8]) -> usize {
    for (back, byte) in piece.iter().rev().take(3).enumerate() {
        let character_len = match byte {
            0x00..=0x7F => 1,
            0x80..=0xBF => continue,
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xFF => 4,
        };
        return if character_len > back + 1 { back + 1 } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn in_pieces(bytes: &[u8], cuts: &[usize]) -> Result<String, InvalidUtf8> {
        let mut validator = Utf8Validator::default();
        let mut text = String::new();
        let mut rest = bytes;
        for cut in cuts {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            validator.push(piece, |valid| text.push_str(valid))?;
            rest = after;
        }
        validator.push(rest, |valid| text.push_str(valid))?;
        validator.finish()?;
        Ok(text)
    }

    /// How many of `bytes`, pushed one by one, it takes to fail.
    fn fails_at(bytes: &[u8]) -> Option<usize> {
        let mut validator = Utf8Validator::default();
        (0..bytes.len()).find(|at| validator.push(&bytes[*at..=*at], |_| {}).is_err())
    }

    proptest! {
        #[test]
        fn text_in_pieces_is_the_text(text in ".{0,200}", cuts in prop::collection::vec(0usize..40, 0..12)) {
            prop_assert_eq!(in_pieces(text.as_bytes(), &cuts), Ok(text));
        }

        #[test]
        fn bytes_in_pieces_are_judged_as_std_judges_them_whole(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x7Fu8..0xC3, 0xE0u8..0xF5], 0..24),
            cuts in prop::collection::vec(0usize..6, 0..12),
        ) {
            let whole = std::str::from_utf8(&bytes);
            prop_assert_eq!(in_pieces(&bytes, &cuts).is_ok(), whole.is_ok());
            if let Err(error) = whole {
                // One by one, it fails where no continuation could make it valid.
                let expected = error.error_len().map(|_| {
                    (error.valid_up_to()..bytes.len())
                        .find(|at| std::str::from_utf8(&bytes[..=*at]).is_err_and(|e| e.error_len().is_some()))
                        .unwrap()
                });
                prop_assert_eq!(fails_at(&bytes), expected);
            }
        }
    }

    #[test]
    fn a_surrogate_fails_at_its_second_byte() {
        assert_eq!(fails_at(b"\xED\xA0\x80"), Some(1));
        assert_eq!(fails_at(b"\xF4\x90\x80\x80"), Some(1));
        assert_eq!(fails_at(b"ok\xC0\xAF"), Some(2));
    }

    #[test]
    fn a_long_piece_with_an_unfinished_end_is_taken() {
        let text = "é".repeat(500);
        for cut in 0..text.len() {
            assert_eq!(in_pieces(text.as_bytes(), &[cut]).unwrap(), text);
        }
    }

    #[test]
    fn an_unfinished_text_is_refused_and_forgotten() {
        let mut validator = Utf8Validator::default();
        validator.push(b"\xE2\x82", |_| {}).unwrap();
        assert_eq!(validator.finish(), Err(InvalidUtf8));
        assert_eq!(validator.finish(), Ok(()));
    }
}
