//! What TLS negotiated, as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};
use towline::TlsInfo;

use crate::certificate::Certificate;

/// For people: what was negotiated, and the chain of the server's certificates.
pub(crate) fn text(info: &TlsInfo) -> String {
    let alpn = alpn(info).map_or_else(|| "no ALPN".to_owned(), |alpn| format!("ALPN {alpn}"));
    let session = if info.is_resumed { "an earlier session" } else { "a new session" };
    let mut text = format!("{}, {}, {alpn}, {session}", info.version, info.cipher_suite);
    for der in &info.peer_certificates {
        let Some(certificate) = Certificate::of(der) else {
            text.push_str("\ncertificate that can't be read");
            continue;
        };
        let Certificate { subject, issuer, not_before, not_after, fingerprint, .. } = &certificate;
        let _ = write!(text, "\ncertificate of {subject}, signed by {issuer}");
        if !certificate.names.is_empty() {
            let _ = write!(text, "\n  for {}", certificate.names.join(", "));
        }
        let expired = if certificate.is_expired { ": expired" } else { "" };
        let _ = write!(text, "\n  valid from {not_before} to {not_after}{expired}");
        let _ = write!(text, "\n  SHA-256 fingerprint {fingerprint}");
    }
    text
}

/// The same for programs.
pub(crate) fn json(info: &TlsInfo) -> Value {
    let certificates: Vec<_> = info
        .peer_certificates
        .iter()
        .filter_map(|der| Certificate::of(der))
        .map(|certificate| {
            json!({
                "subject": certificate.subject, "issuer": certificate.issuer,
                "names": certificate.names, "not_before": certificate.not_before,
                "not_after": certificate.not_after, "sha256": certificate.fingerprint,
            })
        })
        .collect();
    json!({
        "version": info.version, "cipher": info.cipher_suite, "alpn": alpn(info),
        "resumed": info.is_resumed, "certificates": certificates,
    })
}

fn alpn(info: &TlsInfo) -> Option<String> {
    // It is one of those offered.
    info.alpn.as_deref().map(|alpn| String::from_utf8_lossy(alpn).into_owned())
}
