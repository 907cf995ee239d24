//! nginx in front of the server, for HTTP and for HTTPS.

use std::fs;

use anyhow::{Context, Result};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;
use tokio::task::block_in_place;
use towline_kit::nginx::Options;
use towline_kit::{nginx, programs};

/// Silent connections are the server's to end.
const LOCATION: &str = "
    proxy_set_header Host $http_host;
    proxy_read_timeout 1h;
    proxy_send_timeout 1h;";

/// nginx, and its workers.
pub(crate) struct Nginx {
    nginx: nginx::Nginx,
    _certificate: TempDir,
    pub(crate) plain: u16,
    pub(crate) secure: u16,
}

impl Nginx {
    /// Starts nginx in front of the server on this port. `None` if it is not installed.
    ///
    /// # Errors
    ///
    /// If it has no certificate.
    ///
    /// # Panics
    ///
    /// Panics if it does not start.
    pub(crate) fn before(server: u16) -> Result<Option<Self>> {
        if programs::find("nginx").is_none() {
            return Ok(None);
        }
        let certificate = tempfile::tempdir().context("no temporary directory")?;
        let [chain, key] = ["cert.pem", "key.pem"].map(|name| certificate.path().join(name));
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".into()])?;
        fs::write(&chain, cert.pem())?;
        fs::write(&key, signing_key.serialize_pem())?;
        let mut options = Options::new(&chain, &key);
        (options.workers, options.connections, options.level) = (2, 9_000, "error");
        options.location = LOCATION.into();
        let upstream = format!("http://127.0.0.1:{server}");
        let nginx = block_in_place(|| nginx::Nginx::before(&upstream, &options));
        let (plain, secure) = (nginx.plain.port(), nginx.secure.port());
        Ok(Some(Self { nginx, _certificate: certificate, plain, secure }))
    }

    /// Ends it, with its workers. Prints the first of its errors.
    pub(crate) fn end(self) {
        if let Some(error) = self.nginx.log().lines().next() {
            println!("nginx said, first: {error}");
        }
        block_in_place(|| drop(self));
    }
}
