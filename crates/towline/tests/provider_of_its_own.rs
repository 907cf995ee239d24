//! The process has no provider of cryptography for rustls: this library uses its own, if it was built
//! with one or with several, and else it says so.
//!
//! `cargo xtask test --only features` runs it with each set of providers.

#![allow(clippy::unwrap_used, missing_docs)]

use rustls::crypto::CryptoProvider;

mod wss;

#[tokio::test]
async fn it_is_used_and_not_installed() {
    if wss::HAS_OWN {
        let connection = wss::connects().await;
        assert!(connection.is_secure());
    } else {
        wss::is_told().await;
    }
    assert!(CryptoProvider::get_default().is_none(), "that is for the application to do");
}
