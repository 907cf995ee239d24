//! Detects handshakes and hands them to the server.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, Response, Version, header};
use hyper::ext::Protocol;
use towline::{Broken, Outcome, Rejection, Responding, ServerHandle, Upgraded};

use crate::http2_executor::{InUse, Opening};
use crate::peer_addr::PeerAddr;
use crate::upgraded::upgraded;

/// Returns whether a request asks for a WebSocket, even if it is not a valid handshake: its
/// `Upgrade` header lists `websocket`, ignoring case, or it is an extended CONNECT for that protocol
/// (HTTP/2, RFC 8441).
///
/// ```
/// let request = http::Request::get("/chat").header("upgrade", "websocket").body(()).unwrap();
/// assert!(towline_hyper::is_handshake(&request));
/// ```
pub fn is_handshake<B>(request: &Request<B>) -> bool {
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

/// Takes a handshake for the handler that has it, without the queue of
/// [`Server::next_request`](towline::Server::next_request): see [`ServerHandle::request`].
/// [`respond`] does it in one call. For axum, `towline-axum` has an extractor.
///
/// `peer_addr` is the address at the other end of the transport; if it is `None`, that of a
/// [`PeerAddr`] among the request's extensions is used. The connection must be served with
/// upgrades. The request's extensions become the connection's
/// [data](towline::Connection::data), and its body is dropped. A TCP stream is taken out of hyper,
/// as for [`Mount`](crate::Mount).
///
/// ```
/// use std::convert::Infallible;
///
/// use http_body_util::Full;
/// use hyper::body::{Bytes, Incoming};
/// use hyper::{Request, Response};
/// use towline::{Mechanism, ServerHandle};
///
/// async fn chat(
///     server: ServerHandle,
///     request: Request<Incoming>,
/// ) -> Result<Response<Full<Bytes>>, Infallible> {
///     let mechanism = Mechanism::of(&request);
///     let (request, response) = match towline_hyper::request(&server, request, None) {
///         Ok(taken) => taken,
///         Err(rejection) => return Ok(rejection.response(mechanism).map(Full::new)),
///     };
///     tokio::spawn(async move {
///         let mut connection = request.accept().await?;
///         while let Some(message) = connection.recv().await? {
///             connection.send(message).await?;
///         }
///         towline::Result::Ok(())
///     });
///     Ok(response.await.map(Full::new))
/// }
///
/// let server = towline::Server::builder().build_handle();
/// let service = hyper::service::service_fn(move |request| chat(server.clone(), request));
/// ```
///
/// # Errors
///
/// As [`ServerHandle::request`]: a [`Rejection`] with the HTTP status to answer with.
///
/// # Panics
///
/// Panics outside of a tokio runtime, or in one without time.
pub fn request<B>(
    server: &ServerHandle,
    request: Request<B>,
    peer_addr: Option<SocketAddr>,
) -> Result<(towline::Request, Responding), Rejection> {
    let (request, told, opening, upgraded) = apart(request);
    if let Some(opening) = opening {
        opening.announce();
    }
    server.request(request, peer_addr.or(told), upgraded)
}

/// Answers a handshake by a handler that accepts or rejects it: [`ServerHandle::respond`] for hyper, in
/// the handlers of web frameworks. For axum, `towline-axum` has an extractor.
///
/// The arguments are those of [`request()`]. `handle` runs in a task of its own, and is not called for
/// requests that are no valid handshake. Return the response to the framework.
///
/// ```
/// use std::convert::Infallible;
///
/// use http_body_util::Full;
/// use hyper::body::{Bytes, Incoming};
/// use hyper::{Request, Response};
/// use towline::ServerHandle;
/// use towline_hyper::respond;
///
/// async fn chat(request: towline::Request) -> towline::Result<()> {
///     let mut connection = request.accept().await?;
///     while let Some(message) = connection.recv().await? {
///         connection.send(message).await?;
///     }
///     Ok(())
/// }
///
/// // In a service of hyper's:
/// async fn serve(
///     server: ServerHandle,
///     request: Request<Incoming>,
/// ) -> Result<Response<Full<Bytes>>, Infallible> {
///     match request.uri().path() {
///         "/chat" => Ok(respond(&server, request, None, chat).await.map(Full::new)),
///         _ => Ok(Response::new("<h1>Ship ahoy</h1>".into())),
///     }
/// }
/// ```
///
/// # Cancel safety
///
/// As [`ServerHandle::respond`]: not cancel safe, since the future has the response.
///
/// # Panics
///
/// Panics outside of a tokio runtime, or in one without time.
pub fn respond<B, F, Fut>(
    server: &ServerHandle,
    request: Request<B>,
    peer_addr: Option<SocketAddr>,
    handle: F,
) -> impl Future<Output = Response<Bytes>> + Send + 'static + use<B, F, Fut>
where
    F: FnOnce(towline::Request) -> Fut + Send + 'static,
    Fut: Future<Output: Outcome> + Send + 'static,
{
    let server = server.clone();
    let (request, told, opening, upgraded) = apart(request);
    async move {
        if let Some(opening) = opening {
            opening.announce();
        }
        server.respond(request, peer_addr.or(told), upgraded, handle).await
    }
}

/// Hands a handshake to the server, and resolves to the response.
pub(crate) fn hand_over<B>(
    server: ServerHandle,
    request: Request<B>,
) -> impl Future<Output = Response<Bytes>> + Send + 'static {
    let (request, peer_addr, opening, upgraded) = apart(request);
    async move {
        if let Some(opening) = opening {
            opening.announce();
        }
        server.upgrade(request, peer_addr, upgraded).await
    }
}

/// Returns a request as `towline` takes it, with the peer's address, what to announce over HTTP/2, and
/// the stream.
fn apart<B>(
    mut request: Request<B>,
) -> (
    Request<()>,
    Option<SocketAddr>,
    Option<Opening>,
    impl Future<Output = io::Result<Upgraded>> + Send + 'static + use<B>,
) {
    let is_http2 = request.version() == Version::HTTP_2;
    let (in_use, opening) = is_http2.then(InUse::new).unzip();
    let broken = request.extensions_mut().remove::<Broken>();
    let upgraded = upgraded(hyper::upgrade::on(&mut request), in_use, broken);
    let (mut parts, _) = request.into_parts();
    if let Some(protocol) = parts.extensions.get::<Protocol>() {
        let protocol = towline::Protocol::new(protocol.as_str());
        parts.extensions.insert(protocol);
    }
    // The other extensions become the connection's data; these are no longer needed.
    parts.extensions.remove::<Protocol>();
    let peer_addr = parts.extensions.remove::<PeerAddr>().map(|peer| peer.0);
    (Request::from_parts(parts, ()), peer_addr, opening, upgraded)
}
