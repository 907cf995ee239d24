//! A server that echoes messages: `cargo example echo`, and in another terminal `cargo example client`.
//! Ctrl-C closes all connections with 1001 (going away) and ends the server.

use std::env;
use std::time::Duration;

use towline::{CloseCode, Request, Result, Server};

/// One connection. Keepalive, limits and the peer's close are handled inside `recv` and `send`.
async fn echo(request: Request) -> Result<()> {
    let mut connection = request.accept().await?;
    // `None` is a clean close, and an error says what was wrong and which end is to blame.
    while let Some(message) = connection.recv().await? {
        connection.send(message).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let mut server = Server::bind(&address).await?;
    println!("listening on {}", server.local_addr()?);

    let handle = server.handle();
    let shutdown = tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        // Connections that have not closed after 5 s are aborted.
        handle.shutdown(CloseCode::GOING_AWAY, Duration::from_secs(5)).await
    });

    // `None` once the shutdown has begun.
    while let Some(request) = server.next_request().await {
        tokio::spawn(async move {
            if let Err(error) = echo(request).await {
                eprintln!("{error}");
            }
        });
    }
    if let Ok(outcome) = shutdown.await {
        outcome?;
    }
    Ok(())
}
