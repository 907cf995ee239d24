//! Mozilla's roots, as of the build.

use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;

use crate::error::Result;
use crate::tls::pem;

/// Creates a verifier that trusts these roots as well.
pub(crate) fn verifier(
    extra: &[CertificateDer<'static>],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>> {
    let mut roots = pem::root_store(extra)?;
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    pem::verifier_of(roots, provider)
}
