//! Lays JSON out for people, in colours: on one line if it fits, otherwise indented.
//!
//! The text stays as it was received, except for white space: a number keeps its digits, and a string
//! its escapes.

use serde_json::value::RawValue;
use unicode_width::UnicodeWidthStr as _;

use crate::say::on_one_line;
use crate::screen::{Ink, Paint};

/// How many columns deeper a level begins.
const INDENT: usize = 2;

/// Deeper levels are not indented further, since a peer chooses how many there are.
const DEEPEST: usize = 40;

/// How to lay JSON out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    /// The width of a line, in columns. Only a string, a number or a key can exceed it.
    pub(crate) width: usize,
    /// The most characters of a string to show.
    pub(crate) longest: Option<usize>,
    pub(crate) paint: Paint,
}

impl Layout {
    /// Lays out an object or an array. `None` if the text is something else, or not JSON.
    pub(crate) fn lay_out(self, text: &str) -> Option<String> {
        if !text.trim_start().starts_with(['{', '[']) {
            return None;
        }
        serde_json::from_str::<&RawValue>(text).ok()?;
        Some(self.write(Lexer::new(text)))
    }

    fn write(self, mut tokens: Lexer<'_>) -> String {
        let mut out = String::new();
        let mut column = 0;
        let mut depth = 0_usize;
        // How many open brackets are on a line with their closing ones.
        let mut inline = 0_usize;
        while let Some(token) = tokens.next() {
            match token {
                Token::Open(bracket) => {
                    out.push_str(bracket);
                    column += 1;
                    if inline > 0 || tokens.closes_within(self.width.saturating_sub(column), self) {
                        inline += 1;
                    } else {
                        depth += 1;
                        column = line(&mut out, depth);
                    }
                }
                Token::Close(bracket) => {
                    if inline > 0 {
                        inline -= 1;
                    } else {
                        depth = depth.saturating_sub(1);
                        column = line(&mut out, depth);
                    }
                    out.push_str(bracket);
                    column += 1;
                }
                Token::Comma if inline > 0 => {
                    out.push_str(", ");
                    column += 2;
                }
                Token::Comma => {
                    out.push(',');
                    column = line(&mut out, depth);
                }
                Token::Colon => {
                    out.push_str(": ");
                    column += 2;
                }
                Token::String(text) => {
                    let is_key = tokens.clone().next() == Some(Token::Colon);
                    let (text, more) = self.shown(text);
                    column += text.width() + more.width();
                    let ink = if is_key { Ink::Key } else { Ink::String };
                    self.paint.put(&mut out, ink, &text);
                    if !more.is_empty() {
                        self.paint.put(&mut out, Ink::Faint, &more);
                    }
                }
                Token::Other(text) => {
                    column += text.len();
                    let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic());
                    let ink = if is_word { Ink::Word } else { Ink::Number };
                    self.paint.put(&mut out, ink, text);
                }
            }
        }
        out
    }

    /// A string, shortened if it is too long, and what is missing.
    fn shown(self, text: &str) -> (String, String) {
        let Some(longest) = self.longest else { return (on_one_line(text), String::new()) };
        // The quotes are not counted.
        let mut characters = text.char_indices().skip(longest.saturating_add(1));
        let (Some((end, _)), Some(_)) = (characters.next(), characters.next()) else {
            return (on_one_line(text), String::new());
        };
        let missing = text[end..].chars().count().saturating_sub(1);
        let more = format!(" ({missing} more characters)");
        (format!("{}…\"", on_one_line(&text[..end])), more)
    }
}

