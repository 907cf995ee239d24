//! From the path of a request to a file in the directory, and to none outside of it.

use std::path::{Path, PathBuf};

use crate::serve::percent;

/// The page of a directory.
const INDEX: &str = "index.html";

/// The parts of a path. None of them leads anywhere but down.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Segments {
    names: Vec<String>,
    /// The path ends with a slash.
    is_directory: bool,
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file, by its path without symbolic links.
    File(PathBuf),
    /// A directory without a slash at its end: the address with it, relative to this one.
    Elsewhere(String),
}

impl Segments {
    /// Takes a path apart. Returns `None` for one that can be no file that is served.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        if path.is_empty() {
            return Some(Self { names: Vec::new(), is_directory: true });
        }
        let (path, is_directory) = match path.strip_suffix('/') {
            Some(path) => (path, true),
            None => (path, false),
        };
        // Decoded once, and after they are taken apart: `%2f` is no slash, and `%252e` no dot.
        let names =
            path.split('/').map(|name| percent::decode_text(name).filter(|name| is_safe(name)));
        Some(Self { names: names.collect::<Option<_>>()?, is_directory })
    }

    /// Finds the file under this directory, which has no symbolic links.
    pub(crate) fn place(&self, root: &Path) -> Option<Place> {
        let mut path = root.to_path_buf();
        path.extend(&self.names);
        // Links are allowed that lead to a file in the directory.
        let mut path = within(root, &path)?;
        if path.is_dir() {
            if !self.is_directory {
                let name = path_segment(self.names.last()?);
                return Some(Place::Elsewhere(format!("./{name}/")));
            }
            path = within(root, &path.join(INDEX))?;
        } else if self.is_directory {
            return None;
        }
        // Opening a pipe would wait for its other end.
        path.is_file().then_some(Place::File(path))
    }
}

/// The path without symbolic links, if it is one that is served.
fn within(root: &Path, path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    let inside = path.strip_prefix(root).ok()?;
    let mut names = inside.iter();
    names.all(|name| name.to_str().is_some_and(is_safe)).then_some(path)
}

/// Whether a name is that of a file or directory that is served.
fn is_safe(name: &str) -> bool {
    // On Windows, a colon names a drive or a stream.
    let is_odd = |character: char| {
        character.is_control()
            || matches!(character, '/' | '\\')
            || cfg!(windows) && character == ':'
    };
    !name.is_empty() && !name.starts_with('.') && !name.contains(is_odd)
}

/// Encodes a name for an address.
fn path_segment(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                encoded.push(byte.into())
            }
            byte => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_down_only() {
        let of = |names: &[&str], is_directory| {
            Some(Segments {
                names: names.iter().map(|&name| name.to_owned()).collect(),
                is_directory,
            })
        };
        assert_eq!(Segments::of("/"), of(&[], true));
        assert_eq!(Segments::of("/a/b.js"), of(&["a", "b.js"], false));
        assert_eq!(Segments::of("/a/b/"), of(&["a", "b"], true));
        assert_eq!(Segments::of("/a%20b"), of(&["a b"], false));
        assert_eq!(Segments::of("/a%252e"), of(&["a%2e"], false));
        for path in [
            "",
            "a",
            "*",
            "/..",
            "/../",
            "/../etc/passwd",
            "/a/../../b",
            "/./a",
            "/%2e%2e/a",
            "/%2E./a",
            "/a/%2e%2e%2fb",
            "/a%2fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a%00.html",
            "/a%0a",
            "//",
            "//a",
            "/a//b",
            "/.git/config",
            "/%2egit/config",
            "/a/.env",
            "/%ff",
            "/%",
            "/%zz",
        ] {
            assert_eq!(Segments::of(path), None, "{path}");
        }
    }

    #[test]
    fn a_name_in_an_address_is_no_scheme_and_no_query() {
        assert_eq!(path_segment("javascript:a?b#c/é"), "javascript%3Aa%3Fb%23c%2F%C3%A9");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_inside_the_directory_only() {
        use std::fs;
        use std::os::unix::fs::symlink;

        let name = format!("towline-files-{}", std::process::id());
        let base = std::env::temp_dir().canonicalize().unwrap().join(name);
        let (root, outside) = (base.join("root"), base.join("root-outside"));
        for directory in [&root.join("docs"), &root.join(".git"), &outside] {
            fs::create_dir_all(directory).unwrap();
        }
        let files = ["index.html", "docs/a.txt", ".git/config", "../root-outside/secret"];
        for file in files {
            fs::write(root.join(file), file).unwrap();
        }
        for (target, link) in [
            ("docs/a.txt", "inside"),
            ("../root-outside/secret", "outside"),
            ("../root-outside", "directory"),
            (".git", "hidden"),
            ("loop", "loop"),
            ("missing", "dangling"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        let place = |path: &str| Segments::of(path)?.place(&root);
        assert_eq!(place("/"), Some(Place::File(root.join("index.html"))));
        assert_eq!(place("/inside"), Some(Place::File(root.join("docs/a.txt"))));
        assert_eq!(place("/docs"), Some(Place::Elsewhere("./docs/".into())));
        let paths = [
            "/docs/",
            "/outside",
            "/directory/secret",
            "/hidden/config",
            "/loop",
            "/dangling",
            "/missing",
            "/docs/a.txt/",
            "/index.html/x",
        ];
        for path in paths {
            assert_eq!(place(path), None, "{path}");
        }
        fs::remove_dir_all(&base).unwrap();
    }
}
