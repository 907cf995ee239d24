//! Whether a server has asked for a certificate that this end does not have.
//!
//! TLS 1.2 has no alert that says so (RFC 5246, section 7.4.6: "handshake_failure"), and rustls does
//! not tell of the request but by asking for a certificate: on this thread, while it takes what came.

use std::cell::Cell;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

thread_local! {
    static WAS_ASKED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a session has been asked on this thread since the last call.
pub(crate) fn take() -> bool {
    WAS_ASKED.take()
}

/// No certificate, but a note of it.
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
