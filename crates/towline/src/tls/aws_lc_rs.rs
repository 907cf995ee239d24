//! The provider `aws-lc-rs`.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::ProducesTickets;

pub(crate) fn provider() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(default_provider()))
}

pub(crate) fn ticketer() -> Option<Arc<dyn ProducesTickets>> {
    Ticketer::new().ok()
}
