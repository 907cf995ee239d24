//! The server: requests in, connections out.
//!
//! ```text
//!   listener ─▶ handshake ─┐                              ┌─▶ connections ─▶ broadcast, close_all
//!   stream ───▶ handshake ─┼─▶ next_request ─▶ accept ────┤
//!   HTTP library ──────────┘         └───────▶ reject     └─▶ events
//! ```

mod event;

mod connections;

mod broadcast;

mod standing;

mod accepting;

mod hub;

mod answer;

mod see_through;

mod request;

mod way;

mod listening;

mod gate;

mod handle;

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
pub use request::Request;

use crate::connection::Connection;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::server::gate::{Gate, Over};
use crate::server::hub::Options;
use crate::server::way::Arrived;
use crate::transport::Io;

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
/// Requests are taken from the `Server`; all else is done through its [`handle`](Self::handle), from
/// any task. What is wanted most is here as well. Dropped, it takes no more requests, and those that
/// nobody has taken are answered with 500; connections live on.
#[doc(alias = "WebSocketServer")]
pub struct Server {
    handle: ServerHandle,
    arrived: Arrived,
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
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without time.
    pub async fn bind(address: impl ToSocketAddrs + fmt::Debug) -> Result<Self> {
        Self::builder().bind(address).await
    }

    /// A server with default options on a listening socket.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without time.
    pub fn from_listener(listener: TcpListener) -> Self {
        Self::builder().listen(listener)
    }

    /// A server set up as wished.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    fn with_options(options: Options) -> Self {
        let (gate, arrived) = Gate::new(options);
        Self { handle: ServerHandle::new(gate), arrived }
    }

    /// A handle, for other tasks and for all that can be done with a server. A clone is cheap.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// The address that is listened on; see [`ServerHandle::local_addr`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Listen`] where there is none.
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
    /// Outside of a tokio runtime, or in one without time.
    pub fn mount(&self, listener: TcpListener) -> Result<()> {
        self.handle.mount(listener)
    }

    /// Takes no further requests until it is mounted anew; see [`ServerHandle::unmount`].
    pub fn unmount(&self) {
        self.handle.unmount();
    }

    /// Reads a request from a stream; see [`ServerHandle::serve`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without time.
    pub fn serve(&self, stream: impl Io, peer_addr: Option<SocketAddr>) {
        self.handle.serve(stream, peer_addr);
    }

    /// The connections there are now; see [`ServerHandle::connections`].
    pub fn connections(&self) -> Connections {
        self.handle.connections()
    }

    /// What happens from now on; see [`ServerHandle::events`].
    pub fn events(&self) -> Events {
        self.handle.events()
    }

    /// Takes no further requests, ever, and closes all connections; see [`ServerHandle::shutdown`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSend`] for a code that must not be sent. Nothing has happened then.
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
        self.handle.shutdown(code, deadline).await
    }

    /// The next request. `None` once the server is [shut down](ServerHandle::shutdown) and all
    /// requests that came before have been taken.
    ///
    /// While the server is [unmounted](ServerHandle::unmount) it waits, since it may be mounted
    /// anew. With [`auto_accept`](ServerBuilder::auto_accept) there are no requests but
    /// [connections](Self::next_connection), which are left alone: it waits for the shutdown.
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

    /// The next connection that was accepted unasked, with
    /// [`auto_accept`](ServerBuilder::auto_accept). `None` as for
    /// [`next_request`](Self::next_request).
    ///
    /// Without `auto_accept` there are none but those which [`Request::accept`] gives to who calls
    /// it. Requests are left alone: it waits for the shutdown.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no connection is lost. One that is being accepted is handed out later.
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
