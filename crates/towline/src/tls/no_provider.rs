//! No provider was compiled in.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::ProducesTickets;

pub(crate) fn provider() -> Option<Arc<CryptoProvider>> {
    None
}

pub(crate) fn ticketer() -> Option<Arc<dyn ProducesTickets>> {
    None
}
