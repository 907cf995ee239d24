//! No default roots.

use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;

use crate::error::{Error, ErrorKind, Result};
use crate::tls::pem;

/// Creates a verifier that trusts these roots.
pub(crate) fn verifier(
    extra: &[CertificateDer<'static>],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>> {
    if extra.is_empty() {
        return Err(Error::new(
            ErrorKind::TlsUnavailable,
            "no certificate is trusted: enable the feature `platform-verifier` or `webpki-roots` of \
             towline (the feature `tls` has one), or name roots with Tls::add_roots_pem",
        ));
    }
    pem::verifier_of(pem::root_store(extra)?, provider)
}
