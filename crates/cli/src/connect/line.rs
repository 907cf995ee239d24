//! A line being edited: its text and its cursor.

use unicode_segmentation::UnicodeSegmentation as _;

/// A line being edited. The cursor stands between graphemes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line {
    text: String,
    /// In bytes, at the edge of a grapheme.
    cursor: usize,
    /// The text that was cut last.
    cut: String,
}

/// How far to move or delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// One grapheme.
    Character,
    Word,
    /// To the end of the line.
    All,
}

impl Line {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The text before the cursor.
    pub(crate) fn before(&self) -> &str {
        &self.text[..self.cursor]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Replaces the text.
    pub(crate) fn set(&mut self, text: &str) {
        text.clone_into(&mut self.text);
        self.cursor = text.len();
    }

    /// Takes the text and leaves an empty line.
    pub(crate) fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    pub(crate) fn insert(&mut self, text: &str) {
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
    }

    pub(crate) fn go_left(&mut self, reach: Reach) {
        self.cursor = self.left(reach);
    }

    pub(crate) fn go_right(&mut self, reach: Reach) {
        self.cursor = self.right(reach);
    }

    pub(crate) fn delete_left(&mut self, reach: Reach) {
        let start = self.left(reach);
        let deleted: String = self.text.drain(start..self.cursor).collect();
        self.cursor = start;
        self.keep(deleted, reach);
    }

    pub(crate) fn delete_right(&mut self, reach: Reach) {
        let deleted: String = self.text.drain(self.cursor..self.right(reach)).collect();
        self.keep(deleted, reach);
    }

    /// Inserts the text that was cut last.
    pub(crate) fn paste(&mut self) {
        let cut = self.cut.clone();
        self.insert(&cut);
    }

    fn keep(&mut self, deleted: String, reach: Reach) {
        if reach != Reach::Character && !deleted.is_empty() {
            self.cut = deleted;
        }
    }

    fn left(&self, reach: Reach) -> usize {
        let before = self.before();
        match reach {
            Reach::Character => before.grapheme_indices(true).next_back().map_or(0, |(at, _)| at),
            Reach::Word => {
                let word = before.trim_end();
                word.rfind(char::is_whitespace).map_or(0, |space| {
                    space + word[space..].chars().next().map_or(0, char::len_utf8)
                })
            }
            Reach::All => 0,
        }
    }

    fn right(&self, reach: Reach) -> usize {
        let after = &self.text[self.cursor..];
        let length = match reach {
            Reach::Character => after.graphemes(true).next().map_or(0, str::len),
            Reach::Word => {
                let space = after.len() - after.trim_start().len();
                after[space..].find(char::is_whitespace).map_or(after.len(), |end| space + end)
            }
            Reach::All => after.len(),
        };
        self.cursor + length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line from a text in which `|` is the cursor.
    fn line(text: &str) -> Line {
        let cursor = text.find('|').unwrap();
        Line { text: text.replace('|', ""), cursor, cut: String::new() }
    }

    fn shown(line: &Line) -> String {
        format!("{}|{}", line.before(), &line.text()[line.cursor..])
    }

    #[track_caller]
    fn check(before: &str, edit: impl FnOnce(&mut Line), after: &str) {
        let mut line = line(before);
        edit(&mut line);
        assert_eq!(shown(&line), after);
    }

    #[test]
    fn text_is_inserted_at_the_cursor() {
        check("ship| ahoy", |line| line.insert("s"), "ships| ahoy");
        check("|", |line| line.set("ahoy"), "ahoy|");
    }

    #[test]
    fn the_cursor_goes_by_characters_as_people_see_them() {
        check("a👩‍🚀|b", |line| line.go_left(Reach::Character), "a|👩‍🚀b");
        check("a|e\u{301}b", |line| line.go_right(Reach::Character), "ae\u{301}|b");
        check("|a", |line| line.go_left(Reach::Character), "|a");
        check("a|", |line| line.go_right(Reach::Character), "a|");
    }

    #[test]
    fn the_cursor_goes_by_words() {
        check("one two |", |line| line.go_left(Reach::Word), "one |two ");
        check("one|", |line| line.go_left(Reach::Word), "|one");
        check("one| two three", |line| line.go_right(Reach::Word), "one two| three");
        check("one| two", |line| line.go_left(Reach::All), "|one two");
        check("one| two", |line| line.go_right(Reach::All), "one two|");
    }

    #[test]
    fn what_is_deleted_can_be_put_back() {
        check("日本|", |line| line.delete_left(Reach::Character), "日|");
        check("a|日本", |line| line.delete_right(Reach::Character), "a|本");
        check("one two|!", |line| line.delete_left(Reach::Word), "one |!");
        let swap = |line: &mut Line| {
            line.delete_right(Reach::All);
            line.go_left(Reach::All);
            line.paste();
        };
        check("one| two", swap, " two|one");
        let again = |line: &mut Line| {
            line.delete_left(Reach::All);
            line.delete_left(Reach::All);
            line.paste();
        };
        check("one|", again, "one|");
    }
}
