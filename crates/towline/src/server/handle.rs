//! What can be done with a server from any task.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use towline_proto::handshake::Mechanism;
use towline_proto::{CloseCode, Config};

use crate::connection::close_frame;
use crate::error::{Error, ErrorKind, Result};
use crate::server::answer::{Answer, Upgraded};
use crate::server::connections::Connections;
use crate::server::event::Events;
#[cfg(doc)]
use crate::server::event::ServerEvent;
use crate::server::gate::{Gate, Over};
use crate::server::request::unanswered;
use crate::server::way::refuse;
use crate::transport::{AnyStream, Io};

/// A handle of a [`Server`](crate::Server), for any task: to mount and unmount, to watch, to
/// broadcast, to shut down. Clones are the same, and cheap.
#[derive(Clone)]
pub struct ServerHandle {
    pub(crate) gate: Arc<Gate>,
}

/// What a shutdown has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shutdown {
    /// Connections that there were.
    pub connections: usize,
    /// Those of them that had not ended by the deadline, and were aborted.
    pub aborted: usize,
}

impl ServerHandle {
    pub(crate) fn new(gate: Gate) -> Self {
        Self { gate: Arc::new(gate) }
    }

    /// Listens on one more socket; after [`unmount`](Self::unmount), on the first again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ServerGone`] if the server was [shut down](Self::shutdown), or its
    /// [`Server`](crate::Server) dropped. The socket is closed then.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without time.
    pub fn mount(&self, listener: TcpListener) -> Result<()> {
        self.gate.mount(listener)
    }

    /// Takes no further requests until it is mounted anew: the listening sockets are closed, and an
    /// HTTP library that the server is mounted on treats handshakes like any other request.
    ///
    /// Connections are left alone, and requests that have come are handed out and can be answered.
    /// A stream whose request has not come whole, or waits for a place among the
    /// [handshakes](crate::ServerBuilder::max_handshakes), is answered with 503 at once. Whoever
    /// waits for requests goes on waiting.
    pub fn unmount(&self) {
        self.gate.unmount();
    }

    /// Whether requests are taken.
    pub fn is_mounted(&self) -> bool {
        self.gate.hub.standing.term().is_some()
    }

