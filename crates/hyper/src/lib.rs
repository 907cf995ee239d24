// The README's links lead to docs.rs. The first definition of a link counts, so here they lead to the
// items, and rustdoc checks them.
//! [`HttpServer`]: HttpServer
//! [`mount`]: mount()
//! [`respond`]: respond()
//! [`towline`]: towline
#![doc = include_str!("../README.md")]
//!
//! # Requests
//!
//! The requests from [`Server::next_request`](towline::Server::next_request) are the same as those
//! of a listening socket: origins, limits, keepalive, events and shutdown work alike. Only reading
//! requests is up to hyper, with its limits. The builder's
//! [`head_limits`](towline::ServerBuilder::head_limits) and
//! [`handshake_timeout`](towline::ServerBuilder::handshake_timeout) have no effect here. Its
//! [`max_handshakes`](towline::ServerBuilder::max_handshakes) counts requests that have arrived
//! whole; [`HttpServer::max_handshakes`] counts connections before that.
//!
//! # In an accept loop of your own
//!
//! A [`Mount`] is an ordinary service. Five things are up to your loop: serve the connection *with
//! upgrades*, set [the peer's address](Mount::peer_addr), turn Nagle's algorithm off, and for HTTP/2, pass
//! an [`Http2Executor`] and set two windows. With hyper's default windows, one WebSocket that does not
//! receive can end all WebSockets of its connection; see [HTTP/2](#http2).
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
//! use hyper_util::rt::TokioIo;
//! use hyper_util::server::conn::auto;
//! use towline_hyper::Http2Executor;
//!
//! let server = towline::Server::builder().build();
//! let service = towline_hyper::mount(server.handle(), service_fn(page));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
//! loop {
//!     let (stream, peer) = listener.accept().await?;
//!     stream.set_nodelay(true)?;
//!     let service = service.clone().peer_addr(peer);
//!     tokio::spawn(async move {
//!         let mut builder = auto::Builder::new(Http2Executor::new());
//!         builder.http2().enable_connect_protocol();
//!         builder.http2().initial_connection_window_size(16 << 20);
//!         builder.http2().initial_stream_window_size(64 << 10);
//!         builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await
//!     });
//! }
//! # }
//! ```
//!
//! With TLS, enable the feature `rustls` and one for the cryptography, such as `tls` of the crate
//! `towline`. [`Mount::tls`] marks the requests as secure. Give the TLS handshake a deadline:
//! `TlsServer::accept_http2` has none.
//!
//! ```no_run
//! # use std::convert::Infallible;
//! # use std::time::Duration;
//! # use http_body_util::Full;
//! # use hyper::body::{Bytes, Incoming};
//! # use hyper::{Request, Response, service::service_fn};
//! # use hyper_util::rt::TokioIo;
//! # use hyper_util::server::conn::auto;
//! # use towline_hyper::Http2Executor;
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
//!         let mut builder = auto::Builder::new(Http2Executor::new());
//!         builder.http2().enable_connect_protocol();
//!         builder.http2().initial_connection_window_size(16 << 20);
//!         builder.http2().initial_stream_window_size(64 << 10);
//!         builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await
//!     });
//! }
//! # }
//! ```
//!
//! # HTTP/2
//!
//! Over HTTP/2, a WebSocket is a stream of a connection that it shares with others (RFC 8441). While
//! its program does not receive, up to 64 KiB are read ahead, and then flow control holds the
//! sender. But h2, hyper's HTTP/2, also counts the frames that are left unread in it. Each one shorter
//! than 256 bytes costs the difference, and when all together cost more than half of the connection's
//! window, h2 ends the connection with `ENHANCE_YOUR_CALM` (`too_many_data_frames`), and so all of its
//! WebSockets. Two lines give the connection enough, and each stream little:
//!
//! ```
//! # use hyper_util::server::conn::auto;
//! # let mut builder = auto::Builder::new(towline_hyper::Http2Executor::new());
//! builder.http2().initial_connection_window_size(16 << 20);
//! builder.http2().initial_stream_window_size(64 << 10);
//! ```
//!
//! A stream then receives at most 64 KiB for each round trip. [`HttpServer`] has these windows by
//! default; [`http2_connection_window`](HttpServer::http2_connection_window) says how many stalled
//! WebSockets they allow. hyper ends no connection whose client does not read its answers;
//! [`HttpServer`] does. h2 ends a connection at the first failed write, and loses what the client had sent and
//! h2 has not read by then; [`HttpServer`] reads on to the end of the stream, and waits five seconds at most for
//! it. hyper also keeps the stream of a WebSocket that has ended, with its last bytes, for a
//! client that gives no window for them; [`Http2Executor`] resets it.
//!
//! If the client resets the stream, [`recv`](towline::Connection::recv) returns an error of the kind
//! [`ConnectionLost`](towline::ErrorKind::ConnectionLost) that names the error code: `the peer reset
//! the HTTP/2 stream: CANCEL`. So it does if either end ends the HTTP/2 connection. The
//! `h2::Error` is among its [sources](std::error::Error::source).
//!
//! # With tower
//!
//! Put a [`MountLayer`] into a `ServiceBuilder`. Around a tower service, [`Mount`] is a tower
//! service; to serve it with hyper, wrap it in `hyper_util::service::TowerToHyperService`.
//!
//! # In a handler of your own
//!
//! [`respond`] answers the HTTP request of a web framework's handler: there is no queue and no
//! [`Server`](towline::Server). [`request()`] is its first step alone. For axum there is `towline-axum`.
//!
//! # The client's side
//!
//! [`from_agreed`] makes a connection from a handshake that hyper's client has done.
//!
//! # The stream
//!
//! Once a handshake is accepted, a TCP or Unix socket is taken out of hyper's wrapper, if it was
//! passed to hyper in a `hyper_util::rt::TokioIo`, and so is a [`TlsStream`](towline::TlsStream).
//! The connection then costs as much as one on a listening socket of Towline. Any other stream,
//! such as one of HTTP/2 or of another TLS library, is used within hyper's wrapper.

#![cfg_attr(docsrs, feature(doc_cfg))]

// In order of dependence: a module uses only those above it.

mod peer_addr;

mod body;

mod ahead;

mod place;

mod failure;

mod greeting;

mod write_deadline;

mod http2_executor;

mod h2_error;

mod h2_stream;

mod upgraded;

mod agreed;

mod handshake;

mod mount;

mod serving;

mod http_server;

pub use agreed::from_agreed;
pub use body::MountBody;
pub use handshake::{is_handshake, request, respond};
pub use http_server::HttpServer;
pub use http2_executor::Http2Executor;
pub use mount::{Mount, MountFuture, MountLayer, mount};
pub use peer_addr::PeerAddr;

#[cfg(all(doctest, feature = "rustls"))]
mod guide;
