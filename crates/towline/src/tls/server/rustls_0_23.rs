//! Configurations of rustls 0.23, as they are.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::ServerConfig;

use crate::tls::server::{Configs, Inner, Parts, TlsServer};

impl TlsServer {
    /// TLS as this configuration of rustls 0.23 says, but for ALPN: for one that chooses among
    /// certificates by name, say.
    pub fn from_rustls_0_23(config: Arc<ServerConfig>) -> Self {
        let parts = Parts {
            identity: None,
            clients: None,
            ticketer: Some(config.ticketer.clone()),
            sessions: config.session_storage.clone(),
        };
        let now = RwLock::new(Arc::new(Configs::of(&config)));
        Self(Arc::new(Inner { now, files: None, parts: Mutex::new(parts) }))
    }

    /// Goes by this configuration, for handshakes that begin from now on. Sessions of before can be
    /// resumed: tickets and storage stay those of the first.
    pub fn replace_rustls_0_23(&self, config: Arc<ServerConfig>) {
        let mut parts = self.0.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.identity = None;
        let mut config = ServerConfig::clone(&config);
        if let Some(ticketer) = &parts.ticketer {
            config.ticketer = ticketer.clone();
        }
        config.session_storage = parts.sessions.clone();
        self.put(Configs::of(&config));
    }
}
