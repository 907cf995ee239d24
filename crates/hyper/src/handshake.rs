//! Detects handshakes and hands them to the server.

use bytes::Bytes;
use http::{Method, Request, Response, Version, header};
use hyper::ext::Protocol;
use towline::ServerHandle;

use crate::peer_addr::PeerAddr;
use crate::upgraded::upgraded;

/// Whether a request asks for a WebSocket, even if it is not a valid handshake.
pub(crate) fn is_handshake<B>(request: &Request<B>) -> bool {
    if request.version() >= Version::HTTP_2 {
        let protocol = request.extensions().get::<Protocol>();
        return request.method() == Method::CONNECT
            && protocol.is_some_and(|protocol| is_websocket(protocol.as_ref()));
    }
    // RFC 9110, section 7.8: a list of protocols, over all lines of the header.
    let lines = request.headers().get_all(header::UPGRADE).into_iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).any(is_websocket)
}

fn is_websocket(protocol: &[u8]) -> bool {
    protocol.trim_ascii().eq_ignore_ascii_case(b"websocket")
}

/// Hands a handshake to the server, and resolves to the response.
pub(crate) fn hand_over<B>(
    server: ServerHandle,
    mut request: Request<B>,
) -> impl Future<Output = Response<Bytes>> + Send + 'static {
    let upgraded = upgraded(hyper::upgrade::on(&mut request), request.version());
    let (mut parts, _) = request.into_parts();
    if let Some(protocol) = parts.extensions.get::<Protocol>() {
        let protocol = towline::Protocol::new(protocol.as_str());
        parts.extensions.insert(protocol);
    }
    // The other extensions become the connection's data; these are no longer needed.
    parts.extensions.remove::<Protocol>();
    let peer_addr = parts.extensions.remove::<PeerAddr>().map(|peer| peer.0);
    let request = Request::from_parts(parts, ());
    async move { server.upgrade(request, peer_addr, upgraded).await }
}
