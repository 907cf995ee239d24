//! The handle to a server, for any task.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use towline_proto::handshake::{Mechanism, Rejection};
use towline_proto::{CloseCode, Config};
use tracing::Instrument as _;

use crate::connection::close_frame;
use crate::error::{Error, ErrorKind, Result};
use crate::server::answer::{Answer, Upgraded};
use crate::server::connections::Connections;
use crate::server::event::Events;
#[cfg(doc)]
use crate::server::event::ServerEvent;
use crate::server::gate::{Gate, Over};
use crate::server::measurement::{Measurement, Measurements};
use crate::server::rejections::Refusal;
use crate::server::request::Request;
use crate::server::responding::Responding;
use crate::server::stats::ServerStats;
use crate::server::way::refuse;
use crate::topics::Topics;
use crate::transport::{AnyStream, Io, TlsInfo};

/// A handle to a [`Server`](crate::Server), for any task: to mount and unmount, subscribe to
/// events, broadcast, and shut down. Clones are cheap and refer to the same server.
#[derive(Clone)]
pub struct ServerHandle {
    pub(crate) gate: Arc<Gate>,
}

/// The result of a shutdown.
///
/// ```
/// # async fn example(server: towline::Server) -> towline::Result<()> {
/// use std::time::Duration;
/// use towline::CloseCode;
///
/// let ended = server.shutdown(CloseCode::GOING_AWAY, Duration::from_secs(10)).await?;
/// println!("{} connections ended, {} did not in time", ended.connections, ended.aborted);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shutdown {
    /// How many connections were open.
    pub connections: usize,
    /// How many of them had not ended by the deadline and were aborted.
    pub aborted: usize,
}

impl ServerHandle {
    pub(crate) fn new(gate: Gate) -> Self {
        Self { gate: Arc::new(gate) }
    }

    /// Listens on one more socket. After [`unmount`](Self::unmount), this mounts the server again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ServerGone`] if the server was [shut down](Self::shutdown), or its
    /// [`Server`](crate::Server) dropped. The socket is closed then.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or in one without time.
    pub fn mount(&self, listener: TcpListener) -> Result<()> {
        self.gate.mount(listener)
    }

    /// Takes no more requests until mounted again. Listening sockets are closed, and an HTTP
    /// library that the server is mounted on treats handshakes like any other request.
    ///
    /// Connections stay open, and requests that have arrived are handed out and can be answered. A
    /// stream whose request is incomplete, or which waits for a place among the
    /// [handshakes](crate::ServerBuilder::max_handshakes), is answered with 503 at once.
    /// [`next_request`](crate::Server::next_request) keeps waiting.
    pub fn unmount(&self) {
        self.gate.unmount();
    }

    /// Returns whether the server takes requests.
    pub fn is_mounted(&self) -> bool {
        self.gate.hub.standing.term().is_some()
    }

    /// Returns whether the server takes no more requests for good: it was [shut
    /// down](Self::shutdown), or its [`Server`](crate::Server) was dropped. Connections may still
    /// be open.
    pub fn is_over(&self) -> bool {
        self.gate.is_over()
    }

