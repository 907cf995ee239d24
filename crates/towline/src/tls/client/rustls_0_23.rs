//! Configurations of rustls 0.23, as they are.

use std::sync::Arc;

use rustls::ClientConfig;

use crate::tls::client::{Options, Tls};

impl Tls {
    /// TLS as this configuration of rustls 0.23 says: for verifiers, providers or hardware keys that
    /// this library knows nothing of.
    ///
    /// ALPN is this library's still, so that a configuration shared with HTTPS clients will do, and so
    /// is [`server_name`](Self::server_name). Whatever else is set afterwards makes another
    /// configuration, without anything of this one.
    pub fn from_rustls_0_23(config: Arc<ClientConfig>) -> Self {
        Self { options: Options::default(), config: Arc::new(config.into()) }
    }
}
