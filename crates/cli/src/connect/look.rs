//! How messages look to people.

use bytes::Bytes;
use towline::Message;

use crate::connect::binary::{Form, base64, bytes_in_line, glimpse, hex_dump};
use crate::connect::fold::{Folded, fold};
use crate::connect::json::Layout;
use crate::say::harmless;
use crate::screen::Paint;

/// The most rows of a message to show.
const ROWS: usize = 20;

/// The most characters of a string in JSON to show.
const LONGEST_STRING: usize = 400;

/// How many bytes of a binary message can be seen in [`ROWS`] rows, and one more.
const MOST_DUMPED: usize = ROWS * 16 + 1;

/// How messages look to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) paint: Paint,
    /// Whether to shorten what would fill the screen.
    pub(crate) is_folded: bool,
    pub(crate) binary: Form,
}

/// A message as it looks, in lines without a line end behind the last.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) text: String,
    /// What is missing, in words. Empty if nothing is.
    pub(crate) missing: String,
}

impl Look {
    /// The same without shortening anything.
    pub(crate) fn whole(self) -> Self {
        let binary = if self.binary == Form::Summary { Form::Hex } else { self.binary };
        Self { is_folded: false, binary, ..self }
    }

    /// A message in lines of this width. Lines after the first are indented by `indent`.
    pub(crate) fn message(self, message: &Message, width: usize, indent: &str) -> Shape {
        match message {
            Message::Text(text) => self.text(text, width, indent),
            Message::Binary(bytes) => self.bytes(bytes, width, indent),
        }
    }

    /// Text, or JSON.
    pub(crate) fn text(self, text: &str, width: usize, indent: &str) -> Shape {
        let width = width.saturating_sub(indent.len()).max(1);
        let longest = self.is_folded.then_some(LONGEST_STRING);
        let layout = Layout { width, longest, paint: self.paint };
        let laid_out = layout.lay_out(text).unwrap_or_else(|| harmless(text, ""));
        self.folded(laid_out, width, indent)
    }

    fn bytes(self, bytes: &Bytes, width: usize, indent: &str) -> Shape {
        let width = width.saturating_sub(indent.len()).max(1);
        let text = match self.binary {
            Form::Summary => return Shape { text: glimpse(bytes), missing: String::new() },
            // What can't be seen is not worth writing out.
            Form::Hex if self.is_folded => {
                let shown = &bytes[..bytes.len().min(MOST_DUMPED)];
                let Folded { text, .. } = fold(&hex_dump(shown, width), ROWS, width);
                let lines = hex_lines(bytes.len(), width).saturating_sub(text.lines().count());
                let missing = if lines > 0 { in_words(lines, 0) } else { String::new() };
                return Shape { text: indented(&text, indent), missing };
            }
            Form::Hex => hex_dump(bytes, width),
            Form::Base64 => base64(bytes),
            Form::Raw => harmless(&String::from_utf8_lossy(bytes), ""),
        };
        self.folded(text, width, indent)
    }

    fn folded(self, text: String, width: usize, indent: &str) -> Shape {
        if !self.is_folded {
            return Shape { text: indented(&text, indent), missing: String::new() };
        }
        let Folded { text, lines, characters } = fold(&text, ROWS, width);
        Shape { text: indented(&text, indent), missing: in_words(lines, characters) }
    }
}

fn in_words(lines: usize, characters: usize) -> String {
    let count = |count: usize, one: &str| {
        format!("{count} more {one}{}", if count == 1 { "" } else { "s" })
    };
    match (lines, characters) {
        (0, 0) => String::new(),
        (lines, 0) => count(lines, "line"),
        (0, characters) => count(characters, "character"),
        (lines, characters) => {
            format!("{} and {}", count(characters, "character"), count(lines, "line"))
        }
    }
}

fn indented(text: &str, indent: &str) -> String {
    text.replace('\n', &format!("\n{indent}"))
}

/// How many lines a dump of so many bytes has.
fn hex_lines(bytes: usize, width: usize) -> usize {
    bytes.div_ceil(bytes_in_line(width))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(is_folded: bool, binary: Form) -> Look {
        Look { paint: Paint { in_colour: false }, is_folded, binary }
    }

    fn shape(text: impl Into<String>, missing: &str) -> Shape {
        Shape { text: text.into(), missing: missing.to_owned() }
    }

    #[test]
    fn json_is_laid_out_and_other_text_is_made_harmless() {
        let look = look(true, Form::Summary);
        assert_eq!(look.text(r#"{"a":1}"#, 80, "  "), shape(r#"{"a": 1}"#, ""));
        assert_eq!(look.text(r#"{"a":1}"#, 8, "  "), shape("{\n    \"a\": 1\n  }", ""));
        assert_eq!(look.text("a\nb\u{1b}", 80, "  "), shape("a\n  b\\u{1b}", ""));
    }

    #[test]
    fn what_would_fill_the_screen_is_shortened_unless_it_is_wanted_whole() {
        let lines = vec!["a"; ROWS + 5].join("\n");
        let look = look(true, Form::Hex);
        assert_eq!(look.text(&lines, 80, ""), shape(vec!["a"; ROWS].join("\n"), "5 more lines"));
        assert_eq!(look.whole().text(&lines, 80, ""), shape(&lines, ""));
        let long = "x".repeat(ROWS * 10 + 1);
        assert_eq!(look.text(&long, 10, ""), shape(&long[1..], "1 more character"));

        let bytes = Message::binary(vec![7; 16 * (ROWS + 3)]);
        let shown = look.message(&bytes, 80, "");
        assert_eq!((shown.text.lines().count(), &shown.missing[..]), (ROWS, "3 more lines"));
        let shown = look.whole().message(&bytes, 80, "");
        assert_eq!((shown.text.lines().count(), &shown.missing[..]), (ROWS + 3, ""));
        let bytes = Message::binary(vec![7; 16 * ROWS]);
        assert_eq!(look.message(&bytes, 80, "").missing, "");
    }

    #[test]
    fn a_summary_is_a_dump_when_it_is_wanted_whole() {
        let look = look(true, Form::Summary);
        let bytes = Message::binary(vec![0, 1]);
        assert_eq!(look.message(&bytes, 80, "").text, "binary, 2 B: 00 01");
        assert!(look.whole().message(&bytes, 80, "").text.starts_with("000000  00 01 "));
        let form = |binary| super::tests::look(true, binary).message(&bytes, 80, "").text;
        assert_eq!(form(Form::Base64), "AAE=");
        assert_eq!(form(Form::Raw), "\\u{0}\\u{1}");
    }
}
