//! Servers that speak TLS.

use std::sync::Arc;

use crate::server::builder::ServerBuilder;
use crate::tls::TlsServer;

impl ServerBuilder {
    /// Sets that the server speaks TLS on what it listens on: clients come by `wss://`. Default: it
    /// does not.
    ///
    /// The TLS handshake is within the [`handshake_timeout`](Self::handshake_timeout) and counts among
    /// the [`max_handshakes`](Self::max_handshakes). A client that speaks plain HTTP is told so with
    /// a 400. One that fails is a [`ServerEvent::TlsFailed`](crate::ServerEvent::TlsFailed).
    /// [Streams of your own](crate::ServerHandle::serve) are taken as they are: see
    /// [`TlsServer::accept`].
    ///
    /// An idle connection holds some 4 KiB more, and no buffer. One whose peer does not read holds up
    /// to 80 KiB of ciphertext beside what is queued.
    pub fn tls(mut self, tls: TlsServer) -> Self {
        self.options.tls = Some(Arc::new(tls));
        self
    }
}
