//! Without axum itself, nothing more is known of a request.

use std::net::SocketAddr;

use axum_core::extract::Request;

pub(crate) fn peer_addr<B>(_: &Request<B>) -> Option<SocketAddr> {
    None
}

pub(crate) fn restore<B>(_: &mut Request<B>) {}
