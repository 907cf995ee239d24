//! Tracks whether a server has asked for a certificate that this end does not have.
//!
//! TLS 1.2 has no alert for a missing certificate (RFC 5246, section 7.4.6: "handshake_failure"),
//! and rustls reports the request only by calling the resolver: on this thread, while it processes
//! records.

use std::cell::Cell;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

thread_local! {
    static WAS_ASKED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a session on this thread has been asked since the last call.
pub(crate) fn take() -> bool {
    WAS_ASKED.take()
}

/// A resolver without a certificate that notes requests.
#[derive(Debug)]
pub(crate) struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        WAS_ASKED.set(true);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
