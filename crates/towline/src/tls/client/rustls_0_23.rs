//! Configurations of rustls 0.23, as they are.

use std::sync::Arc;

use rustls::ClientConfig;

use crate::tls::client::{Options, Tls};

impl Tls {
    /// TLS as this configuration of rustls 0.23 says: for verifiers, providers or hardware keys that
    /// this library knows nothing of.
    ///
    /// ALPN is this library's still, so that a configuration shared with HTTPS clients will do, and so
    /// is [`server_name`](Self::server_name). To set roots or an identity as well is an
    /// [`ErrorKind::InvalidTls`](crate::ErrorKind::InvalidTls) of connecting.
    pub fn from_rustls_0_23(config: Arc<ClientConfig>) -> Self {
        let options = Options { is_rustls: true, ..Options::default() };
        Self { options, named: Arc::new(config.into()), others: Arc::default() }
    }
}
