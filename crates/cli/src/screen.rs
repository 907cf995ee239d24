//! The terminal: its width, whether it shows colours, and how they are written.

use std::env::var_os;
use std::io::{self, IsTerminal as _};

use clap::ValueEnum;

/// When to use colours, for `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
}

impl When {
    /// Whether to use colours on standard output.
    pub(crate) fn is_on(self) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                // See https://no-color.org.
                let is_unwanted = var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                io::stdout().is_terminal() && !is_unwanted && !is_dumb()
            }
        }
    }
}

/// Whether the terminal can only print lines: no colours, and no cursor to move.
pub(crate) fn is_dumb() -> bool {
    match var_os("TERM") {
        Some(term) => term.is_empty() || term == "dumb",
        None => !cfg!(windows),
    }
}

/// The width of the terminal in columns; 80 if it does not say.
pub(crate) fn width() -> usize {
    crossterm::terminal::size().map_or(80, |(columns, _)| match columns {
        0 => 80,
        columns => columns.into(),
    })
}

/// What a colour tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    Arrow,
    Key,
    String,
    Number,
    /// `true`, `false` and `null`.
    Word,
    /// Times, and other notes in between.
    Faint,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Self::Arrow | Self::Key => "36",
            Self::String => "32",
            Self::Number => "33",
            Self::Word => "35",
            Self::Faint => "2",
        }
    }
}

/// Writes text in colours, or as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    pub(crate) in_colour: bool,
}

impl Paint {
    /// Appends the text in this colour.
    pub(crate) fn put(self, out: &mut String, ink: Ink, text: &str) {
        if self.in_colour {
            out.push_str("\u{1b}[");
            out.push_str(ink.code());
            out.push('m');
            out.push_str(text);
            out.push_str(RESET);
        } else {
            out.push_str(text);
        }
    }

    /// Returns the text in this colour.
    pub(crate) fn text(self, ink: Ink, text: &str) -> String {
        let mut out = String::new();
        self.put(&mut out, ink, text);
        out
    }
}

/// Ends a colour.
pub(crate) const RESET: &str = "\u{1b}[0m";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_ends_with_its_text() {
        assert_eq!(Paint { in_colour: false }.text(Ink::Key, "a"), "a");
        assert_eq!(Paint { in_colour: true }.text(Ink::Key, "a"), "\u{1b}[36ma\u{1b}[0m");
    }

    #[test]
    fn colours_are_used_when_they_are_wanted() {
        assert!(When::Always.is_on());
        assert!(!When::Never.is_on());
    }
}
