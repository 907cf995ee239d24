//! Tests of routes without a network.
//!
//! [`connect`] makes a connection to an app through a pipe in memory. In between is hyper, as under
//! `axum::serve`, so the whole way is tested: layers, routing, extractors, the handshake, the handler.
//! No port is needed, and tests may pause tokio's time.
//!
//! ```
//! use axum::{Router, routing::any};
//! use towline::{Client, Message};
//! use towline_axum::{Upgrade, test};
//!
//! fn app() -> Router {
//!     Router::new().route("/ws", any(async |upgrade: Upgrade| {
//!         upgrade.protocols(["chat.v2"]).on_connection(async |connection: towline::Connection| {
//!             connection.send("ship ahoy").await
//!         })
//!     }))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> towline::Result<()> {
//! let mut connection = test::connect(app(), "/ws").await?;
//! assert_eq!(connection.recv().await?, Some(Message::text("ship ahoy")));
//!
//! // With subprotocols, headers or an origin:
//! let client = Client::new().protocols(["chat.v2"]).header("Cookie", "session=31d4d96e");
//! let connection = test::connect_with(&client, app(), "/ws").await?;
//! assert_eq!(connection.protocol(), Some("chat.v2"));
//!
//! // Refused: the error has the response.
//! let error = test::connect(app(), "/nowhere").await.unwrap_err();
//! assert_eq!(error.response().unwrap().status(), 404);
//! # Ok(())
//! # }
//! ```
//!
//! The requests come from no socket. For an app that looks at the peer's address, add axum's layer
//! `MockConnectInfo<SocketAddr>`.

use std::future::poll_fn;

use axum_core::BoxError;
use axum_core::body::Body;
use http::{Request, Response};
use hyper::body::{Body as HttpBody, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tower_service::Service;
use towline::{Client, Connection, Result};

/// How many bytes the pipe holds in each direction.
const PIPE: usize = 64 << 10;

/// Connects to an app at this path, such as `/ws?room=7`, with a client with default options.
///
/// The [module](crate::test) has an example.
///
/// # Errors
///
/// As [`Client::connect_over`]. If the app refuses, the error's
/// [`response`](towline::Error::response) has the status, the headers and the body.
///
/// # Cancel safety
///
/// Cancel safe: the connection is dropped.
///
/// # Panics
///
/// Panics outside of a tokio runtime, or in one without time.
pub async fn connect<S, B>(app: S, path: &str) -> Result<Connection>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: HttpBody + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    connect_with(&Client::new(), app, path).await
}

/// Connects to an app with this client: its subprotocols, headers, origin, version and configuration.
///
/// The [module](crate::test) has an example.
///
/// `path` is a path and a query; the host is then `localhost`. It can also be a whole URL, such as
/// `ws://example.com/ws`, for an app that depends on the host.
///
/// # Errors
///
/// As [`connect`].
///
/// # Cancel safety
///
/// As [`connect`].
///
/// # Panics
///
/// Panics outside of a tokio runtime, or in one without time.
pub async fn connect_with<S, B>(client: &Client, app: S, path: &str) -> Result<Connection>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: HttpBody + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let url = match path.starts_with('/') {
        true => format!("ws://localhost{path}"),
        false => path.to_owned(),
    };
    let (near, far) = tokio::io::duplex(PIPE);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut app = app.clone();
        async move {
            poll_fn(|cx| app.poll_ready(cx)).await?;
            app.call(request.map(Body::new)).await
        }
    });
    let serving =
        http1::Builder::new().serve_connection(TokioIo::new(near), service).with_upgrades();
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::debug!(%error, "HTTP connection failed");
        }
    });
    client.connect_over(far, url).await
}
