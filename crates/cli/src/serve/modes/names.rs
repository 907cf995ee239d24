//! The names of rooms and of the people in them.

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
    match name.chars().any(is_obeyed) {
        true => Err(format!("the name of a {of} has a control character")),
        false => Ok(name),
    }
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
            ("/a%0ab", "control character"),
            ("/a%E2%80%AEb", "control character"),
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
    }
}
