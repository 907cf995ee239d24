//! Who is at the other end, said from outside of HTTP.

use std::net::SocketAddr;

/// The address at the other end of the transport, among the extensions of a request.
///
/// HTTP says nothing about it, so whoever accepts the connection has to: [`HttpServer`] does, and
/// in an accept loop of your own [`Mount::peer_addr`] does, or a line like this:
///
/// ```
/// # let mut request = http::Request::new(());
/// # let peer: std::net::SocketAddr = "192.0.2.1:4711".parse().unwrap();
/// request.extensions_mut().insert(towline_hyper::PeerAddr(peer));
/// ```
///
/// A request without it becomes a [`towline::Request`] without a
/// [`peer_addr`](towline::Request::peer_addr), and so without a
/// [`remote_address`](towline::Request::remote_address) as well: what a header says about the
/// client is believed only of a proxy that is known.
///
/// [`HttpServer`]: crate::HttpServer
/// [`Mount::peer_addr`]: crate::Mount::peer_addr
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerAddr(pub SocketAddr);
