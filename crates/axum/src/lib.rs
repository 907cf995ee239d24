//! WebSockets for [axum](https://docs.rs/axum), on Towline.
//!
//! [`Upgrade`] is an extractor. Its connections are those of [`towline`]: keepalive, backpressure,
//! memory limits, an Origin policy, compression, and a close that completes. A [shutdown](shutdown_on)
//! closes them and waits for them, and [routes are tested](mod@test) without a network.
//!
//! ```no_run
//! use axum::Router;
//! use axum::response::Response;
//! use axum::routing::any;
//! use towline::{Connection, Server};
//! use towline_axum::Upgrade;
//!
//! async fn chat(upgrade: Upgrade) -> Response {
//!     upgrade.protocols(["chat.v2"]).on_connection(echo)
//! }
//!
//! async fn echo(mut connection: Connection) -> towline::Result<()> {
//!     while let Some(message) = connection.recv().await? {
//!         connection.send(message).await?;
//!     }
//!     Ok(())
//! }
//!
//! # async fn stop() {}
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder().build_handle();
//! let app = Router::new()
//!     // `any`: over HTTP/2 the method is CONNECT.
//!     .route("/ws", any(chat))
//!     .layer(towline_axum::layer(server.clone()));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! axum::serve(listener, app.into_make_service_with_connect_info::<std::net::SocketAddr>())
//!     .with_graceful_shutdown(towline_axum::shutdown_on(server, stop()))
//!     .await?;
//! # Ok(())
//! # }
//! ```
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
//! # Features
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `axum`, on by default | the peer's address from axum 0.8's `ConnectInfo<SocketAddr>` or `MockConnectInfo<SocketAddr>`, and the whole path of nested routes, from its `OriginalUri` |
//! | `deflate` | compression (permessage-deflate, RFC 7692) |
//!
//! Without `axum`, the crate depends on `axum-core` alone, and the address comes from a
//! [`towline_hyper::PeerAddr`] among the request's extensions.

// In order of dependence: a module uses only those above it.

mod default_server;

mod layer;

#[cfg(feature = "axum")]
mod from_axum;

#[cfg(not(feature = "axum"))]
#[path = "from_core.rs"]
mod from_axum;

mod once;

mod outcome;

mod rejection;

mod upgrade;

mod extract;

mod shutdown;

pub mod test;

pub use default_server::default_server;
pub use layer::{ServerLayer, WithServer, layer};
pub use outcome::Outcome;
pub use rejection::{RejectionKind, UpgradeRejection};
pub use shutdown::{ShutdownOn, shutdown_on};
pub use upgrade::Upgrade;
