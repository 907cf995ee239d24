//! Configurations of rustls 0.23, as they are.

use std::sync::{Arc, RwLock};

use rustls::ServerConfig;

use crate::tls::server::{Configs, Inner, TlsServer};

impl TlsServer {
    /// TLS as this configuration of rustls 0.23 says: for one that chooses among certificates by
    /// name, say. ALPN is this library's still, and there is no early data.
    pub fn from_rustls_0_23(config: Arc<ServerConfig>) -> Self {
        let now = RwLock::new(Arc::new(Configs::of(&config)));
        Self(Arc::new(Inner { now, files: None, parts: None }))
    }

    /// Goes by this configuration, for handshakes that begin from now on. Sessions of before can be
    /// resumed if it has the `ticketer` and the `session_storage` of the one before: whether they
    /// may be is for the program to say, since rustls verifies no client once more that resumes.
    pub fn replace_rustls_0_23(&self, config: Arc<ServerConfig>) {
        self.put(Configs::of(&config));
    }
}
