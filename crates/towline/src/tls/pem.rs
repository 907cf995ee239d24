//! Parses certificates and keys.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{Error, ErrorKind, Result};
use crate::tls::diagnosis;

/// A certificate chain, this end's own first, and its private key.
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
        Ok(Self { chain: certificates(chain)?, key: private_key(key)? })
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

/// Parses the private key of a PEM text. The parser's error is not passed on, since it quotes the text.
pub(crate) fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>> {
    let text = without_bom(pem);
    PrivateKeyDer::from_pem_slice(text).map_err(|error| invalid(diagnosis::of_key(text, &error)))
}

/// Parses all certificates of a PEM text, which must contain at least one.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let text = without_bom(pem);
    let certificates = CertificateDer::pem_slice_iter(text).collect();
    let certificates: std::result::Result<Vec<_>, _> = certificates;
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(invalid(diagnosis::of_certificates(text, &pem::Error::NoItemsFound)))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(invalid(diagnosis::of_certificates(text, &error))),
    }
}

/// Strips the byte order mark that some editors write.
fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Checks that the provider of cryptography can sign with a key.
pub(crate) fn check_key(key: &PrivateKeyDer<'static>, provider: &CryptoProvider) -> Result<()> {
    match provider.key_provider.load_private_key(key.clone_key()) {
        Ok(_) => Ok(()),
        Err(error) => {
            let message = format!(
                "the private key is of a kind or on a curve that the provider of cryptography can't \
                 use ({error}): make one of ECDSA on P-256 or P-384, Ed25519, or RSA with 2048 bits \
                 or more, and a certificate for it, as with `openssl genpkey -algorithm EC -pkeyopt \
                 ec_paramgen_curve:P-256 -out key.pem`"
            );
            Err(invalid(message).with_source(error))
        }
    }
}

/// Creates a store of these roots.
pub(crate) fn root_store(roots: &[CertificateDer<'static>]) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).map_err(|error| {
            invalid(format!("a root certificate is not valid: {error}")).with_source(error)
        })?;
    }
    Ok(store)
}

/// Creates a verifier that trusts only these roots.
pub(crate) fn verifier_of(
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>> {
    match WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build() {
        Ok(verifier) => Ok(verifier),
        Err(error) => Err(invalid(format!("the roots can't be used: {error}")).with_source(error)),
    }
}

/// The error for an option that can't be used.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidTls, message)
}
