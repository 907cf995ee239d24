//! Behaviour tests, by topic, with the current axum.

#![allow(clippy::unwrap_used, missing_docs)]

mod extractors;
mod handlers;
mod http2;
mod rejections;
mod server;
mod shutdown;
mod sockets;
mod support;
mod without_a_network;
