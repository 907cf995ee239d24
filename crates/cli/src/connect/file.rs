//! Files that are sent as messages.

use std::{fs, io};

/// Reads a file. A pipe or a device may have no end, so it has to be a regular file.
pub(crate) fn read(path: &str) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    fs::read(path)
}
