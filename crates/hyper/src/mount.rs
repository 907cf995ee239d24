//! The service that separates handshakes from other requests.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use towline::{ServerHandle, TlsInfo};

use crate::body::MountBody;
use crate::handshake::{hand_over, is_handshake};
use crate::peer_addr::PeerAddr;

/// Mounts a server on a service: handshakes go to the server, all other requests to the service.
///
/// The service is a hyper or a tower service, and [`Mount`] is a service of the same kind.
///
/// ```
/// # use std::convert::Infallible;
/// # use bytes::Bytes;
/// # use http_body_util::Full;
/// # use hyper::{Request, Response, body::Incoming, service::service_fn};
/// async fn page(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
///     Ok(Response::new("ship ahoy".into()))
/// }
///
/// let server = towline::Server::builder().build();
/// let service = towline_hyper::mount(server.handle(), service_fn(page));
/// ```
#[doc(alias = "httpServer")]
pub fn mount<S>(server: ServerHandle, inner: S) -> Mount<S> {
    Mount { server, peer_addr: None, tls: None, inner }
}

/// A layer that [mounts](mount()) a server on a tower service.
///
/// ```
/// # use std::convert::Infallible;
/// # use bytes::Bytes;
/// # use http::{Request, Response};
/// # use http_body_util::Full;
/// # use hyper::body::Incoming;
/// use tower::{ServiceBuilder, service_fn};
/// use towline_hyper::MountLayer;
///
/// let server = towline::Server::builder().build();
/// let service = ServiceBuilder::new()
///     // … layers that see handshakes too
///     .layer(MountLayer::new(server.handle()))
///     // … layers that don't
///     .service(service_fn(async |_: Request<Incoming>| {
///         Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("ship ahoy")))
///     }));
/// ```
#[derive(Debug, Clone)]
pub struct MountLayer {
    server: ServerHandle,
}

impl MountLayer {
    /// Returns the layer that mounts this server.
    pub fn new(server: ServerHandle) -> Self {
        Self { server }
    }
}

impl<S> Layer<S> for MountLayer {
    type Service = Mount<S>;

    fn layer(&self, inner: S) -> Mount<S> {
        mount(self.server.clone(), inner)
    }
}

/// A service with a WebSocket server mounted on it; made by [`mount()`] or [`MountLayer`].
///
/// A request is a handshake if its `Upgrade` header lists `websocket`, ignoring case, or if it is
/// an extended CONNECT for that protocol (HTTP/2, RFC 8441). Handshakes go to
/// [`Server::next_request`](towline::Server::next_request), which decides on the response. Invalid
/// handshakes are answered with 400, 405 or 426 before that.
///
/// Every other request goes to the inner service. While the server is
/// [unmounted](ServerHandle::unmount), and once it is shut down or dropped, all requests do.
/// Unmounting leaves open connections alone.
///
/// Over HTTP/2, any 2xx response to an extended CONNECT accepts it, also one of the inner service. So let that
/// refuse the method CONNECT, as routers do. Otherwise clients that come after a shutdown seem to be accepted.
///
/// It is a tower service around a tower service, and a hyper service around a hyper service. To
/// serve the former with hyper, wrap it in `hyper_util::service::TowerToHyperService`.
///
/// Serve the connection with upgrades: `with_upgrades()` of hyper's HTTP/1 connections,
/// `serve_connection_with_upgrades` of hyper-util's. For HTTP/2, call `enable_connect_protocol()`
/// on the builder, and set [two windows](crate#http2). [`HttpServer`](crate::HttpServer) does all
/// of that.
#[derive(Clone)]
pub struct Mount<S> {
    server: ServerHandle,
    peer_addr: Option<SocketAddr>,
    tls: Option<Arc<TlsInfo>>,
    inner: S,
}

impl<S> Mount<S> {
    /// Sets the peer's address for all requests without a [`PeerAddr`]. Accept loops call it on a
    /// clone of the service for each connection.
    ///
    /// The inner service finds it in the extensions of its requests, as a [`PeerAddr`].
    #[must_use]
    pub fn peer_addr(mut self, peer: SocketAddr) -> Self {
        self.peer_addr = Some(peer);
        self
    }

    /// Sets the result of the TLS handshake for all requests without an `Arc` of a [`TlsInfo`].
    /// Accept loops get it from [`TlsStream::info`](towline::TlsStream::info).
    ///
    /// The inner service finds it in the extensions of its requests;
    /// [`Request::tls`](towline::Request::tls) returns it.
    #[must_use]
    pub fn tls(mut self, info: Arc<TlsInfo>) -> Self {
        self.tls = Some(info);
        self
    }

    /// Returns the mounted server.
    pub fn server(&self) -> &ServerHandle {
        &self.server
    }

    /// Returns the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns the inner service for a change.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service alone.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// Returns the request for the inner service, or the response to a handshake.
    fn part<B, F>(&self, mut request: Request<B>) -> Result<Request<B>, MountFuture<F>> {
        if let Some(peer) = self.peer_addr
            && request.extensions().get::<PeerAddr>().is_none()
        {
            request.extensions_mut().insert(PeerAddr(peer));
        }
        if let Some(tls) = &self.tls
            && request.extensions().get::<Arc<TlsInfo>>().is_none()
        {
            request.extensions_mut().insert(tls.clone());
        }
        if is_handshake(&request) && self.server.is_mounted() {
            let answer = Box::pin(hand_over(self.server.clone(), request));
            return Err(MountFuture { origin: Origin::Handshake { answer } });
        }
        Ok(request)
    }
}

impl<S: fmt::Debug> fmt::Debug for Mount<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mount")
            .field("server", &self.server)
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, B, R> tower_service::Service<Request<B>> for Mount<S>
where
    S: tower_service::Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<MountBody<R>>;
    type Error = S::Error;
    type Future = MountFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.part(request) {
            Ok(request) => MountFuture::service(self.inner.call(request)),
            Err(answer) => answer,
        }
    }
}

impl<S, B, R> hyper::service::Service<Request<B>> for Mount<S>
where
    S: hyper::service::Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<MountBody<R>>;
    type Error = S::Error;
    type Future = MountFuture<S::Future>;

    fn call(&self, request: Request<B>) -> Self::Future {
        match self.part(request) {
            Ok(request) => MountFuture::service(self.inner.call(request)),
            Err(answer) => answer,
        }
    }
}

pin_project! {
    /// The future of a [`Mount`]'s response.
    ///
    /// # Cancel safety
    ///
    /// As the inner service's future. For a handshake it is not cancel safe: the request is gone
    /// and can no longer be accepted.
    pub struct MountFuture<F> {
        #[pin]
        origin: Origin<F>,
    }
}

type Answer = Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>;

pin_project! {
    #[project = OriginProjection]
    enum Origin<F> {
        Handshake { answer: Answer },
        Service { #[pin] response: F },
    }
}

impl<F> MountFuture<F> {
    fn service(response: F) -> Self {
        Self { origin: Origin::Service { response } }
    }
}

impl<F, B, E> Future for MountFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<MountBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().origin.project() {
            OriginProjection::Handshake { answer } => {
                Ok(ready!(answer.as_mut().poll(cx)).map(MountBody::answer))
            }
            OriginProjection::Service { response } => {
                ready!(response.poll(cx)).map(|response| response.map(MountBody::service))
            }
        })
    }
}

impl<F> fmt::Debug for MountFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MountFuture").finish_non_exhaustive()
    }
}
