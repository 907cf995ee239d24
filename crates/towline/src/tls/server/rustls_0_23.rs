//! Servers with a configuration of rustls 0.23.

use std::sync::{Arc, RwLock};

use rustls::ServerConfig;

use crate::tls::server::{Configs, Inner, TlsServer};

impl TlsServer {
    /// Creates TLS with this configuration of rustls 0.23: for example, one that chooses a
    /// certificate by the server name. This library sets ALPN and disables early data.
    pub fn from_rustls_0_23(config: Arc<ServerConfig>) -> Self {
        let now = RwLock::new(Arc::new(Configs::of(&config)));
        Self(Arc::new(Inner { now, files: None, parts: None }))
    }

    /// Replaces the configuration for new handshakes. Earlier sessions can be resumed if the new
    /// configuration has the `ticketer` and the `session_storage` of the previous one. Keep them
    /// only if the same clients are accepted: rustls does not verify a client again that resumes a
    /// session.
    pub fn replace_rustls_0_23(&self, config: Arc<ServerConfig>) {
        self.put(Configs::of(&config));
    }
}
