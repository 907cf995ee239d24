//! The lines entered before.

use std::collections::VecDeque;

/// The most lines to keep; the oldest are dropped. They are not written to disk: they may be
/// secrets.
const MOST: usize = 1000;

/// The lines that were entered, and the position in them.
#[derive(Debug, Default)]
pub(crate) struct History {
    lines: VecDeque<String>,
    /// How many lines back the position is; 0 is the line being written.
    back: usize,
    /// The line being written.
    draft: String,
}

impl History {
    /// Adds a line.
    pub(crate) fn add(&mut self, line: &str) {
        self.back = 0;
        if self.lines.front().is_some_and(|last| last == line) {
            return;
        }
        self.lines.push_front(line.to_owned());
        self.lines.truncate(MOST);
    }

    /// Goes to the previous line. `now` is the text of the current one.
    pub(crate) fn earlier(&mut self, now: &str) -> Option<&str> {
        let line = self.lines.get(self.back)?;
        if self.back == 0 {
            now.clone_into(&mut self.draft);
        }
        self.back += 1;
        Some(line)
    }

    /// The latest line before this position, counted from the last line, that has this text in it, and
    /// its position.
    pub(crate) fn find(&self, text: &str, from: usize) -> Option<(usize, &str)> {
        let lines = self.lines.iter().enumerate().skip(from);
        lines.map(|(at, line)| (at, line.as_str())).find(|(_, line)| line.contains(text))
    }

    /// Goes to the next line; the last one is the line being written.
    pub(crate) fn later(&mut self) -> Option<&str> {
        self.back = self.back.checked_sub(1)?;
        match self.back.checked_sub(1) {
            Some(index) => self.lines.get(index).map(String::as_str),
            None => Some(&self.draft),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_what_is_in_them() {
        let mut history = History::default();
        for line in ["subscribe a", "ping", "subscribe b"] {
            history.add(line);
        }
        assert_eq!(history.find("sub", 0), Some((0, "subscribe b")));
        assert_eq!(history.find("sub", 1), Some((2, "subscribe a")));
        assert_eq!(history.find("sub", 3), None);
        assert_eq!(history.find("pong", 0), None);
    }

    #[test]
    fn lines_come_back_in_reverse_and_the_draft_at_last() {
        let mut history = History::default();
        assert_eq!(history.earlier("draft"), None);
        for line in ["one", "two", "two"] {
            history.add(line);
        }
        assert_eq!(history.later(), None);
        assert_eq!(history.earlier("draft"), Some("two"));
        assert_eq!(history.earlier("two"), Some("one"));
        assert_eq!(history.earlier("one"), None);
        assert_eq!(history.later(), Some("two"));
        assert_eq!(history.later(), Some("draft"));
        assert_eq!(history.later(), None);
    }
}
