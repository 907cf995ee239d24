//! What is on axum: Loco, Leptos and Dioxus hand out an `axum::Router`, and serve it in three ways. Their
//! routers are built here as they build them, and served as they serve them.

use std::io;
use std::net::SocketAddr;

use ::axum::Router;
use ::axum::http::StatusCode;
use ::axum::response::Response;
use ::axum::routing::{any, get};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use towline::{Connection, ServerHandle};
use towline_axum::{Upgrade, layer, shutdown_on};

use crate::chat::{PAGE, greeting};

/// The routes of the chat, for a router with any state.
pub fn rooms<S: Clone + Send + Sync + 'static>(server: ServerHandle) -> Router<S> {
    Router::new().route("/chat/{room}", any(room)).layer(layer(server))
}

async fn room(upgrade: Upgrade) -> Response {
    if upgrade.request().path() == "/chat/closed" {
        return upgrade.reject(StatusCode::NOT_FOUND, "no such room");
    }
    upgrade.protocols(["chat.v2", "chat.v1"]).on_connection(echo)
}

async fn echo(mut connection: Connection) -> towline::Result<()> {
    connection.send(greeting(&connection)).await?;
    while let Some(message) = connection.recv().await? {
        connection.send(message).await?;
    }
    Ok(())
}

async fn page() -> &'static str {
    PAGE
}

/// As `Hooks::serve` of Loco: with the peer's address, and with `Hooks::on_shutdown` as a part of the signal.
/// `Hooks::after_routes` merges the chat into a router whose state is set already.
///
/// # Errors
///
/// If it can't serve.
pub async fn loco(
    listener: TcpListener,
    server: ServerHandle,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let routes: Router = Router::new().route("/", get(page)).with_state("the context of the app");
    let app = routes.merge(rooms(server.clone()));
    ::axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(shutdown_on(server, stop))
        .await
}

/// As an app of Leptos: its pages are routes of a router whose state are Leptos' options, and the rest is a
/// fallback. `main` belongs to the program.
///
/// # Errors
///
/// If it can't serve.
pub async fn leptos(
    listener: TcpListener,
    server: ServerHandle,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let app = Router::new()
        .route("/", get(page))
        .merge(rooms(server.clone()))
        .fallback(StatusCode::NOT_FOUND)
        .with_state("the options");
    ::axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(shutdown_on(server, stop))
        .await
}

/// As `dioxus::serve` in a debug build: an accept loop on hyper, without the peer's address and without a
/// graceful shutdown. In a release build it is `axum::serve` without them.
///
/// # Errors
///
/// If it can't serve.
pub async fn dioxus(
    listener: TcpListener,
    server: ServerHandle,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let app: Router = Router::new().route("/", get(page)).merge(rooms(server.clone()));
    let mut stop = std::pin::pin!(shutdown_on(server, stop));
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            () = &mut stop => return Ok(()),
        };
        let service = TowerToHyperService::new(app.clone());
        tokio::spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            let io = TokioIo::new(stream);
            // It fails if the client goes away.
            let _ = builder.serve_connection_with_upgrades(io, service).await;
        });
    }
}
