//! TLS for libraries without their own, as the documentation of tokio-rustls shows it: the same provider for
//! all, TLS 1.3 and 1.2, and sessions resumed by tickets.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Reads the files in the directory of `--tls`.
pub const CHAIN: &str = "chain.pem";
pub const KEY: &str = "key.pem";

/// # Errors
///
/// If the directory lacks the certificate or its key.
pub(crate) fn acceptor(directory: &Path) -> Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(directory.join(CHAIN))
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .context("no certificate")?;
    let key = PrivateKeyDer::from_pem_file(directory.join(KEY)).context("no key")?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.ticketer = ring::Ticketer::new()?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
