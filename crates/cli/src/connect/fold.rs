//! Shortens what would fill the screen.

use std::ops::Range;

use unicode_width::UnicodeWidthChar as _;

use crate::screen::RESET;

/// Text that may have been shortened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Folded {
    pub(crate) text: String,
    /// How many lines are missing.
    pub(crate) lines: usize,
    /// How many characters of the last shown line are missing.
    pub(crate) characters: usize,
}

/// Shortens the text so that it takes at most this many rows of a terminal of this width. It can have
/// colours, which take no room.
pub(crate) fn fold(text: &str, rows: usize, width: usize) -> Folded {
    let width = width.max(1);
    let mut left = rows.max(1);
    let mut shown = 0..0;
    let mut lines = text.split_inclusive('\n');
    for line in lines.by_ref() {
        let (used, fits) = rows_of(line.trim_end_matches('\n'), left, width);
        if let Some(fits) = fits {
            let cut = line.trim_end_matches('\n');
            let characters = visible(&cut[fits..]);
            shown.end += fits;
            return cut_at(text, &shown, lines.count(), characters);
        }
        shown.end += line.len();
        left -= used;
        if left == 0 {
            break;
        }
    }
    match lines.count() {
        0 => Folded { text: text.to_owned(), lines: 0, characters: 0 },
        missing => cut_at(text, &shown, missing, 0),
    }
}

fn cut_at(text: &str, shown: &Range<usize>, lines: usize, characters: usize) -> Folded {
    let mut text = text[shown.clone()].trim_end_matches('\n').to_owned();
    if text.contains('\u{1b}') {
        text.push_str(RESET);
    }
    Folded { text, lines, characters }
}

/// How many rows this line takes, and where to cut it if they are more than there are.
fn rows_of(line: &str, most: usize, width: usize) -> (usize, Option<usize>) {
    let (mut rows, mut column) = (1, 0);
    for (at, character) in seen(line) {
        let wide = character.width().unwrap_or(0);
        if column + wide > width {
            if rows == most {
                return (rows, Some(at));
            }
            rows += 1;
            column = 0;
        }
        column += wide;
    }
    (rows, None)
}

fn visible(line: &str) -> usize {
    seen(line).count()
}

/// The characters that take room, and where they are: all but the colours.
fn seen(line: &str) -> impl Iterator<Item = (usize, char)> + '_ {
    let mut is_colour = false;
    line.char_indices().filter(move |(_, character)| match character {
        '\u{1b}' => {
            is_colour = true;
            false
        }
        'm' if is_colour => {
            is_colour = false;
            false
        }
        _ => !is_colour,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str, rows: usize, width: usize) -> (String, usize, usize) {
        let Folded { text, lines, characters } = fold(text, rows, width);
        (text, lines, characters)
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        for text in ["", "a", "a\nb", "a\nb\n", "12345"] {
            assert_eq!(folded(text, 2, 5), (text.to_owned(), 0, 0));
        }
    }

    #[test]
    fn lines_and_parts_of_lines_that_do_not_fit_are_counted() {
        assert_eq!(folded("a\nb\nc\nd", 2, 5), ("a\nb".to_owned(), 2, 0));
        assert_eq!(folded("123456789", 1, 5), ("12345".to_owned(), 0, 4));
        assert_eq!(folded("1234567890a\nb", 2, 5), ("1234567890".to_owned(), 1, 1));
        assert_eq!(folded("世界世界", 1, 5), ("世界".to_owned(), 0, 2));
    }

    #[test]
    fn colours_take_no_room_and_do_not_run_out() {
        let text = "\u{1b}[32mabc\u{1b}[0m";
        assert_eq!(folded(text, 1, 3), (text.to_owned(), 0, 0));
        assert_eq!(folded(text, 1, 2), ("\u{1b}[32mab\u{1b}[0m".to_owned(), 0, 1));
    }
}
