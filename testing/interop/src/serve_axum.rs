//! The server of the contract as an axum app, with pages beside it.

use std::future::pending;
use std::io::{Write as _, stdout};
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use http::StatusCode;
use tokio::net::TcpListener;
use towline::{Config, OriginPolicy, Server};
use towline_axum::Upgrade;

use crate::closes::Closes;
use crate::compression::{self, Settings};
use crate::limits;
use crate::serve::converse;

/// The subprotocols, most preferred first.
const PROTOCOLS: [&str; 2] = ["chat.v2", "chat.v1"];

/// Serves until SIGTERM, which closes all connections with 1001.
pub(crate) async fn run(listen: &str, compress: Option<Settings>) -> Result<()> {
    let config = compression::with(limits::raise(Config::server()), compress);
    let server = Server::builder().config(config).origins(OriginPolicy::SameOrigin).build_handle();
    let app = Router::new()
        .route("/guarded", any(accept).layer(from_fn(authenticate)))
        .route("/page", get("a page"))
        .route("/reject", any(reject))
        .fallback(accept)
        .layer(towline_axum::layer(server.clone()))
        .with_state(Arc::<Closes>::default());
    let listener = TcpListener::bind(listen).await?;
    let mut out = stdout();
    writeln!(out, "listening on {}", listener.local_addr()?)?;
    out.flush()?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(towline_axum::shutdown_on(server, terminated()))
        .await?;
    Ok(())
}

async fn accept(State(closes): State<Arc<Closes>>, upgrade: Upgrade) -> Response {
    let request = upgrade.request();
    let (path, query) = (request.path().to_owned(), request.query().unwrap_or_default().to_owned());
    let headers = request.headers().clone();
    upgrade.protocols(PROTOCOLS).on_connection(async move |connection| {
        converse(connection, &path, &query, &headers, &closes).await
    })
}

async fn reject(upgrade: Upgrade) -> Response {
    upgrade.reject(StatusCode::FORBIDDEN, "not here")
}

/// Refuses requests without a token, as a layer that knows nothing of WebSockets does.
async fn authenticate(request: Request, next: Next) -> Response {
    if request.headers().get("authorization").is_none_or(|token| token != "Bearer secret") {
        return (StatusCode::UNAUTHORIZED, "log in").into_response();
    }
    next.run(request).await
}

async fn terminated() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            terminate.recv().await;
            return;
        }
    }
    pending().await
}
