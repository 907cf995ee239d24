//! The provider of cryptography: the application's choice, otherwise the one that was compiled in.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::ProducesTickets;

use crate::error::{Error, ErrorKind, Result};

#[cfg(feature = "aws-lc-rs")]
#[path = "aws_lc_rs.rs"]
mod own;

#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
#[path = "ring.rs"]
mod own;

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
#[path = "no_provider.rs"]
mod own;

/// Returns the process's default provider if the application has installed one, otherwise this
/// crate's.
///
/// `ClientConfig::builder()` is not used, since it panics if no provider or two are compiled in.
/// `install_default` is left to the application.
pub(crate) fn choose() -> Result<Arc<CryptoProvider>> {
    if let Some(installed) = CryptoProvider::get_default() {
        return Ok(installed.clone());
    }
    own::provider().ok_or_else(|| {
        Error::new(
            ErrorKind::TlsUnavailable,
            "no cryptography for TLS: enable the feature `ring` or `aws-lc-rs` of towline (the \
             feature `tls` has one), or install a provider for the process \
             (CryptoProvider::install_default of rustls)",
        )
    })
}

/// Creates session tickets, so that clients can resume without state on the server. `None` if no
/// provider was compiled in.
pub(crate) fn ticketer() -> Option<Arc<dyn ProducesTickets>> {
    own::ticketer()
}
