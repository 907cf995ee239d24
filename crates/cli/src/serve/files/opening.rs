//! Opens a file on Linux: without following a link that has taken its place, and without waiting.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, open as open_at, openat2};
use rustix::io::Errno;

/// No link in the place of what was no link, and nothing outside of the directory.
const RESOLVE: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// Reads only. A pipe is open at once, and turned away by its kind.
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// Opens a file in this directory, both by a path without symbolic links.
pub(crate) fn open(root: &Path, path: &Path) -> io::Result<File> {
    let inside = path.strip_prefix(root).map_err(io::Error::other)?;
    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = open_at(root, directory, Mode::empty())?;
    match openat2(&directory, inside, READ, Mode::empty(), RESOLVE) {
        Ok(file) => Ok(file.into()),
        // Linux before 5.6, or a sandbox that does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => {
            Ok(open_at(path, READ | OFlags::NOFOLLOW, Mode::empty())?.into())
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_that_has_taken_the_place_of_a_file_is_not_followed() {
        let base = std::env::temp_dir().join(format!("towline-opening-{}", std::process::id()));
        let root = base.join("site");
        fs::create_dir_all(root.join("docs")).unwrap();
        fs::create_dir_all(base.join("private")).unwrap();
        fs::write(root.join("docs/a.txt"), "a").unwrap();
        fs::write(base.join("private/a.txt"), "secret").unwrap();
        let base = base.canonicalize().unwrap();
        let root = base.join("site");
        let path = root.join("docs/a.txt");
        assert_eq!(io::read_to_string(open(&root, &path).unwrap()).unwrap(), "a");
        assert!(open(&root, &base.join("private/a.txt")).is_err());

        // Between finding the file and opening it, a link takes the place of it, or of its directory.
        fs::remove_file(&path).unwrap();
        symlink("../../private/a.txt", &path).unwrap();
        assert!(open(&root, &path).is_err());
        fs::remove_dir_all(root.join("docs")).unwrap();
        symlink("../private", root.join("docs")).unwrap();
        assert!(open(&root, &path).is_err());

        // A pipe that nobody writes to is not waited for.
        let pipe = root.join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert!(!open(&root, &pipe).unwrap().metadata().unwrap().is_file());
        fs::remove_dir_all(&base).unwrap();
    }
}