    /// Returns the addresses that the server listens on.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.gate.addresses()
    }

    /// Returns the address that the server listens on: the first one, if there are several.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Listen`] if it listens on none.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        let first = self.gate.addresses().first().copied();
        first.ok_or_else(|| Error::new(ErrorKind::Listen, "the server listens on no address"))
    }

    /// Reads a request from a stream of any kind and hands it to
    /// [`next_request`](crate::Server::next_request), as if it had come through a listening socket.
    /// If `peer_addr` is `None`, the address of a TCP stream is used.
    ///
    /// This happens in the background, once there is a place among the
    /// [handshakes](crate::ServerBuilder::max_handshakes); until then nothing is read. While the
    /// server is unmounted, or once it is gone, the response is 503.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or in one without time.
    pub fn serve(&self, stream: impl Io, peer_addr: Option<SocketAddr>) {
        let stream = AnyStream::new(stream);
        let peer = peer_addr.or_else(|| stream.peer_addr());
        self.gate.serve(stream, peer);
    }

    /// Hands a request that came through an HTTP library to
    /// [`Server::next_request`](crate::Server::next_request), and resolves to the response to send.
    /// That is 503 while the server is unmounted, and once it is gone.
    ///
    /// `upgraded` is awaited once the response is returned, with status 101, or 200 to an extended
    /// CONNECT. Mark an extended CONNECT with a [`Protocol`](crate::Protocol) among the request's
    /// extensions, and a request over TLS with an `Arc` of its [`TlsInfo`](crate::TlsInfo).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping this future drops the response, so the client counts as gone.
    /// Accepting the request then fails with [`ErrorKind::RequestGone`].
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or in one without time.
    pub async fn upgrade(
        &self,
        request: http::Request<()>,
        peer_addr: Option<SocketAddr>,
        upgraded: impl Future<Output = io::Result<Upgraded>> + Send + 'static,
    ) -> http::Response<Bytes> {
        let mechanism = Mechanism::of(&request);
        let (respond, response) = Responding::new(mechanism);
        let answer = Answer::Upgrade { respond, stream: Box::pin(upgraded) };
        match self.gate.enter().await {
            Some((way, permit)) => {
                // The span of the handshake is one of the request's.
                let admitting = way.admit(request, peer_addr, answer, (permit, None));
                tokio::spawn(admitting.in_current_span());
            }
            None => refuse(&self.gate.hub, answer, mechanism, peer_addr).await,
        }
        response.await
    }

    /// Takes a request that came through an HTTP library, without a queue: the handler that has the
    /// HTTP request gets the [`Request`] itself, and answers it. For adapters to web frameworks;
    /// [`build_handle`](crate::ServerBuilder::build_handle) makes a server that needs no more.
    ///
    /// Return the output of the second value, a future, to the library. Accept or reject the
    /// request in another task, or poll both futures together. The arguments are those of
    /// [`upgrade`](Self::upgrade).
    ///
    /// Until it is answered, the request has a place among the
    /// [handshakes](crate::ServerBuilder::max_handshakes), and a [shutdown](Self::shutdown) waits
    /// for it as for a connection, up to its deadline. A request accepted after a shutdown becomes
    /// a connection that is closed at once. A request that is dropped is answered with 500. If the
    /// future is dropped first, the request counts as answered by the library, and dropping it
    /// reports no event.
    ///
    /// ```
    /// use std::io;
    /// use std::net::SocketAddr;
    ///
    /// use towline::bytes::Bytes;
    /// use towline::{Mechanism, ServerHandle, Upgraded, http};
    ///
    /// async fn serve(
    ///     server: ServerHandle,
    ///     request: http::Request<()>,
    ///     peer: SocketAddr,
    ///     upgraded: impl Future<Output = io::Result<Upgraded>> + Send + 'static,
    /// ) -> http::Response<Bytes> {
    ///     let mechanism = Mechanism::of(&request);
    ///     let (request, response) = match server.request(request, Some(peer), upgraded) {
    ///         Ok(taken) => taken,
    ///         Err(rejection) => return rejection.response(mechanism),
    ///     };
    ///     tokio::spawn(async move {
    ///         let mut connection = request.accept().await?;
    ///         while let Some(message) = connection.recv().await? {
    ///             connection.send(message).await?;
    ///         }
    ///         towline::Result::Ok(())
    ///     });
    ///     response.await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// A [`Rejection`] with the HTTP status to answer with, which is reported as an event:
    /// as [`Offer::from_request`](towline_proto::handshake::Offer::from_request) for an invalid
    /// handshake; 503 while the server is unmounted or gone, while
    /// [`max_handshakes`](crate::ServerBuilder::max_handshakes) requests are not answered yet, and
    /// while there are [`max_connections`](crate::ServerBuilder::max_connections); 429 for a client
    /// with too many connections or handshakes.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or in one without time.
    pub fn request(
        &self,
        request: http::Request<()>,
        peer_addr: Option<SocketAddr>,
        upgraded: impl Future<Output = io::Result<Upgraded>> + Send + 'static,
    ) -> std::result::Result<(Request, Responding), Rejection> {
        let hub = &self.gate.hub;
        let mechanism = Mechanism::of(&request);
        let is_secure = request.extensions().get::<Arc<TlsInfo>>().is_some();
        let (respond, response) = Responding::new(mechanism);
        let answer = Answer::Upgrade { respond, stream: Box::pin(upgraded) };
        let taken = hub.take_in_hand().map_err(Refusal::from).and_then(|in_hand| {
            let request = Request::new(request, peer_addr, hub, answer, None);
            request.map(|request| request.keep(in_hand)).map_err(|refused| refused.0)
        });
        match taken {
            Ok(request) => Ok((request, response)),
            Err(refusal) => {
                hub.refused(&refusal, peer_addr);
                let status = refusal.rejection.status();
                hub.measured.note(|| Measurement::unseen(status, mechanism, is_secure));
                Err(refusal.rejection)
            }
        }
    }

    /// Returns the open connections.
    pub fn connections(&self) -> Connections {
        self.gate.hub.connections.clone()
    }

    /// Subscribes to the events from now on: requests accepted and rejected, handshakes that
    /// failed, connections made and ended.
    ///
    /// Up to 1024 events are kept for a slow subscriber. Then the oldest are dropped, and
    /// [`ServerEvent::Missed`] says how many.
    pub fn events(&self) -> Events {
        Events(self.gate.hub.subscribe())
    }

    /// Returns what the server has done so far: handshakes, connections, and what was sent and
    /// received on all of them, those that have ended included.
    ///
    /// Each open connection is locked for a moment, one after the other: some milliseconds for
    /// 10,000 of them. With [`max_connections_per_address`](crate::ServerBuilder::max_connections_per_address)
    /// each address is looked at. Call it every few seconds rather than for each request.
    ///
    /// What was received is counted up to the last read of each receiver.
    ///
    /// ```
    /// # fn example(server: towline::ServerHandle) {
    /// let stats = server.stats();
    /// println!("{} of {} connections are open", stats.connections, stats.connections_total);
    /// println!("{} messages received", stats.received.messages);
    /// # }
    /// ```
    pub fn stats(&self) -> ServerStats {
        self.gate.hub.stats()
    }

    /// Subscribes to single measurements from now on, for histograms: how long handshakes take, and
    /// what was sent and received on a connection that has ended. [`stats`](Self::stats) has the
    /// sums.
    ///
    /// Up to 1024 measurements are kept for a slow subscriber. Then the oldest are dropped, and
    /// [`Measurement::Missed`] says how many.
    pub fn measurements(&self) -> Measurements {
        self.gate.hub.measured.subscribe()
    }

    /// Returns the topics of the server: for chat rooms, feeds, and whatever else one says to many.
    /// See the module [`topics`](crate::topics).
    pub fn topics(&self) -> Topics {
        self.gate.hub.topics()
    }

    /// Returns the configuration of connections.
    pub fn config(&self) -> &Config {
        &self.gate.hub.options.config
    }

    /// Closes all open connections and waits until they have ended, at most for the [close
    /// timeout](Config::close_timeout). Returns how many there were.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSend`] for a code that must not be sent or a reason of more than 123
    /// bytes. Then nothing has happened.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: closing begins when this is first polled, and continues if this is dropped.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime if there are many connections.
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

    /// Ends the server: takes no more requests, closes all connections, and waits until the last
    /// one has ended. Connections that have not ended within `deadline` are aborted.
    ///
    /// It first does what [`unmount`](Self::unmount) does, so streams with an incomplete request
    /// delay nothing. The program still decides on requests that have arrived:
    /// [`next_request`](crate::Server::next_request) hands them out, and then returns `None`. Those
    /// from [`request`](Self::request) are waited for. A connection accepted from one of them is
    /// closed as well. A connection that is being accepted
    /// is waited for, and abandoned at the deadline, for example if the client does not read the
    /// response.
    ///
    /// A second call also waits for the end, with its own deadline.
    ///
    /// # Errors
    ///
    /// As [`close_all`](Self::close_all).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the shutdown continues, but aborts no connection.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or in one without time.
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