    /// The addresses that are listened on.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.gate.addresses()
    }

    /// The address that is listened on: the first one, if there are several.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Listen`] where there is none.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        let first = self.gate.addresses().first().copied();
        first.ok_or_else(|| Error::new(ErrorKind::Listen, "the server listens on no address"))
    }

    /// Reads a request from a stream of any kind and hands it to
    /// [`next_request`](crate::Server::next_request), as if it had come through a listening socket.
    /// Where no address is given, a TCP stream's own is taken.
    ///
    /// All of that goes on in the background, as soon as there is a place among the
    /// [handshakes](crate::ServerBuilder::max_handshakes); until then the stream waits, unread.
    /// While the server is unmounted, and when it is gone, the answer is 503.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without time.
    pub fn serve(&self, stream: impl Io, peer_addr: Option<SocketAddr>) {
        let stream = AnyStream::new(stream);
        let peer = peer_addr.or_else(|| stream.peer_addr());
        self.gate.serve(stream, peer);
    }

    /// Hands a request that came through an HTTP library to
    /// [`Server::next_request`](crate::Server::next_request), and resolves to the response to send,
    /// which is 503 while the server is unmounted, and when it is gone.
    ///
    /// `upgraded` is awaited once the response with status 101, or 200 to an extended CONNECT, is
    /// on its way. An extended CONNECT bears a [`Protocol`](crate::Protocol) among the request's
    /// extensions; a request that came over TLS bears an `Arc` of its [`TlsInfo`](crate::TlsInfo)
    /// there.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: it is the response that is dropped, so the client is taken to have gone.
    /// Accepting the request fails with [`ErrorKind::RequestGone`] then.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without time.
    pub async fn upgrade(
        &self,
        request: http::Request<()>,
        peer_addr: Option<SocketAddr>,
        upgraded: impl Future<Output = io::Result<Upgraded>> + Send + 'static,
    ) -> http::Response<Bytes> {
        let mechanism = Mechanism::of(&request);
        let (respond, response) = oneshot::channel();
        let answer = Answer::Upgrade { respond, stream: Box::pin(upgraded) };
        match self.gate.enter().await {
            Some((way, permit)) => {
                tokio::spawn(way.admit(request, peer_addr, answer, permit));
            }
            None => refuse(&self.gate.hub, answer, mechanism, peer_addr).await,
        }
        response.await.unwrap_or_else(|_| unanswered().response(mechanism))
    }

    /// The connections there are now.
    pub fn connections(&self) -> Connections {
        self.gate.hub.connections.clone()
    }

    /// What happens from now on: requests accepted and rejected, TLS handshakes that fail,
    /// connections made and ended.
    ///
    /// Up to 1024 events are kept for one who is slow to take them; then the oldest are missed,
    /// and [`ServerEvent::Missed`] says how many.
    pub fn events(&self) -> Events {
        Events(self.gate.hub.subscribe())
    }

    /// Tells of a TLS handshake that failed, by [`ServerEvent::TlsFailed`]: for an accept loop of your
    /// own. A server tells of its own listening sockets by itself.
    ///
    /// What has the kind [`ErrorKind::RequestGone`] is not told: the client went before it had said
    /// anything.
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

    /// How connections behave.
    pub fn config(&self) -> &Config {
        &self.gate.hub.options.config
    }

    /// Closes all connections there are now, and waits until they have ended, which takes as long
    /// as the [close timeout](Config::close_timeout) at most. Returns how many there were.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSend`] for a code that must not be sent or a reason of more than 123
    /// bytes. Nothing has happened then.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: closing has begun when this is first polled, and goes on in any case.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, if there are many connections.
    #[doc(alias = "closeAllConnections")]
    pub async fn close_all(&self, code: CloseCode, reason: impl AsRef<str>) -> Result<usize> {
        let frame = close_frame(code, reason.as_ref())?;
        let senders = self.connections().senders();
        self.gate.hub.connections.start_close_all(frame).await;
        for sender in &senders {
            sender.wait_closed().await;
        }
        Ok(senders.len())
    }

    /// Takes no further requests, ever, closes all connections, and waits until the last one has
    /// ended; those that have not within `deadline` are aborted.
    ///
    /// It begins with what [`unmount`](Self::unmount) does, so streams whose request has not come
    /// whole hold nothing up. Requests that have come and not been answered are up to the program:
    /// [`next_request`](crate::Server::next_request) hands them out, and then gives `None`. A
    /// connection that is accepted from one of them is closed as well. One that is being accepted,
    /// by a client that does not take the answer say, is waited for as for a connection and given up
    /// at the deadline.
    ///
    /// Once is enough; a further call waits for the end too, with a deadline of its own.
    ///
    /// # Errors
    ///
    /// As [`close_all`](Self::close_all).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was begun goes on, but nothing is aborted.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without time.
    #[doc(alias = "shutDown")]
    pub async fn shutdown(&self, code: CloseCode, deadline: Duration) -> Result<Shutdown> {
        let frame = close_frame(code, "")?;
        let hub = &self.gate.hub;
        self.gate.end(Over::ShutDown);
        hub.connections.set_shutdown(&frame);
        let mut connections = hub.connections.len();
        let closing = async {
            hub.connections.start_close_all(frame).await;
            hub.wait_for_end().await;
        };
        let aborted = match tokio::time::timeout(deadline, closing).await {
            Ok(()) => 0,
            Err(_) => {
                hub.accepting.give_up();
                hub.connections.abort_all().await
            }
        };
        connections = connections.max(aborted);
        Ok(Shutdown { connections, aborted })
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addresses", &self.gate.addresses())
            .field("connections", &self.gate.hub.connections.len())
            .finish_non_exhaustive()
    }
}
