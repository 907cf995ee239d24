//! What happens at a server, for who watches it.

use std::net::SocketAddr;
use std::sync::Arc;

use http::StatusCode;
use tokio::sync::broadcast::{self, error::RecvError};
use towline_proto::Closed;

use crate::connection::Info;
use crate::error::ErrorKind;

/// What happens at a server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A request was accepted, and the answer is on its way. [`Connected`](Self::Connected)
    /// follows, unless the client has gone before it had the answer: nothing follows then.
    #[doc(alias = "requestAccepted")]
    Accepted(Arc<Info>),
    /// A request was rejected: by the program, or because it is no valid handshake.
    #[doc(alias = "requestRejected")]
    Rejected {
        /// The status of the answer.
        status: StatusCode,
        /// The reason in the answer.
        reason: String,
        /// The address at the other end of the transport.
        peer_addr: Option<SocketAddr>,
    },
    /// A TLS handshake failed, so that there is no request. A client that goes before it has said
    /// anything is not told of.
    TlsFailed {
        /// What kind of thing went wrong, as of the error of
        /// [`TlsServer::accept`](crate::TlsServer::accept). [`ErrorKind::HandshakeTimeout`]: it took
        /// too long.
        kind: ErrorKind,
        /// What it was, in words: that the client speaks plain HTTP, or does not accept the
        /// certificate, say.
        reason: String,
        /// The address at the other end of the transport.
        peer_addr: Option<SocketAddr>,
    },
    /// A connection is established.
    #[doc(alias = "connect")]
    Connected(Arc<Info>),
    /// A connection has ended, and how.
    #[doc(alias = "close")]
    Closed(Arc<Info>, Closed),
    /// So many events were missed, because they came faster than they were taken.
    Missed(u64),
}

/// The events of a server from now on, see [`ServerHandle::events`](crate::ServerHandle::events).
#[derive(Debug)]
pub struct Events(pub(crate) broadcast::Receiver<ServerEvent>);

impl Events {
    /// The next event; `None` when the server and all of its connections are gone.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no event is lost.
    pub async fn next(&mut self) -> Option<ServerEvent> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(count)) => Some(ServerEvent::Missed(count)),
            Err(RecvError::Closed) => None,
        }
    }
}
