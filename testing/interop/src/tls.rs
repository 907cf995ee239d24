//! TLS, where a suite asks for it: the files that say who this end is, and whom it trusts.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use towline::{ClientAuth, Tls, TlsServer};

/// Who the server is.
#[derive(Args)]
pub(crate) struct ServerTls {
    /// Speak TLS with this certificate
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of that certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Have clients show a certificate that this one has signed
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
}

/// Whom the client trusts, and who it is.
#[derive(Args, Clone)]
pub(crate) struct ClientTls {
    /// Trust servers whose certificates this one has signed, and no other
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Show this certificate to servers that ask for one
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The key of that certificate
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

impl ServerTls {
    pub(crate) fn load(&self) -> Result<Option<TlsServer>> {
        let (Some(chain), Some(key)) = (&self.tls_cert, &self.tls_key) else { return Ok(None) };
        let mut tls = TlsServer::from_pem_files(chain, key)?;
        if let Some(file) = &self.tls_client_ca {
            tls = tls.client_roots_pem(&read(file)?, ClientAuth::Required)?;
        }
        Ok(Some(tls))
    }
}

impl ClientTls {
    pub(crate) fn load(&self) -> Result<Tls> {
        let mut tls = Tls::new();
        if let Some(file) = &self.ca {
            tls = tls.only_added_roots().add_roots_pem(&read(file)?)?;
        }
        if let (Some(chain), Some(key)) = (&self.cert, &self.key) {
            tls = tls.identity_pem(&read(chain)?, &read(key)?)?;
        }
        Ok(tls)
    }
}

fn read(file: &PathBuf) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("can't read {}", file.display()))
}
