//! `kubectl exec`: a WebSocket on an upgraded connection of hyper's client, whose messages begin with
//! the number of a channel.

pub mod towline;
pub mod tungstenite;

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::header::{
    AUTHORIZATION, CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// The subprotocol: each message is a channel and its bytes.
pub const PROTOCOL: &str = "v4.channel.k8s.io";

pub(crate) const STDIN: u8 = 0;
pub(crate) const STDOUT: u8 = 1;
pub(crate) const STDERR: u8 = 2;
pub(crate) const STATUS: u8 = 3;

/// What the command has printed, and its status.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained of.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub status: Vec<u8>,
}

impl Output {
    /// Adds a message, and returns whether it was the last.
    pub(crate) fn add(&mut self, message: &[u8]) -> Result<bool> {
        let (channel, bytes) = message.split_first().context("a message without a channel")?;
        match *channel {
            STDOUT => self.stdout.extend_from_slice(bytes),
            STDERR => self.stderr.extend_from_slice(bytes),
            STATUS => self.status.extend_from_slice(bytes),
            other => bail!("channel {other}"),
        }
        Ok(*channel == STATUS)
    }
}

/// A message for a channel.
pub(crate) fn on(channel: u8, bytes: &[u8]) -> Vec<u8> {
    [&[channel][..], bytes].concat()
}

/// Connects hyper's client, as a program does that has its own TLS, proxies and authentication.
pub(crate) async fn http(address: SocketAddr) -> Result<SendRequest<Empty<Bytes>>> {
    let stream = TokioIo::new(TcpStream::connect(address).await?);
    let (sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    tokio::spawn(connection.with_upgrades());
    Ok(sender)
}

/// Serves a command that repeats its input in capitals.
///
/// # Errors
///
/// If it can't listen.
pub async fn server() -> Result<SocketAddr> {
    crate::serve(async |stream| {
        let service = service_fn(|request| async { Ok::<_, Infallible>(answer(request)) });
        let http = hyper::server::conn::http1::Builder::new();
        http.serve_connection(TokioIo::new(stream), service).with_upgrades().await?;
        Ok(())
    })
    .await
}

fn answer(mut request: Request<Incoming>) -> Response<Empty<Bytes>> {
    let header = |name: HeaderName| request.headers().get(name).map(|value| value.as_bytes());
    let mut response = Response::new(Empty::new());
    if header(AUTHORIZATION) != Some(b"Bearer secret") {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        return response;
    }
    let (Some(key), Some(PROTOCOL)) = (
        header(SEC_WEBSOCKET_KEY),
        header(SEC_WEBSOCKET_PROTOCOL).and_then(|name| std::str::from_utf8(name).ok()),
    ) else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let accept = derive_accept_key(key);
    for (name, value) in [
        (UPGRADE, "websocket"),
        (CONNECTION, "upgrade"),
        (SEC_WEBSOCKET_ACCEPT, &accept),
        (SEC_WEBSOCKET_PROTOCOL, PROTOCOL),
    ] {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let stream = TokioIo::new(upgraded.await?);
        run(WebSocketStream::from_raw_socket(stream, Role::Server, None).await).await
    });
    response
}

async fn run(mut socket: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>) -> Result<()> {
    socket.send(Message::binary(on(STDERR, b"ready\n"))).await?;
    while let Some(message) = socket.next().await {
        let Message::Binary(message) = message? else { continue };
        match message.split_first() {
            Some((&STDIN, b"exit\n")) => break,
            Some((&STDIN, input)) => {
                let output = on(STDOUT, &input.to_ascii_uppercase());
                socket.send(Message::binary(output)).await?;
            }
            _ => bail!("not for standard input"),
        }
    }
    socket.send(Message::binary(on(STATUS, br#"{"status":"Success"}"#))).await?;
    socket.close(None).await?;
    while let Some(Ok(_)) = socket.next().await {}
    Ok(())
}
