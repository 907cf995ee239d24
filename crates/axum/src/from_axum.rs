//! What axum itself knows of a request.

use std::net::SocketAddr;

use axum::extract::connect_info::{ConnectInfo, MockConnectInfo};
use axum::extract::{OriginalUri, Request};

/// The peer's address, from the make service or, in tests, from a layer.
pub(crate) fn peer_addr<B>(request: &Request<B>) -> Option<SocketAddr> {
    let extensions = request.extensions();
    let real = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    real.or_else(|| extensions.get::<MockConnectInfo<SocketAddr>>().map(|info| info.0))
}

/// Restores the target as it was sent: a nested router sees only the rest of the path. Drops the
/// extensions that are of no more use to the connection.
pub(crate) fn restore<B>(request: &mut Request<B>) {
    if let Some(OriginalUri(uri)) = request.extensions_mut().remove::<OriginalUri>() {
        *request.uri_mut() = uri;
    }
    request.extensions_mut().remove::<ConnectInfo<SocketAddr>>();
    request.extensions_mut().remove::<MockConnectInfo<SocketAddr>>();
}
