//! The certificate of the servers for one measurement.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{CertifiedKey, generate_simple_self_signed};

/// Writes a certificate for loopback and its key, on P-256, for all servers.
///
/// # Errors
///
/// If a file cannot be written.
pub(crate) fn write(directory: &Path) -> Result<()> {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names)?;
    fs::create_dir_all(directory).with_context(|| format!("cannot make {directory:?}"))?;
    for (name, text) in [("chain.pem", cert.pem()), ("key.pem", signing_key.serialize_pem())] {
        let path = directory.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {path:?}"))?;
    }
    Ok(())
}
