//! Which cryptography is used: the application's choice, else what was compiled in.

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

/// The process's default where the application has installed one, else our own.
///
/// Never `ClientConfig::builder()`, which panics where two providers are compiled in or none, and
/// never `install_default`, which is the application's to call.
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

/// What makes session tickets, so that clients can come back without a full handshake and the server
/// keeps nothing for them. `None` where nothing was compiled in that could.
pub(crate) fn ticketer() -> Option<Arc<dyn ProducesTickets>> {
    own::ticketer()
}
