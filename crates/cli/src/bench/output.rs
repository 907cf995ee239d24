//! A file that results are written to: opened before a run, so that a path which can't be written costs
//! no run.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};

/// A file of an option, which has its old contents until it is written.
#[derive(Debug)]
pub(crate) struct Output {
    option: &'static str,
    path: PathBuf,
    file: File,
}

impl Output {
    /// Opens the file, or makes an empty one.
    ///
    /// # Errors
    ///
    /// It can't be written.
    pub(crate) fn open(option: &'static str, path: &Path) -> Result<Self, Failure> {
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = opened.map_err(|error| failure(option, path, &error))?;
        Ok(Self { option, path: path.to_owned(), file })
    }

    /// Replaces its contents.
    ///
    /// # Errors
    ///
    /// The disk is full, for example.
    pub(crate) fn write(mut self, text: &str) -> Result<(), Failure> {
        // A pipe has no length.
        let _ = self.file.set_len(0);
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|error| failure(self.option, &self.path, &error))
    }
}

fn failure(option: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Unclean, format!("{option}: can't write {}: {error}", path.display()))
}
