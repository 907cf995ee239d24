//! A server that echoes messages: `cargo run -p towline --example echo`, and then `cargo run -p
//! towline --example client`.

use std::env;
use std::time::Duration;

use towline::{CloseCode, Request, Result, Server};

async fn echo(request: Request) -> Result<()> {
    let mut connection = request.accept().await?;
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
    tokio::spawn(async move {
        // Without Ctrl-C support the server runs until it is killed.
        if tokio::signal::ctrl_c().await.is_ok() {
            let _ = handle.shutdown(CloseCode::GOING_AWAY, Duration::from_secs(5)).await;
        }
    });
    while let Some(request) = server.next_request().await {
        tokio::spawn(async move {
            if let Err(error) = echo(request).await {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}
