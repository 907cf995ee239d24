//! Certificates and keys, as programs have them.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{Error, ErrorKind, Result};

/// A chain of certificates, the end's own first, and its key.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

impl Identity {
    pub(crate) fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self> {
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            rustls::pki_types::pem::Error::NoItemsFound => {
                invalid("there is no private key in the PEM text (PKCS #8, PKCS #1 or SEC 1)")
            }
            error => invalid(format!("the private key is no valid PEM: {error}")),
        })?;
        Ok(Self { chain: certificates(chain)?, key })
    }

    pub(crate) fn from_der<C: Into<Vec<u8>>>(
        chain: impl IntoIterator<Item = C>,
        key: Vec<u8>,
    ) -> Result<Self> {
        let chain: Vec<_> = chain.into_iter().map(|der| CertificateDer::from(der.into())).collect();
        if chain.is_empty() {
            return Err(invalid("the chain has no certificate"));
        }
        let key = PrivateKeyDer::try_from(key)
            .map_err(|error| invalid(format!("the private key is not valid: {error}")))?;
        Ok(Self { chain, key })
    }
}

/// All certificates of a PEM text, of which there is at least one.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| invalid(format!("the certificates are no valid PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(invalid("there is no certificate in the PEM text"));
    }
    Ok(certificates)
}

/// A store of these roots.
pub(crate) fn root_store(roots: &[CertificateDer<'static>]) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).map_err(|error| {
            invalid(format!("a root certificate is not valid: {error}")).with_source(error)
        })?;
    }
    Ok(store)
}

/// What trusts these roots and nothing else.
pub(crate) fn verifier_of(
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>> {
    match WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build() {
        Ok(verifier) => Ok(verifier),
        Err(error) => {
            Err(invalid(format!("these roots can't be trusted: {error}")).with_source(error))
        }
    }
}

/// The error for what the program has given and can't be used.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidTls, message)
}
