//! Key bindings of the prompt.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::connect::line::Reach;

/// The action of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Insert(char),
    Enter,
    Left(Reach),
    Right(Reach),
    DeleteLeft(Reach),
    DeleteRight(Reach),
    Paste,
    /// Completes a command, or inserts a tab character.
    Complete,
    Earlier,
    Later,
    /// Searches for an earlier line.
    Search,
    /// Ends the search without a result.
    Cancel,
    ClearScreen,
    /// Ends the input if the line is empty; otherwise deletes a character.
    EndOrDelete,
    /// Ends the program, as a signal does.
    Interrupt,
    Suspend,
}

impl Key {
    /// The action of this key, as in a shell, if it has one.
    pub(crate) fn of(event: KeyEvent) -> Option<Self> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let with = |modifier| event.modifiers.contains(modifier);
        let (control, alt) = (with(KeyModifiers::CONTROL), with(KeyModifiers::ALT));
        let by_word = if control || alt { Reach::Word } else { Reach::Character };
        Some(match event.code {
            // Together they produce characters on some keyboards.
            KeyCode::Char(letter) if control && !alt => return Self::of_control(letter),
            KeyCode::Char('b') if alt && !control => Self::Left(Reach::Word),
            KeyCode::Char('f') if alt && !control => Self::Right(Reach::Word),
            KeyCode::Char('d') if alt && !control => Self::DeleteRight(Reach::Word),
            KeyCode::Char(letter) => Self::Insert(letter),
            KeyCode::Tab => Self::Complete,
            KeyCode::Enter => Self::Enter,
            KeyCode::Left => Self::Left(by_word),
            KeyCode::Right => Self::Right(by_word),
            KeyCode::Home => Self::Left(Reach::All),
            KeyCode::End => Self::Right(Reach::All),
            KeyCode::Backspace => Self::DeleteLeft(by_word),
            KeyCode::Delete => Self::DeleteRight(by_word),
            KeyCode::Esc => Self::Cancel,
            KeyCode::Up => Self::Earlier,
            KeyCode::Down => Self::Later,
            _ => return None,
        })
    }

    fn of_control(letter: char) -> Option<Self> {
        Some(match letter {
            'a' => Self::Left(Reach::All),
            'b' => Self::Left(Reach::Character),
            'c' => Self::Interrupt,
            'd' => Self::EndOrDelete,
            'e' => Self::Right(Reach::All),
            'f' => Self::Right(Reach::Character),
            'g' => Self::Cancel,
            'h' => Self::DeleteLeft(Reach::Character),
            'j' | 'm' => Self::Enter,
            'k' => Self::DeleteRight(Reach::All),
            'l' => Self::ClearScreen,
            'n' => Self::Later,
            'p' => Self::Earlier,
            'r' => Self::Search,
            'u' => Self::DeleteLeft(Reach::All),
            'w' => Self::DeleteLeft(Reach::Word),
            'y' => Self::Paste,
            'z' => Self::Suspend,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Option<Key> {
        Key::of(KeyEvent::new(code, modifiers))
    }

    #[test]
    fn keys_do_what_they_do_in_a_shell() {
        let (none, control) = (KeyModifiers::NONE, KeyModifiers::CONTROL);
        assert_eq!(key(KeyCode::Char('a'), none), Some(Key::Insert('a')));
        assert_eq!(key(KeyCode::Char('A'), KeyModifiers::SHIFT), Some(Key::Insert('A')));
        assert_eq!(key(KeyCode::Char('a'), control), Some(Key::Left(Reach::All)));
        assert_eq!(key(KeyCode::Left, control), Some(Key::Left(Reach::Word)));
        assert_eq!(key(KeyCode::Backspace, KeyModifiers::ALT), Some(Key::DeleteLeft(Reach::Word)));
        assert_eq!(key(KeyCode::Char('@'), control | KeyModifiers::ALT), Some(Key::Insert('@')));
        assert_eq!(key(KeyCode::F(1), none), None);
    }
}
