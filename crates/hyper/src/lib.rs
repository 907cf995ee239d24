//! Towline on a hyper server: handshakes go to the WebSocket server, all other requests to your
//! service, on one port.
//!
//! ```no_run
//! use std::convert::Infallible;
//!
//! use http_body_util::Full;
//! use hyper::body::{Bytes, Incoming};
//! use hyper::{Request, Response, service::service_fn};
//! use tokio::net::TcpListener;
//! use towline::Server;
//! use towline_hyper::{HttpServer, mount};
//!
//! async fn page(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
//!     Ok(Response::new("a page".into()))
//! }
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut server = Server::builder().build();
//! let http = HttpServer::new(mount(server.handle(), service_fn(page)));
//! http.listen(TcpListener::bind("127.0.0.1:9001").await?);
//!
//! while let Some(request) = server.next_request().await {
//!     tokio::spawn(async move {
//!         let mut connection = request.accept().await?;
//!         while let Some(message) = connection.recv().await? {
//!             connection.send(message).await?;
//!         }
//!         towline::Result::Ok(())
//!     });
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What comes out of [`Server::next_request`](towline::Server::next_request) is what comes out of
//! it on a listening socket of its own: origins, limits, keepalive, events and shutdown are the
//! same. Only the reading of requests is hyper's, and so are its limits: the
//! [`head_limits`](towline::ServerBuilder::head_limits) and the
//! [`handshake_timeout`](towline::ServerBuilder::handshake_timeout) of the builder are without
//! effect here; its [`max_handshakes`](towline::ServerBuilder::max_handshakes) are of requests that
//! have come whole, and [`HttpServer::max_handshakes`] is about connections before that.
//!
//! # In an accept loop of your own
//!
//! A [`Mount`] is a service like any other. See to three things: that the connection is served
//! *with upgrades*, that requests know [the peer's address](Mount::peer_addr), and that Nagle's
//! algorithm is off.
//!
//! ```no_run
//! # use std::convert::Infallible;
//! # use http_body_util::Full;
//! # use hyper::body::{Bytes, Incoming};
//! # use hyper::{Request, Response, service::service_fn};
//! # async fn page(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
//! #     Ok(Response::new("a page".into()))
//! # }
//! # async fn example() -> std::io::Result<()> {
//! use hyper_util::rt::{TokioExecutor, TokioIo};
//! use hyper_util::server::conn::auto;
//!
//! let server = towline::Server::builder().build();
//! let service = towline_hyper::mount(server.handle(), service_fn(page));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
//! loop {
//!     let (stream, peer) = listener.accept().await?;
//!     stream.set_nodelay(true)?;
//!     let service = service.clone().peer_addr(peer);
//!     tokio::spawn(async move {
//!         let mut builder = auto::Builder::new(TokioExecutor::new());
//!         builder.http2().enable_connect_protocol();
//!         builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await
//!     });
//! }
//! # }
//! ```
//!
//! The same with TLS, which takes the feature `rustls` and one for the cryptography, such as `tls` of
//! the crate `towline`. [`Mount::tls`] has requests know that they came over it. Give the TLS handshake
//! a deadline: `TlsServer::accept_http2` has none.
//!
//! ```no_run
//! # use std::convert::Infallible;
//! # use std::time::Duration;
//! # use http_body_util::Full;
//! # use hyper::body::{Bytes, Incoming};
//! # use hyper::{Request, Response, service::service_fn};
//! # use hyper_util::rt::{TokioExecutor, TokioIo};
//! # use hyper_util::server::conn::auto;
//! # async fn page(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
//! #     Ok(Response::new("a page".into()))
//! # }
//! # #[cfg(feature = "rustls")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! # let server = towline::Server::builder().build();
//! # let service = towline_hyper::mount(server.handle(), service_fn(page));
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
//! let tls = towline::TlsServer::from_pem_files("chain.pem", "key.pem")?;
//! loop {
//!     let (stream, peer) = listener.accept().await?;
//!     stream.set_nodelay(true)?;
//!     let (tls, service) = (tls.clone(), service.clone().peer_addr(peer));
//!     tokio::spawn(async move {
//!         let handshake = tokio::time::timeout(Duration::from_secs(10), tls.accept_http2(stream));
//!         let stream = handshake.await??;
//!         let service = service.tls(stream.info());
//!         let mut builder = auto::Builder::new(TokioExecutor::new());
//!         builder.http2().enable_connect_protocol();
//!         builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await
//!     });
//! }
//! # }
//! ```
//!
//! # With tower
//!
//! [`MountLayer`] goes into a `ServiceBuilder`. Around a tower service, [`Mount`] is a tower
//! service, which hyper serves inside of a `hyper_util::service::TowerToHyperService`.
//!
//! # The stream
//!
//! Once a handshake is accepted, a TCP or Unix socket is taken out of hyper's wrapper, together
//! with what hyper had read already, if it came to hyper inside of a `hyper_util::rt::TokioIo`; and
//! so is a [`TlsStream`](towline::TlsStream). Then a connection costs what it costs on a listening
//! socket of Towline's. Any other stream, TLS of another library's or a stream of HTTP/2, is used as
//! hyper has it.

// In the order of dependence: a module uses only those above it.

mod peer_addr;

mod body;

mod ahead;

mod greeting;

mod place;

mod upgraded;

mod handshake;

mod mount;

mod serving;

mod http_server;

pub use body::MountBody;
pub use http_server::HttpServer;
pub use mount::{Mount, MountFuture, MountLayer, mount};
pub use peer_addr::PeerAddr;

#[cfg(all(doctest, feature = "rustls"))]
mod guide;
