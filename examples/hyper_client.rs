//! A client whose handshake is done by an HTTP client of the program, here that of hyper. Start a server by
//! `cargo example mounted`, then run `cargo example hyper_client ws://127.0.0.1:9001/`.

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use towline::{CloseCode, Config, Connect, Connection};
use towline_hyper::from_agreed;

/// Connects to a `ws:` URL.
async fn connect(url: &str) -> Result<Connection, Box<dyn std::error::Error>> {
    let config = Config::client();
    // The request: its headers, the key, what it offers.
    let opening = Connect::new()
        .protocols(["chat.v2", "chat.v1"])
        .compression(config.negotiable_compression())
        .open(&url.parse()?)?;
    let request = opening.request().clone().map(|()| Empty::<Bytes>::new());

    // This is the HTTP client's part.
    let stream = TcpStream::connect((opening.target().host(), opening.target().port())).await?;
    stream.set_nodelay(true)?;
    let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    let mut response = requests.send_request(request).await?;

    // What the response agrees to, and the stream.
    let agreed = opening.verify(&response)?;
    let upgraded = hyper::upgrade::on(&mut response).await?;
    Ok(from_agreed(upgraded, agreed, &config))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:9001/".to_owned());
    let mut connection = connect(&url).await?;
    connection.send("ship ahoy").await?;
    println!("{:?}", connection.recv().await?);
    println!("{:?}", connection.close(CloseCode::NORMAL, "bye").await?);
    Ok(())
}
