//! What Tab adds to a line: the rest of a command, or of the name of a file.

use std::fs;

use crate::connect::command::NAMES;

/// What Tab does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Completion {
    /// Adds this text, which is the same for all that could follow.
    Add(String),
    /// Nothing could follow, or several things could that differ in their next character.
    Unknown,
    /// The line has nothing to complete: the key is a tab character.
    Nothing,
}

/// Completes what stands before the cursor.
pub(crate) fn complete(before: &str) -> Completion {
    if !before.starts_with('/') || before.starts_with("//") {
        return Completion::Nothing;
    }
    let found: Vec<String> = match before.split_once(' ') {
        None => rests(NAMES.iter().map(|name| (*name).to_owned()), before),
        Some(("/binary" | "/save", path)) => files(path),
        Some(_) => Vec::new(),
    };
    match shared(&found) {
        "" => Completion::Unknown,
        shared => Completion::Add(shared.to_owned()),
    }
}

/// The rests of the names of files that begin with this path.
fn files(path: &str) -> Vec<String> {
    let (directory, start) = match path.rfind('/') {
        Some(slash) => path.split_at(slash + 1),
        None => ("", path),
    };
    let from = if directory.is_empty() { "." } else { directory };
    let entries = fs::read_dir(from).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let is_hidden = name.starts_with('.') && !start.starts_with('.');
        let is_directory = fs::metadata(entry.path()).is_ok_and(|about| about.is_dir());
        (!is_hidden).then(|| if is_directory { name + "/" } else { name })
    });
    rests(names, start)
}

fn rests(names: impl Iterator<Item = String>, start: &str) -> Vec<String> {
    names.filter_map(|name| name.strip_prefix(start).map(str::to_owned)).collect()
}

/// The beginning that all have in common.
fn shared(texts: &[String]) -> &str {
    let Some((first, rest)) = texts.split_first() else { return "" };
    let is_same = |(at, character): &(usize, char)| {
        rest.iter().all(|text| text.get(*at..).is_some_and(|text| text.starts_with(*character)))
    };
    let end = first.char_indices().find(|next| !is_same(next)).map_or(first.len(), |(at, _)| at);
    &first[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(text: &str) -> Completion {
        Completion::Add(text.to_owned())
    }

    #[test]
    fn commands_are_completed_as_far_as_they_are_known() {
        assert_eq!(complete("/pi"), add("ng "));
        assert_eq!(complete("/he"), Completion::Unknown);
        assert_eq!(complete("/hel"), add("p"));
        assert_eq!(complete("/dance"), Completion::Unknown);
        assert_eq!(complete("/close 10"), Completion::Unknown);
        for text in ["", "a", "//pi", "a /pi"] {
            assert_eq!(complete(text), Completion::Nothing, "{text}");
        }
    }

    #[test]
    fn names_of_files_are_completed() {
        let directory = std::env::temp_dir().join(format!("towline-tab-{}", std::process::id()));
        fs::create_dir_all(directory.join("photos")).unwrap();
        for name in ["one é.jpg", "one è.jpg", ".hidden"] {
            fs::write(directory.join(name), "").unwrap();
        }
        let complete = |rest: &str| complete(&format!("/binary {}/{rest}", directory.display()));
        assert_eq!(complete("o"), add("ne "));
        assert_eq!(complete("one "), Completion::Unknown);
        assert_eq!(complete("ph"), add("otos/"));
        assert_eq!(complete(".h"), add("idden"));
        assert_eq!(complete("photos/"), Completion::Unknown);
        fs::remove_dir_all(&directory).unwrap();
    }
}
