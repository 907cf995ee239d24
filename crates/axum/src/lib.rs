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
