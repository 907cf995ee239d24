//! Handshakes that failed elsewhere, reported as the server's.

use std::net::SocketAddr;

use http::StatusCode;

use crate::error::ErrorKind;
#[cfg(doc)]
use crate::server::event::ServerEvent;
use crate::server::handle::ServerHandle;

impl ServerHandle {
    /// Reports a TLS handshake that failed as [`ServerEvent::HandshakeFailed`], for your own accept
    /// loop. Listening sockets of the server report theirs themselves.
    ///
    /// Errors of the kind [`ErrorKind::RequestGone`] are ignored: the client disconnected before it
    /// sent anything.
    ///
    /// ```no_run
    /// # #[cfg(feature = "rustls")]
    /// # async fn example(
    /// #     server: towline::ServerHandle,
    /// #     tls: towline::TlsServer,
    /// #     stream: tokio::net::TcpStream,
    /// #     peer: std::net::SocketAddr,
    /// # ) {
    /// match tls.accept(stream).await {
    ///     Ok(stream) => server.serve(stream, Some(peer)),
    ///     Err(error) => server.report_tls_failure(error.kind(), error.to_string(), Some(peer)),
    /// }
    /// # }
    /// ```
    pub fn report_tls_failure(
        &self,
        kind: ErrorKind,
        reason: impl Into<String>,
        peer_addr: Option<SocketAddr>,
    ) {
        self.gate.hub.tls_failed(kind, reason.into(), peer_addr);
    }

    /// Reports a handshake that failed before there was a request, as
    /// [`ServerEvent::HandshakeFailed`], for your own HTTP server. `kind` is one of that event's table,
    /// and `status` that of the response, if there was one. Report each failure once: those of
    /// [requests](Self::upgrade) and of [streams](Self::serve) that the server gets are reported by it,
    /// and TLS has [a method of its own](Self::report_tls_failure).
    ///
    /// ```
    /// # fn example(server: towline::ServerHandle, peer: std::net::SocketAddr) {
    /// use towline::ErrorKind;
    ///
    /// let reason = "no whole request within 10s";
    /// server.report_handshake_failure(ErrorKind::HandshakeTimeout, reason, None, Some(peer));
    /// # }
    /// ```
    pub fn report_handshake_failure(
        &self,
        kind: ErrorKind,
        reason: impl Into<String>,
        status: Option<StatusCode>,
        peer_addr: Option<SocketAddr>,
    ) {
        self.gate.hub.handshake_failed(kind, reason.into(), status, peer_addr);
    }
}
