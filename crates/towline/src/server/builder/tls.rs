//! The TLS options of servers.

use std::sync::Arc;

use crate::server::builder::ServerBuilder;
use crate::tls::TlsServer;

impl ServerBuilder {
    /// Sets that listening sockets speak TLS, so that clients connect with `wss://`. Default: they
    /// do not.
    ///
    /// The [`handshake_timeout`](Self::handshake_timeout) includes the TLS handshake, which also
    /// counts towards [`max_handshakes`](Self::max_handshakes). A client that speaks plain HTTP is
    /// answered with a 400 that says so. A failed handshake is a
    /// [`ServerEvent::HandshakeFailed`](crate::ServerEvent::HandshakeFailed). [Streams of your
    /// own](crate::ServerHandle::serve) are used as they are: see [`TlsServer::accept`].
    ///
    /// An idle connection costs some 4 KiB more than without TLS. If the peer does not read, a
    /// connection holds up to 80 KiB of ciphertext in addition to its queue.
    pub fn tls(mut self, tls: TlsServer) -> Self {
        self.options.tls = Some(Arc::new(tls));
        self
    }
}
