//! The server: requests in, connections out.
//!
//! ```text
//!   listener ─▶ handshake ─┐                              ┌─▶ connections ─▶ broadcast, close_all
//!   stream ───▶ handshake ─┼─▶ next_request ─▶ accept ────┤
//!   HTTP library ──────────┘         └───────▶ reject     └─▶ events
//! ```

mod event;

mod connections;

mod hub;

mod request;

mod gate;

mod builder;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::{mpsc, oneshot};
use towline_proto::handshake::Rejection;
use towline_proto::{CloseCode, CloseFrame, Config};

pub use builder::ServerBuilder;
pub use connections::Connections;
pub use event::{Events, ServerEvent};
pub use request::Request;

use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::server::gate::{Arrival, Gate};
use crate::server::hub::Options;
use crate::server::request::{Answer, UpgradeFuture};
use crate::transport::{AnyStream, Stream};

/// A WebSocket server.
///
/// It listens on a socket of its own, or on several, or gets its requests from an HTTP library;
/// take them one by one and accept or reject each.
///
/// ```no_run
/// # #[tokio::main] async fn main() -> towline::Result<()> {
/// let mut server = towline::Server::bind("127.0.0.1:9001").await?;
/// while let Some(request) = server.next_request().await {
///     tokio::spawn(async move {
///         let mut connection = request.accept().await?;
///         while let Some(message) = connection.recv().await? {
///             connection.send(message).await?;
///         }
///         towline::Result::Ok(())
///     });
/// }
/// # Ok(())
/// # }
/// ```
///
/// Whatever else there is to do with it is done through its [`ServerHandle`], to which it
/// dereferences. Dropped, it is unmounted; connections live on.
#[doc(alias = "WebSocketServer")]
pub struct Server {
    handle: ServerHandle,
    arrived: mpsc::UnboundedReceiver<Arrival>,
}

/// A handle of a [`Server`], for any task: to mount and unmount, to watch, to broadcast, to shut
/// down. Clones are the same.
#[derive(Clone)]
pub struct ServerHandle {
    gate: Gate,
    addresses: Arc<Mutex<Vec<SocketAddr>>>,
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

/// The stream of a request that came through an HTTP library, once that is done with it.
pub struct Upgraded {
    stream: AnyStream,
    early: Vec<u8>,
}

impl Upgraded {
    /// The stream, and what the library has read from it behind the request.
    ///
    /// A stream that is a `TcpStream` is known as one: take it out of the library's wrapper where
    /// that is possible.
    pub fn new(stream: impl Stream, early: impl Into<Vec<u8>>) -> Self {
        Self { stream: AnyStream::new(stream), early: early.into() }
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded").field("early", &self.early.len()).finish_non_exhaustive()
    }
}

impl Server {
    /// A server with default options that listens on this address; port 0 is any that is free.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Listen`] if the address can't be listened on.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: either there is a server, or the address is free.
    pub async fn bind(address: impl ToSocketAddrs + fmt::Debug) -> Result<Self> {
        Self::builder().bind(address).await
    }

    /// A server with default options on a listening socket.
    pub fn from_listener(listener: TcpListener) -> Self {
        Self::builder().listen(listener)
    }

    /// A server set up as wished.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    fn with_options(options: Options) -> Self {
        let (gate, arrived) = Gate::new(options);
        Self { handle: ServerHandle { gate, addresses: Arc::default() }, arrived }
    }

    /// A handle for other tasks.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// The next request. `None` once the server is [unmounted](ServerHandle::unmount) and all
    /// requests have been taken.
    ///
    /// With [`auto_accept`](ServerBuilder::auto_accept) there are no requests, but
    /// [connections](Self::next_connection).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no request is lost.
    #[doc(alias = "request")]
    pub async fn next_request(&mut self) -> Option<Request> {
        loop {
            match self.next_arrival().await? {
                Arrival::Request(mut request) => {
                    request.permit = None;
                    return Some(*request);
                }
                // Whoever asks for requests does not want what was accepted unasked.
                Arrival::Connection(_) => {}
            }
        }
    }

    /// The next connection. With [`auto_accept`](ServerBuilder::auto_accept), all requests become
    /// one; else those do which [`Request::accept`] accepts. `None` as for
    /// [`next_request`](Self::next_request).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe with `auto_accept`: no connection is lost. Else one that is being accepted is.
    #[doc(alias = "connect")]
    pub async fn next_connection(&mut self) -> Option<Connection> {
        loop {
            match self.next_arrival().await? {
                Arrival::Connection(connection) => return Some(*connection),
                Arrival::Request(request) => match request.accept().await {
                    Ok(connection) => return Some(connection),
                    Err(error) => tracing::debug!(%error, "request not accepted"),
                },
            }
        }
    }

    async fn next_arrival(&mut self) -> Option<Arrival> {
        let hub = self.handle.gate.hub.clone();
        let mut changed = pin!(hub.changed.notified());
        std::future::poll_fn(|cx| {
            // Registered before the look, so that no change is missed between the two.
            while changed.as_mut().poll(cx).is_ready() {
                changed.set(hub.changed.notified());
            }
            let is_quiet = hub.is_quiet();
            match self.arrived.poll_recv(cx) {
                Poll::Pending if is_quiet => Poll::Ready(None),
                poll => poll,
            }
        })
        .await
    }
}

impl Deref for Server {
    type Target = ServerHandle;

    fn deref(&self) -> &ServerHandle {
        &self.handle
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.unmount();
    }
}

