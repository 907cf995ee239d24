//! `Debug` output of payloads: the length and the beginning.

use std::fmt;

/// The most bytes of a binary payload that are shown, as two digits each.
const BYTES: usize = 32;

/// The most bytes of text that are shown, or up to three less to cut at a character boundary.
const TEXT: usize = 128;

/// A payload whose `Debug` is its length and at most its beginning: `3 bytes: 00 01 02`, `1048576
/// bytes: 00 01 …`. A peer must not be able to produce log lines of any length.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        length(self.0.len(), f)?;
        if !self.0.is_empty() {
            f.write_str(":")?;
        }
        for byte in self.0.iter().take(BYTES) {
            write!(f, " {byte:02x}")?;
        }
        if self.0.len() > BYTES { f.write_str(" …") } else { Ok(()) }
    }
}

/// Text whose `Debug` is complete if short, otherwise its length and its beginning: `"ship ahoy"`,
/// `1048576 bytes: "ship aho"…`.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() <= TEXT {
            return fmt::Debug::fmt(self.0, f);
        }
        let beginning = (0..=TEXT).rev().find_map(|end| self.0.get(..end)).unwrap_or_default();
        length(self.0.len(), f)?;
        write!(f, ": {beginning:?}…")
    }
}

fn length(len: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{len} {}", if len == 1 { "byte" } else { "bytes" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_with_their_number_and_their_beginning() {
        let shown = |bytes: &[u8]| format!("{:?}", Bytes(bytes));
        assert_eq!(shown(&[]), "0 bytes");
        assert_eq!(shown(&[7]), "1 byte: 07");
        assert_eq!(shown(&[0, 1, 255]), "3 bytes: 00 01 ff");
        assert_eq!(shown(&[0; 32]), format!("32 bytes:{}", " 00".repeat(32)));
        assert_eq!(shown(&[0; 33]), format!("33 bytes:{} …", " 00".repeat(32)));
    }

    #[test]
    fn text_is_cut_where_a_character_begins() {
        let shown = |text: &str| format!("{:?}", Text(text));
        assert_eq!(shown("ship\n"), r#""ship\n""#);
        assert_eq!(shown(&"x".repeat(128)), format!("\"{}\"", "x".repeat(128)));
        assert_eq!(shown(&"x".repeat(129)), format!("129 bytes: \"{}\"…", "x".repeat(128)));
        // 1 + 42 * 3 = 127, and the next character would end at 130.
        let euros = format!("x{}", "€".repeat(1000));
        assert_eq!(shown(&euros), format!("3001 bytes: \"x{}\"…", "€".repeat(42)));
    }
}
