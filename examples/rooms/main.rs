//! Chat rooms in an axum app: rooms, state, authentication by a layer, tracing, graceful shutdown. Run
//! `cargo example rooms`, open the address it prints in two windows, and end it by Ctrl-C. Its tests, in
//! `tests.rs`, need no port.

mod page;

mod rooms;

mod session;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::{any, get};
use axum::{Extension, Router};
use tokio::net::TcpListener;
use towline::topics::Topic;
use towline::{Config, Connection, Server, ServerHandle};
use towline_axum::Upgrade;

use crate::rooms::Rooms;
use crate::session::User;

fn app(server: ServerHandle) -> Router {
    let rooms = Rooms::new(server.topics(), ["harbour", "sea"]);
    Router::new()
        .route("/rooms/{room}", any(enter))
        // The layer sees requests for WebSockets as all others, and refuses them with a response.
        .route_layer(from_fn(session::authenticate))
        .route("/", get(page::index))
        .route("/login/{name}", get(session::login))
        .layer(towline_axum::layer(server))
        .with_state(rooms)
}

async fn enter(
    State(rooms): State<Rooms>,
    Path(name): Path<String>,
    Extension(user): Extension<User>,
    upgrade: Upgrade,
) -> Response {
    match rooms.get(&name) {
        Some(room) => upgrade.on_connection(move |connection| talk(connection, room, user.0)),
        None => upgrade.reject(StatusCode::NOT_FOUND, format!("there is no room {name}")),
    }
}

async fn talk(mut connection: Connection, room: Topic, user: String) -> towline::Result<()> {
    let peer = connection.remote_address();
    tracing::info!(room = room.name(), user, ?peer, "joined");
    room.join(&connection).await?;
    room.publish(format!("{user} joins")).await;
    let ended = async {
        while let Some(message) = connection.recv().await? {
            if let Some(text) = message.as_text() {
                // Waits for nobody: a member whose queue is full misses it.
                room.publish(format!("{user}: {text}")).await;
            }
        }
        Ok(())
    };
    let ended = ended.await;
    tracing::info!(room = room.name(), user, closed = ?connection.closed(), "left");
    room.publish(format!("{user} leaves")).await;
    ended
}

/// Waits for Ctrl-C or, on Unix, SIGTERM.
async fn stop() {
    let interrupt = async { drop(tokio::signal::ctrl_c().await) };
    #[cfg(unix)]
    let terminate = async {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            terminate.recv().await;
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
    tracing::info!("stopping");
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let config = Config::server().max_received_message_size(16 << 10);
    let server = Server::builder().config(config).build_handle();
    let app = app(server.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}/", listener.local_addr()?);
    axum::serve(listener, app)
        .with_graceful_shutdown(towline_axum::shutdown_on(server, stop()))
        .await?;
    tracing::info!("stopped");
    Ok(())
}