impl ServerHandle {
    /// Listens on one more socket; after [`unmount`](Self::unmount), on the first again.
    pub fn mount(&self, listener: TcpListener) {
        self.gate.hub.connections.set_shutdown(None);
        self.gate.hub.set_mounted(true);
        if let Ok(address) = listener.local_addr() {
            self.lock_addresses().push(address);
        }
        tokio::spawn(self.gate.clone().listen(listener, self.gate.hub.unmounts()));
    }

    /// Takes no further requests: the listening sockets are closed, and an HTTP library that the
    /// server is mounted on treats handshakes like any other request. Connections are left alone,
    /// and requests that have come can still be answered.
    pub fn unmount(&self) {
        self.lock_addresses().clear();
        self.gate.hub.set_mounted(false);
    }

    /// Whether requests are taken.
    pub fn is_mounted(&self) -> bool {
        self.gate.hub.is_mounted()
    }

    /// The addresses that are listened on.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.lock_addresses().clone()
    }

    /// The address that is listened on: the first one, if there are several.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Listen`] where there is none.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        let first = self.lock_addresses().first().copied();
        first.ok_or_else(|| Error::new(ErrorKind::Listen, "the server listens on no address"))
    }

    /// Reads a request from a stream of any kind and hands it to
    /// [`next_request`](Server::next_request), as if it had come through a listening socket.
    ///
    /// It waits while there are too many requests already; the handshake itself goes on in the
    /// background.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the stream is dropped where this is dropped while it waits.
    pub async fn serve(&self, stream: impl Stream, peer_address: Option<SocketAddr>) {
        let permit = self.gate.permit().await;
        let stream = AnyStream::new(stream);
        tokio::spawn(self.gate.clone().handshake(stream, peer_address, permit));
    }

    /// Hands a request that came through an HTTP library to [`Server::next_request`], and resolves
    /// to the response to send.
    ///
    /// `upgraded` is awaited once the response with status 101, or 200 to an extended CONNECT, is
    /// on its way. An extended CONNECT bears a [`Protocol`](crate::Protocol) among the request's
    /// extensions.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the response is lost, and so is the connection.
    pub async fn upgrade(
        &self,
        request: http::Request<()>,
        peer_address: Option<SocketAddr>,
        upgraded: impl Future<Output = io::Result<Upgraded>> + Send + 'static,
    ) -> http::Response<Bytes> {
        let permit = self.gate.permit().await;
        let transport = towline_proto::handshake::Transport::of(&request);
        let (respond, response) = oneshot::channel();
        let stream: UpgradeFuture =
            Box::pin(async { upgraded.await.map(|upgraded| (upgraded.stream, upgraded.early)) });
        let answer = Answer::Upgrade { respond, stream };
        let gate = self.gate.clone();
        tokio::spawn(async move {
            let _pending = gate.hub.pend();
            gate.clone().admit(request, peer_address, answer, permit).await;
        });
        response.await.unwrap_or_else(|_| {
            let reason = "the server did not answer the request";
            Rejection::new(StatusCode::INTERNAL_SERVER_ERROR, reason).response(transport)
        })
    }

    /// The connections there are now.
    pub fn connections(&self) -> Connections {
        self.gate.hub.connections.clone()
    }

    /// What happens from now on: requests accepted and rejected, connections made and ended.
    ///
    /// Up to 1024 events are kept for one who is slow to take them; then the oldest are missed,
    /// and [`ServerEvent::Missed`] says how many.
    pub fn events(&self) -> Events {
        Events(self.gate.hub.subscribe())
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
    #[doc(alias = "closeAllConnections")]
    pub async fn close_all(&self, code: CloseCode, reason: impl AsRef<str>) -> Result<usize> {
        let frame = CloseFrame::new(code, reason.as_ref().to_owned())
            .map_err(|error| Error::new(ErrorKind::InvalidSend, error.to_string()))?;
        let senders = self.connections().senders();
        self.gate.hub.connections.start_close_all(&frame);
        for sender in &senders {
            sender.wait_closed().await;
        }
        Ok(senders.len())
    }

    /// Unmounts, closes all connections, and waits until the last one has ended; those that have
    /// not within `deadline` are aborted.
    ///
    /// Requests that have come and not been answered are up to the program; a connection that it
    /// accepts from one of them is closed as well.
    ///
    /// # Errors
    ///
    /// As [`close_all`](Self::close_all).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was begun goes on, but nothing is aborted.
    #[doc(alias = "shutDown")]
    pub async fn shutdown(&self, code: CloseCode, deadline: Duration) -> Result<Shutdown> {
        let frame = CloseFrame::new(code, "")
            .map_err(|error| Error::new(ErrorKind::InvalidSend, error.to_string()))?;
        self.unmount();
        self.gate.hub.connections.set_shutdown(Some(frame.clone()));
        let mut connections = self.gate.hub.connections.start_close_all(&frame);
        let ended = self.gate.hub.connections.wait_for_none();
        let aborted = match tokio::time::timeout(deadline, ended).await {
            Ok(()) => 0,
            Err(_) => self.gate.hub.connections.abort_all(),
        };
        connections = connections.max(aborted);
        Ok(Shutdown { connections, aborted })
    }

    fn lock_addresses(&self) -> std::sync::MutexGuard<'_, Vec<SocketAddr>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addresses", &*self.lock_addresses())
            .field("connections", &self.gate.hub.connections.len())
            .finish_non_exhaustive()
    }
}
