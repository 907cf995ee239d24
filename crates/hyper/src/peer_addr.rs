//! The peer's address as a request extension.

use std::net::SocketAddr;

/// The address at the other end of the transport, as an extension of a request.
///
/// HTTP does not carry it, so the accept loop has to add it: [`HttpServer`] does. In your own
/// accept loop, use [`Mount::peer_addr`], or insert it:
///
/// ```
/// # let mut request = http::Request::new(());
/// # let peer: std::net::SocketAddr = "192.0.2.1:4711".parse().unwrap();
/// request.extensions_mut().insert(towline_hyper::PeerAddr(peer));
/// ```
///
/// A request without it becomes a [`towline::Request`] without a
/// [`peer_addr`](towline::Request::peer_addr), and so without a
/// [`remote_address`](towline::Request::remote_address): headers about the client are trusted only
/// from a known proxy.
///
/// [`HttpServer`]: crate::HttpServer
/// [`Mount::peer_addr`]: crate::Mount::peer_addr
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerAddr(pub SocketAddr);
