//! The layer that carries the server.

use std::task::{Context, Poll};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;
use towline::ServerHandle;

/// Returns a layer that makes the [`Upgrade`](crate::Upgrade)s of the routes below it use this server:
/// its configuration, limits, Origin policy, events and shutdown.
///
/// The handle is an extension of the requests, so `axum::Extension<ServerHandle>` extracts it. Of two
/// layers, the inner one wins.
///
/// ```
/// use axum::Router;
/// use towline::{Config, OriginPolicy, Server};
///
/// let server = Server::builder()
///     .config(Config::server().max_received_message_size(64 << 10))
///     .origins(OriginPolicy::list(["https://app.example"])?)
///     .build_handle();
/// let app = Router::<()>::new()
///     // … routes
///     .layer(towline_axum::layer(server.clone()));
/// # Ok::<(), towline::OriginError>(())
/// ```
pub fn layer(server: ServerHandle) -> ServerLayer {
    ServerLayer { server }
}

/// A layer that carries a server; made by [`layer()`].
///
/// [`towline_axum`](crate) has an example.
#[derive(Debug, Clone)]
pub struct ServerLayer {
    server: ServerHandle,
}

impl<S> Layer<S> for ServerLayer {
    type Service = WithServer<S>;

    fn layer(&self, inner: S) -> WithServer<S> {
        WithServer { server: self.server.clone(), inner }
    }
}

/// A service whose requests carry a server; made by a [`layer()`].
#[derive(Debug, Clone)]
pub struct WithServer<S> {
    server: ServerHandle,
    inner: S,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for WithServer<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        request.extensions_mut().insert(self.server.clone());
        self.inner.call(request)
    }
}
