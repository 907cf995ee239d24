//! Opens a file on other systems than Linux.

use std::fs::File;
use std::io;
use std::path::Path;

/// Opens a file by a path without symbolic links.
pub(crate) fn open(_root: &Path, path: &Path) -> io::Result<File> {
    File::open(path)
}
