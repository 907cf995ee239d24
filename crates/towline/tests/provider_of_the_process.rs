//! The application has installed a provider of cryptography for rustls: that is the one that is used,
//! whatever this library was built with.
//!
//! `cargo xtask test --only features` runs it with each set of providers.

#![allow(clippy::unwrap_used, missing_docs)]

use rustls::crypto::{CryptoProvider, ring};

// Where there is cryptography, nobody is told that there is none.
#[allow(dead_code)]
mod wss;

/// It can be told by the one cipher suite that it has.
#[tokio::test]
async fn it_is_used() {
    let only = ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;
    let provider = CryptoProvider { cipher_suites: vec![only], ..ring::default_provider() };
    provider.install_default().unwrap();
    let connection = wss::connects().await;
    assert_eq!(connection.tls().unwrap().cipher_suite, "TLS13_CHACHA20_POLY1305_SHA256");
}
