//! Tokens (JWT) at the handshake: a request without a valid one gets 401 and a reason, and a connection
//! ends when its token does.
//!
//! A program sends the token in `Authorization: Bearer …`. The `WebSocket` of a browser can't set headers,
//! so a page offers it among the subprotocols, as `bearer.TOKEN`. Not in the URL: URLs are written into
//! logs.
//!
//! `JWT_SECRET=$(openssl rand -hex 32) cargo example jwt --features jwt`, then open the address it prints. It
//! also prints a line to connect from a terminal.

mod tokens;

mod pages;

mod talk;

use std::env;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use tokio::net::TcpListener;
use towline::{CloseCode, Server};
use towline_hyper::{HttpServer, mount};

use crate::tokens::Tokens;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = env::var("JWT_SECRET").map_err(
        |_| "set JWT_SECRET to a secret of the server, made with `openssl rand -hex 32`",
    )?;
    let tokens = Arc::new(Tokens::new(secret.as_bytes())?);

    let mut server = Server::builder().build();
    let for_pages = tokens.clone();
    let pages = service_fn(move |request| pages::answer(request, for_pages.clone()));
    let http = HttpServer::new(mount(server.handle(), pages));
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}/");
    println!(
        "cargo run -- connect ws://{address}/ --header 'Authorization: Bearer {}'",
        tokens.issue("ada")?
    );
    http.listen(listener);

    let handle = server.handle();
    tokio::spawn(async move {
        while let Some(request) = server.next_request().await {
            let tokens = tokens.clone();
            tokio::spawn(async move {
                if let Err(error) = talk::run(request, &tokens).await {
                    eprintln!("{error}");
                }
            });
        }
    });

    tokio::signal::ctrl_c().await?;
    let deadline = Duration::from_secs(5);
    tokio::join!(http.shutdown(deadline), handle.shutdown(CloseCode::GOING_AWAY, deadline)).1?;
    Ok(())
}