/// Begins a line at this depth. Returns the column.
fn line(out: &mut String, depth: usize) -> usize {
    let indent = (depth * INDENT).min(DEEPEST);
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', indent));
    indent
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'t> {
    Open(&'t str),
    Close(&'t str),
    Comma,
    Colon,
    /// With its quotes.
    String(&'t str),
    /// A number, `true`, `false` or `null`.
    Other(&'t str),
}

/// Takes valid JSON apart.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'t> {
    rest: &'t str,
}

impl<'t> Lexer<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { rest: text }
    }

    /// Whether the bracket that was opened last closes within this width, with a comma behind it.
    fn closes_within(&self, width: usize, layout: Layout) -> bool {
        let mut open = 1_usize;
        let mut used = 0;
        let mut tokens = self.clone();
        while let Some(token) = tokens.next() {
            used += match token {
                Token::Open(_) => {
                    open += 1;
                    1
                }
                Token::Close(_) => {
                    open -= 1;
                    1
                }
                Token::Comma | Token::Colon => 2,
                // Longer ones need no measuring.
                Token::String(text) if text.len() > width * 4 + 8 => return false,
                Token::String(text) => {
                    let (text, more) = layout.shown(text);
                    text.width() + more.width()
                }
                Token::Other(text) => text.len(),
            };
            if used > width {
                return false;
            }
            if open == 0 {
                return used < width || tokens.rest.trim_ascii_start().is_empty();
            }
        }
        false
    }
}

impl<'t> Iterator for Lexer<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let first = self.rest.chars().next()?;
        let length = match first {
            '"' => string_length(self.rest),
            '{' | '}' | '[' | ']' | ',' | ':' => 1,
            _ => self
                .rest
                .find([',', ':', '}', ']', ' ', '\t', '\r', '\n'])
                .unwrap_or(self.rest.len()),
        };
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(match first {
            '"' => Token::String(text),
            '{' | '[' => Token::Open(text),
            '}' | ']' => Token::Close(text),
            ',' => Token::Comma,
            ':' => Token::Colon,
            _ => Token::Other(text),
        })
    }
}

/// The length of the string that the text begins with, in bytes.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid_out(text: &str, width: usize) -> String {
        let paint = Paint { in_colour: false };
        Layout { width, longest: None, paint }.lay_out(text).unwrap()
    }

    #[test]
    fn what_fits_is_one_line_and_the_rest_is_indented() {
        let text = r#"{"a":1,"b":[1, 2,3],"c":{}, "d":"x"}"#;
        let one = r#"{"a": 1, "b": [1, 2, 3], "c": {}, "d": "x"}"#;
        assert_eq!(laid_out(text, 80), one);
        assert_eq!(laid_out(text, one.len()), one);
        let lines = "{\n  \"a\": 1,\n  \"b\": [1, 2, 3],\n  \"c\": {},\n  \"d\": \"x\"\n}";
        assert_eq!(laid_out(text, one.len() - 1), lines);
        assert_eq!(laid_out("[[1,2],[3]]", 8), "[\n  [\n    1,\n    2\n  ],\n  [3]\n]");
    }

    #[test]
    fn numbers_and_escapes_stay_as_they_are() {
        let text = r#"[123456789012345678901234567890, 1.50, "\u00e9\"\\", true, null]"#;
        assert_eq!(laid_out(text, 80), text);
    }

    #[test]
    fn text_that_is_no_object_and_no_array_is_left_alone() {
        let layout = Layout { width: 80, longest: None, paint: Paint { in_colour: true } };
        for text in ["", "ahoy", "12", "\"a\"", "{\"a\":}", "[1] 2", "[1,]"] {
            assert_eq!(layout.lay_out(text), None, "{text}");
        }
    }

    #[test]
    fn long_strings_are_shortened_and_say_by_how_much() {
        let layout = Layout { width: 80, longest: Some(4), paint: Paint { in_colour: false } };
        assert_eq!(layout.lay_out(r#"["abcd"]"#).unwrap(), r#"["abcd"]"#);
        let long = layout.lay_out(r#"["abcdefgh"]"#).unwrap();
        assert_eq!(long, "[\"abcd…\" (4 more characters)]");
    }

    #[test]
    fn each_kind_of_value_has_its_colour() {
        let layout = Layout { width: 80, longest: None, paint: Paint { in_colour: true } };
        let expected = "{\u{1b}[36m\"a\"\u{1b}[0m: \u{1b}[33m1\u{1b}[0m, \u{1b}[36m\"b\"\u{1b}[0m: \
                        [\u{1b}[32m\"c\"\u{1b}[0m, \u{1b}[35mnull\u{1b}[0m]}";
        assert_eq!(layout.lay_out(r#"{"a":1,"b":["c",null]}"#).unwrap(), expected);
    }

    #[test]
    fn a_terminal_is_not_told_what_to_do() {
        let shown = laid_out("[\"a\u{202e}b\u{9b}\"]", 80);
        assert_eq!(shown, "[\"a\\u{202e}b\\u{9b}\"]");
    }

    #[test]
    fn a_peer_chooses_the_depth_but_not_the_width() {
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        let shown = laid_out(&deep, 20);
        assert!(shown.lines().all(|line| line.len() <= DEEPEST + 20), "a line is too long");
        assert_eq!(shown.replace(['\n', ' '], ""), deep);
    }
}
