//! reqwest: its proxies, certificates, cookies and redirects, and a WebSocket on the connection that it
//! has upgraded.

use anyhow::Result;
use reqwest::Client;
use towline::{Config, Connect, Connection, Deflate, http};
use towline_hyper::from_agreed;

/// Connects to an `http` or `https` URL.
///
/// # Errors
///
/// If the request fails, or the server does not accept it.
pub async fn connect(client: &Client, url: &str) -> Result<Connection> {
    let config = Config::client().compression(Deflate::client());
    let mut request = client.get(url).build()?;
    let handshake = Connect::new()
        .protocols(["chat.v1"])
        .compression(config.negotiable_compression())
        .add_to(request.headers_mut())?;
    let mut response = http::Response::from(client.execute(request).await?);
    let agreed = handshake.verify(&response)?;
    let upgraded = hyper::upgrade::on(&mut response).await?;
    Ok(from_agreed(upgraded, agreed, &config))
}
