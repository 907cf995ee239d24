//! What all servers do with a request, whatever framework it came through.

use std::time::Duration;

use towline::http::StatusCode;
use towline::{
    Accept, CloseCode, Config, Connection, Deflate, Request, Result, Server, ServerHandle,
};

/// What `/` answers, which is the framework's own page.
pub const PAGE: &str = "ship ahoy";

/// The server, with compression.
pub fn server() -> ServerHandle {
    let config = Config::server().compression(Deflate::server());
    Server::builder().config(config).build_handle()
}

/// Echoes what comes in a room: `/chat/harbour`. The room `closed` is refused.
///
/// # Errors
///
/// If the connection fails.
pub async fn chat(request: Request) -> Result<()> {
    if request.path() == "/chat/closed" {
        return request.reject(StatusCode::NOT_FOUND, "no such room").await;
    }
    let accept = Accept::new().protocols(["chat.v2", "chat.v1"]);
    let mut connection = request.accept_with(accept).await?;
    connection.send(greeting(&connection)).await?;
    while let Some(message) = connection.recv().await? {
        connection.send(message).await?;
    }
    Ok(())
}

/// The first message: the target of the request, and whether the socket was taken out of the framework.
pub fn greeting(connection: &Connection) -> String {
    let socket = if connection.tcp_stream().is_some() { "bare" } else { "wrapped" };
    format!("{} {socket}", connection.resource())
}

/// Waits for `stop`, and then closes the connections with 1001 and waits until they have ended. It is the
/// signal for the graceful shutdown of a framework.
pub async fn stopped(server: ServerHandle, stop: impl Future<Output = ()>) {
    stop.await;
    // It fails for a code that must not be sent.
    let _ = server.shutdown(CloseCode::GOING_AWAY, Duration::from_secs(10)).await;
}
