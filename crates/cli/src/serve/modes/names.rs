//! The names of rooms and of the people in them. `console/names.js` has the same rules, in the same words.

use crate::say::is_obeyed;
use crate::serve::percent;

/// The room of a path without a name.
pub(crate) const LOBBY: &str = "lobby";

/// The most characters of a room's name.
const MAX_ROOM: usize = 64;

/// The most characters of a person's name.
const MAX_NAME: usize = 32;

/// The room that a path names: `/harbour` is `harbour`, and `/` is the lobby.
pub(crate) fn room(path: &str) -> Result<String, String> {
    let decoded = percent::decode_text(path.trim_matches('/'))
        .ok_or("the path is not a name: it is not UTF-8 when it is decoded")?;
    let name = decoded.trim();
    match name {
        "" => Ok(LOBBY.to_owned()),
        name => check(name, "room", MAX_ROOM).map(str::to_owned),
    }
}

/// A name for a person, without spaces at its ends.
pub(crate) fn person(name: &str) -> Result<String, String> {
    let name = name.trim();
    if name.is_empty() {
        return Err("a name has at least one character".to_owned());
    }
    // Lines have the form `name: text`, and those that begin with an asterisk are the server's.
    if name.contains(':') || name.starts_with('*') {
        return Err("a name has no colon, and does not begin with an asterisk".to_owned());
    }
    check(name, "person", MAX_NAME).map(str::to_owned)
}

fn check<'n>(name: &'n str, of: &str, limit: usize) -> Result<&'n str, String> {
    let length = name.chars().count();
    if length > limit {
        return Err(format!("the name of a {of} has {length} characters; the limit is {limit}"));
    }
    let is_hidden = name.chars().any(|character| is_obeyed(character) || is_invisible(character));
    if is_hidden || fold(name).is_empty() {
        return Err(format!("the name of a {of} has a control or invisible character"));
    }
    Ok(name)
}

/// A name for comparing: two that look the same but for case are one.
pub(crate) fn fold(name: &str) -> String {
    let shown = name.chars().filter(|character| !is_joiner(*character));
    shown.collect::<String>().to_lowercase()
}

/// Whether a character makes a name another and does not show: those with Unicode's property
/// Default_Ignorable_Code_Point, except for joiners.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    ) && !is_joiner(character)
}

/// Whether a character joins its neighbours or says how they are shown: Persian names and emoji have
/// them.
fn is_joiner(character: char) -> bool {
    matches!(character, '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_room() {
        for (path, expected) in [
            ("/", "lobby"),
            ("//", "lobby"),
            ("/%20/", "lobby"),
            ("/harbour", "harbour"),
            ("/harbour/", "harbour"),
            ("/pier/7", "pier/7"),
            ("/caf%C3%A9", "café"),
        ] {
            assert_eq!(room(path).as_deref(), Ok(expected), "{path}");
        }
        for (path, words) in [
            ("/%ff", "not UTF-8"),
            ("/%zz", "not UTF-8"),
            ("/a%0ab", "control or invisible character"),
            ("/a%E2%80%AEb", "control or invisible character"),
            (&format!("/{}", "x".repeat(65)), "65 characters; the limit is 64"),
        ] {
            assert!(room(path).unwrap_err().contains(words), "{path}");
        }
    }

    #[test]
    fn a_person_has_a_name_that_can_be_told_from_what_is_said() {
        assert_eq!(person(" Ada Lovelace ").as_deref(), Ok("Ada Lovelace"));
        for name in ["", "  ", "ada: hello", "* eve", "a\nb", "\u{202e}a", &"x".repeat(33)] {
            assert!(person(name).is_err(), "{name:?}");
        }
        for invisible in ["\u{200b}", "\u{2060}", "\u{feff}", "\u{ad}", "\u{e0041}", "\u{3164}"] {
            let why = person(&format!("a{invisible}da")).unwrap_err();
            assert!(why.contains("control or invisible character"), "{invisible:?}: {why}");
            assert!(room(&format!("/{invisible}")).is_err());
        }
        assert!(person("\u{200d}\u{fe0f}").is_err());
        for name in ["👩\u{200d}🚀", "علی\u{200c}رضا", "❤\u{fe0f}"] {
            assert_eq!(person(name).as_deref(), Ok(name));
        }
        assert_eq!(fold("Ad\u{200d}A"), "ada");
    }
}
