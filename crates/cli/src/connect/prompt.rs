//! The prompt on the screen: what to write to show the line, and other lines above it.
//!
//! The position on the screen is not needed: the cursor moves relative to the first row of the
//! prompt, so other output and scrolling do not matter.

use std::fmt::Write as _;

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use crate::connect::line::{Line, Reach};
use crate::say::is_obeyed;

/// What stands before the line.
const PROMPT: &str = "> ";

/// The prompt as it is on the screen.
#[derive(Debug, Default)]
pub(crate) struct Prompt {
    /// How many rows the cursor is below the first row.
    row: usize,
    /// What stands before the line instead of [`PROMPT`].
    label: Option<String>,
}

impl Prompt {
    /// Returns what to write to show the line in place of the previous one.
    pub(crate) fn show(&mut self, line: &Line, width: usize) -> String {
        let mut out = self.clear();
        self.draw(&mut out, line, width);
        out
    }

    /// Puts this before the line, from the next time on that it is shown, or what usually stands there.
    pub(crate) fn set_label(&mut self, label: Option<String>) {
        self.label = label;
    }

    /// Returns what to write to show these lines above the prompt.
    pub(crate) fn above(&mut self, text: &str, line: &Line, width: usize) -> String {
        let mut out = self.clear();
        for row in text.lines() {
            out.push_str(row);
            // The terminal is raw: a line feed does not return the carriage.
            out.push_str("\r\n");
        }
        self.draw(&mut out, line, width);
        out
    }

    /// Returns what to write to leave the line where it is and continue below.
    pub(crate) fn enter(&mut self, line: &Line, width: usize) -> String {
        let mut end = line.clone();
        end.go_right(Reach::All);
        let mut out = self.show(&end, width);
        // After a full row, the cursor is in the next one already.
        if !out.ends_with('\r') {
            out.push_str("\r\n");
        }
        self.row = 0;
        out
    }

    /// Returns what to write to remove the prompt.
    pub(crate) fn clear(&mut self) -> String {
        let mut out = String::new();
        if self.row > 0 {
            let _ = write!(out, "\u{1b}[{}A", self.row);
        }
        self.row = 0;
        out.push_str("\r\u{1b}[J");
        out
    }

    /// The terminal has another width now. Some terminals break the rows anew, and some do not; so as not to
    /// overwrite messages, the prompt is taken to begin as far below as it can.
    pub(crate) fn resize(&mut self, line: &Line, width: usize) {
        let mut anew = Self { row: 0, label: self.label.clone() };
        anew.draw(&mut String::new(), line, width);
        self.row = self.row.min(anew.row);
    }

    fn draw(&mut self, out: &mut String, line: &Line, width: usize) {
        let width = width.max(2);
        let label = self.label.as_deref().unwrap_or(PROMPT);
        let mut place = Place { row: 0, column: 0 };
        let mut cursor = place;
        let mut seen = 0;
        let end = label.len() + line.before().len();
        for grapheme in label.graphemes(true).chain(line.text().graphemes(true)) {
            if seen == end {
                cursor = place;
            }
            seen += grapheme.len();
            let shown = visible(grapheme);
            let broken = place.advance(shown.width(), width);
            if broken {
                // The terminal would break the line here as well, but some do so only at the next
                // character.
                out.push_str("\r\n");
            }
            out.push_str(shown);
        }
        // The cursor can't stand after the last column: it is in the next row.
        if place.column == width {
            out.push_str("\r\n");
            place = Place { row: place.row + 1, column: 0 };
        }
        if seen == end {
            cursor = place;
        } else if cursor.column == width {
            cursor = Place { row: cursor.row + 1, column: 0 };
        }
        if place.row > cursor.row {
            let _ = write!(out, "\u{1b}[{}A", place.row - cursor.row);
        }
        out.push('\r');
        if cursor.column > 0 {
            let _ = write!(out, "\u{1b}[{}C", cursor.column);
        }
        self.row = cursor.row;
    }
}

/// A place in the rows of the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    row: usize,
    column: usize,
}

impl Place {
    /// Makes room for a character. Returns whether it starts a new row.
    fn advance(&mut self, wide: usize, width: usize) -> bool {
        let is_broken = self.column + wide > width;
        if is_broken {
            *self = Self { row: self.row + 1, column: 0 };
        }
        self.column += wide;
        is_broken
    }
}

