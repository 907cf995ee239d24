//! The client in tokio-tungstenite, which checks the answer to its handshake by hand.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::Empty;
use hyper::header::{
    AUTHORIZATION, CONNECTION, HOST, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::exec::{Output, PROTOCOL, STDIN, http, on};

/// Runs a command with this input.
///
/// # Errors
///
/// If the server refuses, or the connection ends before the command.
pub async fn exec(address: SocketAddr, token: &str, input: &[&str]) -> Result<Output> {
    let key = generate_key();
    let request = Request::get("/api/v1/namespaces/default/pods/web/exec")
        .header(HOST, address.to_string())
        .header(UPGRADE, "websocket")
        .header(CONNECTION, "Upgrade")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key)
        .header(SEC_WEBSOCKET_PROTOCOL, PROTOCOL)
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .body(Empty::<Bytes>::new())?;
    let response = http(address).await?.send_request(request).await?;
    ensure!(response.status() == StatusCode::SWITCHING_PROTOCOLS, "{}", response.status());
    let is = |name: HeaderName, expected: &str| {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.eq_ignore_ascii_case(expected))
    };
    ensure!(is(UPGRADE, "websocket"), "the server does not upgrade to WebSocket");
    ensure!(is(CONNECTION, "upgrade"), "the server does not upgrade");
    let accept = response.headers().get(SEC_WEBSOCKET_ACCEPT);
    let is_accepted = accept.is_some_and(|accept| *accept == derive_accept_key(key.as_bytes()));
    ensure!(is_accepted, "the server does not accept");
    ensure!(is(SEC_WEBSOCKET_PROTOCOL, PROTOCOL), "the server does not speak {PROTOCOL}");
    let stream = TokioIo::new(hyper::upgrade::on(response).await?);
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;

    for line in input {
        socket.send(Message::binary(on(STDIN, line.as_bytes()))).await?;
    }
    let mut output = Output::default();
    while let Some(message) = socket.next().await {
        let message = match message? {
            Message::Binary(message) => message,
            Message::Ping(_) | Message::Pong(_) => continue,
            _ => break,
        };
        if output.add(&message)? {
            break;
        }
    }
    socket.close(None).await?;
    while let Some(Ok(_)) = socket.next().await {}
    Ok(output)
}
