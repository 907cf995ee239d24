//! Events of a server.

use std::net::SocketAddr;
use std::sync::Arc;

use http::StatusCode;
use tokio::sync::broadcast::{self, error::RecvError};
use towline_proto::Closed;

use crate::connection::Info;
use crate::error::ErrorKind;

/// An event of a server, see [`ServerHandle::events`](crate::ServerHandle::events).
///
/// [`Events`] has an example.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A request was accepted, and the response is being sent. [`Connected`](Self::Connected)
    /// follows, unless the client is gone before it has the response. Then no event follows.
    #[doc(alias = "requestAccepted")]
    Accepted(Arc<Info>),
    /// A valid request was rejected: by the program, by the Origin policy or a limit, or because the
    /// server takes none.
    #[doc(alias = "requestRejected")]
    Rejected {
        /// The status of the response.
        status: StatusCode,
        /// The reason in the response.
        reason: String,
        /// The address at the other end of the transport.
        peer_addr: Option<SocketAddr>,
    },
    /// There is no request, or none that is a valid handshake. A handshake that fails has this event and
    /// no other. Not reported for a client that disconnects before it has sent anything, as a port scan
    /// or a health check does.
    ///
    /// | kind | what happened |
    /// | --- | --- |
    /// | [`HandshakeTimeout`](ErrorKind::HandshakeTimeout) | TLS or the request was not complete in time |
    /// | [`ConnectionLost`](ErrorKind::ConnectionLost) | the client disconnected in the middle of it |
    /// | [`NotHttp`](ErrorKind::NotHttp) | what the client sent is not the head of an HTTP request, or of a version of HTTP that is not spoken |
    /// | [`LimitExceeded`](ErrorKind::LimitExceeded) | the head is too large, or has too many headers (431) |
    /// | [`Handshake`](ErrorKind::Handshake) | an HTTP request that is no valid handshake: an ordinary one, or one with another version or a bad key |
    /// | [`IsTls`](ErrorKind::IsTls) | the client speaks TLS, and the port does not |
    /// | [`NotTls`](ErrorKind::NotTls) | the client does not speak TLS, and the port does |
    /// | others [of TLS](ErrorKind::is_tls) | as for [`TlsServer::accept`](crate::TlsServer::accept) |
    #[non_exhaustive]
    HandshakeFailed {
        /// What happened.
        kind: ErrorKind,
        /// The reason in words, with the value, the limit and the option.
        reason: String,
        /// The status of the response, if the request was answered.
        status: Option<StatusCode>,
        /// The address at the other end of the transport.
        peer_addr: Option<SocketAddr>,
    },
    /// A connection was established.
    #[doc(alias = "connect")]
    Connected(Arc<Info>),
    /// A connection ended; how is in the event.
    #[doc(alias = "close")]
    Closed(Arc<Info>, Closed),
    /// This many events were missed, because they came faster than they were received.
    Missed(u64),
}

/// A subscription to the events of a server, see
/// [`ServerHandle::events`](crate::ServerHandle::events).
///
/// ```
/// # async fn example(server: &towline::Server) {
/// use towline::ServerEvent;
///
/// let mut events = server.events();
/// tokio::spawn(async move {
///     while let Some(event) = events.next().await {
///         match event {
///             ServerEvent::Connected(info) => println!("{}: connected", info.id),
///             ServerEvent::Closed(info, closed) => println!("{}: {closed}", info.id),
///             ServerEvent::Rejected { status, reason, .. } => println!("{status}: {reason}"),
///             ServerEvent::HandshakeFailed { kind, reason, .. } => println!("{kind:?}: {reason}"),
///             _ => {}
///         }
///     }
/// });
/// # }
/// ```
#[derive(Debug)]
pub struct Events(pub(crate) broadcast::Receiver<ServerEvent>);

impl Events {
    /// Waits for the next event. Returns `None` once the server and all of its connections are
    /// gone.
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
