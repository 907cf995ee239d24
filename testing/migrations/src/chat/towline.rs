//! The server with towline-axum.

use std::io;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::any;
use tokio::net::TcpListener;
use towline::{Config, Connection, Server};
use towline_axum::{Upgrade, layer, shutdown_on};

use crate::chat::{Rooms, Seat};

/// Serves the chat until `stop` is ready, and then until the connections have ended.
///
/// # Errors
///
/// If it can't serve.
pub async fn serve(
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    // By default, a single frame has at most 64 KiB.
    let config = Config::server().max_received_message_size(1 << 20);
    let server = Server::builder().config(config).build_handle();
    let app = Router::new()
        .route("/rooms/{room}/{user}", any(enter))
        .layer(layer(server.clone()))
        .with_state(Rooms::new());
    axum::serve(listener, app).with_graceful_shutdown(shutdown_on(server, stop)).await
}

async fn enter(
    State(rooms): State<Rooms>,
    Path((room, user)): Path<(String, String)>,
    upgrade: Upgrade,
) -> Response {
    match rooms.enter(&room, &user) {
        Ok(seat) => upgrade.on_connection(|connection| talk(connection, seat)),
        Err(status) => upgrade.reject(status, "no such room, or the name is taken"),
    }
}

async fn talk(mut connection: Connection, mut seat: Seat) -> towline::Result<()> {
    loop {
        tokio::select! {
            said = seat.next() => {
                let Some(said) = said else { return Ok(()) };
                connection.send(said).await?;
            }
            message = connection.recv() => match message? {
                Some(message) => seat.say(message.as_text().unwrap_or_default()),
                None => return Ok(()),
            },
        }
    }
}
