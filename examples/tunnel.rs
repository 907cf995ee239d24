//! TCP over WebSocket, both ends: a way to a database, an SSH or an MQTT server where only HTTP passes.
//!
//! `cargo example tunnel serve 127.0.0.1:9001 127.0.0.1:22` stands before the service, and `cargo example
//! tunnel listen 127.0.0.1:2222 ws://127.0.0.1:9001/` is its other end. Then `ssh -p 2222 127.0.0.1`
//! goes through. If `TUNNEL_TOKEN` is set at both ends, the server lets in only clients that know it. Over
//! the internet, put TLS in front: nginx does, or the feature `tls`.
//!
//! A WebSocket can't be closed in one direction only. So once either end of the TCP connection has ended
//! its side, the tunnel ends as well: that suits SSH and HTTP, and not a protocol whose answer comes
//! after the end of the question.

use std::env::{self, VarError};
use std::io;

use subtle::ConstantTimeEq as _;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use towline::http::{StatusCode, header};
use towline::{Client, CloseCode, Compress, Request, Server};

/// Whether the request has the token. The time that this takes tells nothing about a wrong one but its length.
fn has_token(request: &Request, token: &str) -> bool {
    let given = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes());
    let wanted = format!("Bearer {token}");
    given.is_some_and(|given| given.ct_eq(wanted.as_bytes()).into())
}

async fn serve_one(request: Request, target: &str, token: Option<&str>) -> io::Result<()> {
    if token.is_some_and(|token| !has_token(&request, token)) {
        return Ok(request.reject(StatusCode::UNAUTHORIZED, "the token is wrong").await?);
    }
    // Before the service hears of it: this refuses pages of other sites.
    let mut connection = request.accept().await?;
    // The target is the server's choice: one that the client could name would be an open proxy.
    let mut service = match TcpStream::connect(target).await {
        Ok(service) => service,
        Err(error) => {
            eprintln!("cannot connect to {target}: {error}");
            connection.close(CloseCode::BAD_GATEWAY, "the service is down").await?;
            return Ok(());
        }
    };
    service.set_nodelay(true)?;
    // Encrypted bytes do not get shorter.
    let mut tunnel = connection.into_byte_stream().compress(Compress::Never);
    // While one end does not read, nothing is read from the other. So memory is bounded.
    copy_bidirectional(&mut tunnel, &mut service).await?;
    Ok(())
}

async fn serve(address: &str, target: &str, token: Option<String>) -> io::Result<()> {
    let mut server = Server::bind(address).await?;
    println!("listening on {}", server.local_addr()?);
    while let Some(request) = server.next_request().await {
        let (target, token) = (target.to_owned(), token.clone());
        tokio::spawn(async move {
            if let Err(error) = serve_one(request, &target, token.as_deref()).await {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

async fn listen(address: &str, url: &str, token: Option<String>) -> io::Result<()> {
    let mut client = Client::new();
    if let Some(token) = token {
        client = client.header("authorization", format!("Bearer {token}"));
    }
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (mut caller, _) = listener.accept().await?;
        let connecting = client.connect(url);
        tokio::spawn(async move {
            let through = async {
                caller.set_nodelay(true)?;
                let mut tunnel = connecting.await?.into_byte_stream();
                copy_bidirectional(&mut caller, &mut tunnel).await
            };
            // The caller sees the end of its connection, whatever the reason is.
            if let Err(error) = through.await {
                eprintln!("{error}");
            }
        });
    }
}

/// The token, or `None` if it is not set. One that is no token is an error: without it, anybody would get in.
fn token() -> io::Result<Option<String>> {
    match env::var("TUNNEL_TOKEN") {
        Ok(token) if token.is_empty() => Err(io::Error::other("TUNNEL_TOKEN is empty")),
        Ok(token) => Ok(Some(token)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(io::Error::other("TUNNEL_TOKEN is not UTF-8")),
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let token = token()?;
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve", address, target] => serve(address, target, token).await,
        ["listen", address, url] => listen(address, url, token).await,
        _ => Err(io::Error::other("write serve ADDRESS TARGET, or listen ADDRESS URL")),
    }
}
