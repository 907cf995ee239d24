//! The server: requests in, connections out.
//!
//! ```text
//!   listener ─▶ handshake ─┐                              ┌─▶ connections ─▶ broadcast, close_all
//!   stream ───▶ handshake ─┼─▶ next_request ─▶ accept ────┤
//!   HTTP library ──────────┘         └───────▶ reject     └─▶ events
//!   HTTP library ─▶ ServerHandle::request, respond ─▶ accept, reject: without a queue
//! ```

mod event;

mod measurement;

mod quota_stats;

mod stats;

mod connections;

mod broadcast;

mod rejections;

mod seldom;

mod memory;

mod quota;

mod standing;

mod accepting;

mod hub;

mod account;

mod responding;

mod answer;

mod see_through;

mod request;

mod way;

mod listening;

mod gate;

mod outcome;

mod handle;

mod reporting;

mod respond;

mod builder;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, ToSocketAddrs};
use towline_proto::CloseCode;

pub use answer::Upgraded;
pub use broadcast::{Broadcasting, Delivery};
pub use builder::ServerBuilder;
pub use connections::Connections;
pub use event::{Events, ServerEvent};
pub use handle::{ServerHandle, Shutdown};
pub use listening::accept_one;
pub use measurement::{Measurement, Measurements};
pub use outcome::{Outcome, log_outcome};
pub use quota::Quotas;
pub use quota_stats::{Quota, QuotaStats};
pub use request::Request;
pub use responding::Responding;
pub use seldom::{LeftOut, Seldom};
pub use stats::ServerStats;

use crate::connection::Connection;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::server::gate::{Gate, Over};
use crate::server::hub::Options;
use crate::server::way::Arrived;
use crate::topics::Topics;
use crate::transport::Io;

/// A WebSocket server.
///
/// It listens on one or more sockets, or gets its requests from an HTTP library. Take the requests
/// one by one, and accept or reject each.
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
/// Only the `Server` itself hands out requests that are queued. All else can be done through its
/// [`handle`](Self::handle), from any task; the most common methods are here as well. Dropping the
/// server ends it: it takes no more requests, and answers those that nobody has taken with 500.
/// Connections stay open.
#[doc(alias = "WebSocketServer")]
pub struct Server {
    handle: ServerHandle,
    arrived: Arrived,
}

impl Server {
    /// Returns a server with default options that listens on this address. Port 0 chooses a free
    /// port.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Listen`] if the address can't be listened on.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if dropped, the address is free.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or in one without time.
    pub async fn bind(address: impl ToSocketAddrs + fmt::Debug) -> Result<Self> {
        Self::builder().bind(address).await
    }

    /// Returns a server with default options on a listening socket.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or in one without time.
    pub fn from_listener(listener: TcpListener) -> Self {
        Self::builder().listen(listener)
    }

    /// Returns a builder, to set options.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    fn with_options(options: Options) -> Self {
        let (gate, arrived) = Gate::new(options);
        Self { handle: ServerHandle::new(gate), arrived }
    }

    /// Returns a handle for other tasks. Cloning it is cheap.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Returns the address that the server listens on; see [`ServerHandle::local_addr`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Listen`] if it listens on none.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.handle.local_addr()
    }

    /// Listens on one more socket; see [`ServerHandle::mount`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ServerGone`] if the server was shut down.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or in one without time.
    pub fn mount(&self, listener: TcpListener) -> Result<()> {
        self.handle.mount(listener)
    }

    /// Takes no more requests until mounted again; see [`ServerHandle::unmount`].
    pub fn unmount(&self) {
        self.handle.unmount();
    }

    /// Reads a request from a stream; see [`ServerHandle::serve`].
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or in one without time.
    pub fn serve(&self, stream: impl Io, peer_addr: Option<SocketAddr>) {
        self.handle.serve(stream, peer_addr);
    }

    /// Returns the open connections; see [`ServerHandle::connections`].
    pub fn connections(&self) -> Connections {
        self.handle.connections()
    }

    /// Returns the topics; see [`ServerHandle::topics`].
    pub fn topics(&self) -> Topics {
        self.handle.topics()
    }

    /// Returns what the server has done so far; see [`ServerHandle::stats`].
    pub fn stats(&self) -> ServerStats {
        self.handle.stats()
    }

    /// Subscribes to events; see [`ServerHandle::events`].
    pub fn events(&self) -> Events {
        self.handle.events()
    }

    /// Ends the server and closes all connections; see [`ServerHandle::shutdown`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSend`] for a code that must not be sent. Then nothing has happened.
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
        self.handle.shutdown(code, deadline).await
    }

    /// Waits for the next request. Returns `None` once the server is [shut
    /// down](ServerHandle::shutdown) and all earlier requests have been taken.
    ///
    /// It keeps waiting while the server is [unmounted](ServerHandle::unmount), since it may be
    /// mounted again. With [`auto_accept`](ServerBuilder::auto_accept) there are only
    /// [connections](Self::next_connection): then this waits for the shutdown and takes none of
    /// them.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no request is lost.
    #[doc(alias = "request")]
    pub async fn next_request(&mut self) -> Option<Request> {
        let request = self.arrived.requests.recv().await?;
        self.handle.gate.hub.places.add_permits(1);
        Some(request)
    }

    /// Waits for the next connection that was accepted by
    /// [`auto_accept`](ServerBuilder::auto_accept). Returns `None` as
    /// [`next_request`](Self::next_request) does.
    ///
    /// Without `auto_accept` there are only the connections that [`Request::accept`] returns: then
    /// this waits for the shutdown and takes no request.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no connection is lost. One being accepted is handed out later.
    #[doc(alias = "connect")]
    pub async fn next_connection(&mut self) -> Option<Connection> {
        let connection = self.arrived.connections.recv().await?;
        self.handle.gate.hub.places.add_permits(1);
        Some(connection)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.gate.end(Over::Dropped);
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}
