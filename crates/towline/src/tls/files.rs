//! The PEM files of a server: its certificate chain and its private key.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::tls::pem::{self, Identity};

/// The paths of both, which can be the same.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl Files {
    /// Reads the files. To be read `again`, a file has to be a regular one, after following links:
    /// reading a pipe could block forever.
    pub(crate) fn read(&self, again: bool) -> Result<Identity> {
        let Self { chain, key } = self;
        let of_chain = content(chain, again)?;
        // A pipe can be read only once.
        let of_key = if chain == key { of_chain.clone() } else { content(key, again)? };
        let chain = pem::certificates(&of_chain).map_err(|error| of_file(chain, error))?;
        let key = pem::private_key(&of_key).map_err(|error| of_file(key, error))?;
        Ok(Identity { chain, key })
    }

    /// Adds the files' names to an error.
    pub(crate) fn named_in(&self, error: Error) -> Error {
        let message = format!("{} and {}: {error}", self.chain.display(), self.key.display());
        Error::new(error.kind(), message).with_source(error)
    }
}

fn content(path: &Path, again: bool) -> Result<Vec<u8>> {
    let unable = |why: String| pem::invalid(format!("can't read {}: {why}", path.display()));
    let failed = |error: io::Error| unable(error.to_string()).with_source(error);
    if again && !std::fs::metadata(path).map_err(failed)?.is_file() {
        let why = "it is not a regular file, and can't be read again";
        return Err(unable(why.to_owned()));
    }
    std::fs::read(path).map_err(failed)
}

/// Adds the file's name to an error, and to the commands that it recommends.
fn of_file(path: &Path, error: Error) -> Error {
    let path = path.display().to_string();
    let advice = error.to_string().replace("-in FILE", &format!("-in {path}"));
    let advice = advice.replace("-f FILE", &format!("-f {path}"));
    Error::new(error.kind(), format!("{path}: {advice}")).with_source(error)
}
