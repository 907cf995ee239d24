// The README's links lead to docs.rs. The first definition of a link counts, so here they lead to the
// items, and rustdoc checks them.
//! [`layer`]: layer()
//! [`shutdown_on`]: shutdown_on()
//! [`test::connect`]: test::connect()
//! [`towline`]: towline
//! [`Upgrade`]: Upgrade
#![doc = include_str!("../README.md")]
//!
//! # The server
//!
//! A [`towline::ServerHandle`] has the options of connections, the Origin policy, events, the
//! connections that are open, and the shutdown. [`layer()`] gives it to the routes below it.
//! [`build_handle`](towline::ServerBuilder::build_handle) makes one. Without a layer, the routes use the
//! [`default_server`], which all routers of the process share.
//!
//! Handlers that broadcast or count get the handle as `axum::Extension<ServerHandle>`.
//!
//! # The peer's address
//!
//! HTTP does not carry it. Serve the app with
//! `into_make_service_with_connect_info::<SocketAddr>()`, and the request has a
//! [`peer_addr`](towline::Request::peer_addr). Without it, `X-Forwarded-For` and the like are not
//! trusted, since they are only trusted from known proxies.
//!
//! # The stream
//!
//! The TCP or Unix socket is taken out of axum and hyper, so an idle connection costs as much as one on a
//! listening socket of Towline, and Nagle's algorithm is turned off. HTTP/2, and a listener of your own
//! whose streams have another type, work within hyper's wrapper.
//!
//! # HTTP/2
//!
//! `axum::serve` speaks HTTP/2 if axum has its feature `http2`. Three things are then up to hyper's defaults:
//!
//! - A WebSocket that has ended keeps its stream and its last bytes while the client gives no window for them
//!   (RFC 9113, section 5.2), and a graceful shutdown waits for it.
//! - One WebSocket that does not receive can end all WebSockets of its connection.
//! - What a client had sent can be lost if its connection breaks while the server writes.
//!
//! Where clients are not trusted, serve the app by [`towline_hyper::HttpServer`], which has [limits and
//! deadlines](towline_hyper#http2) for all three:
//!
//! ```no_run
//! # async fn chat(upgrade: towline_axum::Upgrade) -> axum::response::Response {
//! #     upgrade.on_connection(|connection| async move { drop(connection) })
//! # }
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use axum::{Router, routing::any};
//! use hyper_util::service::TowerToHyperService;
//! use tokio::net::TcpListener;
//! use towline::{CloseCode, Server};
//! use towline_hyper::HttpServer;
//!
//! let server = Server::builder().build_handle();
//! let app = Router::new().route("/ws", any(chat)).layer(towline_axum::layer(server.clone()));
//! let http = HttpServer::new(TowerToHyperService::new(app));
//! http.listen(TcpListener::bind("127.0.0.1:3000").await?);
//! tokio::signal::ctrl_c().await?;
//! // At once: a WebSocket over HTTP/2 is a part of an HTTP connection.
//! let deadline = Duration::from_secs(10);
//! let closing = server.shutdown(CloseCode::GOING_AWAY, deadline);
//! let (_, closed) = tokio::join!(http.shutdown(deadline), closing);
//! closed?;
//! # Ok(())
//! # }
//! ```
//!
//! It takes `hyper-util` with its feature `service`. The peer's address is known without a make service:
//! other handlers find it as an `Extension` of [`PeerAddr`](towline_hyper::PeerAddr). An accept loop of your
//! own takes an [`Http2Executor`](towline_hyper::Http2Executor) and [two windows](towline_hyper#http2).
//!
//! # Features
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `axum`, on by default | the peer's address from axum 0.8's `ConnectInfo<SocketAddr>` or `MockConnectInfo<SocketAddr>`, and the whole path of nested routes, from its `OriginalUri` |
//! | `deflate` | compression (permessage-deflate, RFC 7692) |
//!
//! Without `axum`, the crate depends on `axum-core` alone, and the address comes from a
//! [`towline_hyper::PeerAddr`] among the request's extensions.

#![cfg_attr(docsrs, feature(doc_cfg))]

// In order of dependence: a module uses only those above it.

mod default_server;

mod layer;

#[cfg(feature = "axum")]
mod from_axum;

#[cfg(not(feature = "axum"))]
#[path = "from_core.rs"]
mod from_axum;

mod once;

mod rejection;

mod upgrade;

mod extract;

mod shutdown;

pub mod test;

pub use default_server::default_server;
pub use layer::{ServerLayer, WithServer, layer};
pub use rejection::{RejectionKind, UpgradeRejection};
pub use shutdown::{ShutdownOn, shutdown_on};
#[doc(inline)]
pub use towline::Outcome;
pub use upgrade::Upgrade;