/// The replacement for a character that can't be shown.
fn visible(grapheme: &str) -> &str {
    match grapheme.chars().next() {
        Some('\n') => "⏎",
        Some('\t') => "⇥",
        Some(obeyed) if is_obeyed(obeyed) => "·",
        _ => grapheme,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAR: &str = "\r\u{1b}[J";

    fn line(text: &str) -> Line {
        let mut line = Line::default();
        line.insert(text);
        line
    }

    #[test]
    fn a_line_is_shown_behind_the_prompt() {
        let shown = Prompt::default().show(&line("ahoy"), 80);
        assert_eq!(shown, format!("{CLEAR}> ahoy\r\u{1b}[6C"));
    }

    #[test]
    fn a_long_line_takes_rows_and_gives_them_back() {
        let mut prompt = Prompt::default();
        assert_eq!(prompt.show(&line("12345678"), 6), format!("{CLEAR}> 1234\r\n5678\r\u{1b}[4C"));
        assert_eq!(prompt.row, 1);
        assert_eq!(prompt.show(&line("1"), 6), format!("\u{1b}[1A{CLEAR}> 1\r\u{1b}[3C"));
        assert_eq!(prompt.row, 0);
    }

    #[test]
    fn a_line_that_fills_its_row_is_followed_by_no_empty_one() {
        let entered = |text| Prompt::default().enter(&line(text), 6);
        assert_eq!(entered("1234"), format!("{CLEAR}> 1234\r\n\r"));
        assert_eq!(entered("123"), format!("{CLEAR}> 123\r\u{1b}[5C\r\n"));
    }

    #[test]
    fn another_label_can_stand_before_the_line() {
        let mut prompt = Prompt::default();
        prompt.set_label(Some("find 世: ".to_owned()));
        let shown = prompt.show(&line("ab"), 8);
        assert_eq!(shown, format!("{CLEAR}find 世:\r\n ab\r\u{1b}[3C"));
        prompt.set_label(None);
        assert_eq!(prompt.show(&line("ab"), 8), format!("\u{1b}[1A{CLEAR}> ab\r\u{1b}[4C"));
    }

    #[test]
    fn another_width_does_not_overwrite_what_is_above() {
        let mut prompt = Prompt::default();
        prompt.show(&line("123456789012"), 6);
        assert_eq!(prompt.row, 2);
        prompt.resize(&line("123456789012"), 10);
        assert_eq!(prompt.row, 1);
        prompt.resize(&line("123456789012"), 6);
        assert_eq!(prompt.row, 1);
    }

    #[test]
    fn the_cursor_behind_the_last_column_is_in_the_next_row() {
        let mut prompt = Prompt::default();
        assert_eq!(prompt.show(&line("1234"), 6), format!("{CLEAR}> 1234\r\n\r"));
        assert_eq!(prompt.row, 1);
    }

    #[test]
    fn the_cursor_stands_where_it_is_in_the_line() {
        let mut long = line("1234567");
        long.go_left(Reach::All);
        let mut prompt = Prompt::default();
        let shown = prompt.show(&long, 6);
        assert_eq!(shown, format!("{CLEAR}> 1234\r\n567\u{1b}[1A\r\u{1b}[2C"));
        assert_eq!(prompt.row, 0);
        // Between the rows it is at the beginning of the second.
        long.set("1234567");
        for _ in 0..3 {
            long.go_left(Reach::Character);
        }
        assert!(prompt.show(&long, 6).ends_with("567\r"));
        assert_eq!(prompt.row, 1);
    }

    #[test]
    fn wide_characters_are_not_broken() {
        let shown = Prompt::default().show(&line("a世界"), 6);
        assert_eq!(shown, format!("{CLEAR}> a世\r\n界\r\u{1b}[2C"));
    }

    #[test]
    fn messages_stand_above_the_line() {
        let mut prompt = Prompt::default();
        prompt.show(&line("12345678"), 6);
        let shown = prompt.above("< a\n  b\n", &line("12345678"), 6);
        let drawn = "> 1234\r\n5678\r\u{1b}[4C";
        assert_eq!(shown, format!("\u{1b}[1A{CLEAR}< a\r\n  b\r\n{drawn}"));
    }

    #[test]
    fn what_would_move_the_cursor_is_shown_as_a_sign() {
        let shown = Prompt::default().show(&line("a\nb\tc\u{7}d\u{202e}e"), 80);
        assert!(shown.contains("> a⏎b⇥c·d·e"));
    }
}
