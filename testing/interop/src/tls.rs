//! The TLS options: files with the certificate of this end and the roots that it trusts.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use towline::{ClientAuth, Tls, TlsServer};

/// The server's TLS options.
#[derive(Args)]
pub(crate) struct ServerTls {
    /// Use TLS, with this certificate
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of that certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Require a client certificate signed by this root
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
}

/// The client's TLS options.
#[derive(Args, Clone)]
pub(crate) struct ClientTls {
    /// Trust only servers whose certificates are signed by this root
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Send this certificate to servers that request one
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
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}
