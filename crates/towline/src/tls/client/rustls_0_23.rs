//! Clients with a configuration of rustls 0.23.

use std::sync::Arc;

use rustls::ClientConfig;

use crate::tls::client::{Options, Tls};

impl Tls {
    /// Creates TLS with this configuration of rustls 0.23: for verifiers, providers or hardware
    /// keys that this library has no options for.
    ///
    /// This library sets ALPN, so the configuration can be shared with HTTPS clients.
    /// [`server_name`](Self::server_name) applies too. A certificate of the client is not sent to
    /// proxies, nor to servers of another origin after a redirect, as with
    /// [`identity_pem`](Self::identity_pem). If roots or an identity are set as well, connecting fails
    /// with [`ErrorKind::InvalidTls`](crate::ErrorKind::InvalidTls).
    pub fn from_rustls_0_23(config: Arc<ClientConfig>) -> Self {
        let options = Options { is_rustls: true, ..Options::default() };
        Self { options, named: Arc::new(config.into()), others: Arc::default() }
    }
}
