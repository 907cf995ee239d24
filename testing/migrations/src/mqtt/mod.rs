//! MQTT over WebSocket: a protocol that is a stream of bytes, in binary messages. Packets can be cut
//! anywhere.

pub mod towline;
pub mod tungstenite;

use std::net::SocketAddr;

use anyhow::{Result, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;

/// The subprotocol.
pub const PROTOCOL: &str = "mqtt";

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const DISCONNECT: u8 = 0xE0;

/// A packet: its first byte, its length in groups of seven bits, and its body.
fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut len = body.len();
    loop {
        let group = u8::try_from(len & 0x7F).unwrap_or(0);
        len >>= 7;
        bytes.push(if len > 0 { group | 0x80 } else { group });
        if len == 0 {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

async fn read_packet(stream: &mut (impl AsyncRead + Unpin)) -> Result<(u8, Vec<u8>)> {
    let first = stream.read_u8().await?;
    let (mut len, mut shift) = (0, 0);
    loop {
        let group = stream.read_u8().await?;
        len |= usize::from(group & 0x7F) << shift;
        shift += 7;
        if group & 0x80 == 0 {
            break;
        }
        ensure!(shift < 28, "a length of more than four bytes");
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await?;
    Ok((first, body))
}

/// Publishes each of these, and returns what the broker sends back. It is the same for any transport.
pub(crate) async fn publish(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    payloads: &[Vec<u8>],
) -> Result<Vec<Vec<u8>>> {
    stream.write_all(&packet(CONNECT, b"\0\x04MQTT\x04\x02\0\x3C\0\x01c")).await?;
    stream.flush().await?;
    ensure!(read_packet(&mut stream).await? == (CONNACK, vec![0, 0]), "not accepted");
    let mut received = Vec::new();
    for payload in payloads {
        stream.write_all(&packet(PUBLISH, payload)).await?;
        stream.flush().await?;
        let (first, body) = read_packet(&mut stream).await?;
        ensure!(first == PUBLISH, "not published");
        received.push(body);
    }
    stream.write_all(&packet(DISCONNECT, b"")).await?;
    stream.shutdown().await?;
    // The broker has closed too.
    ensure!(stream.read(&mut [0]).await? == 0, "something after the end");
    Ok(received)
}

/// Serves a broker that sends back what is published, cut into messages of a thousand bytes, where
/// packets begin and end anywhere.
///
/// # Errors
///
/// If it can't listen.
pub async fn server() -> Result<SocketAddr> {
    crate::serve(broker).await
}

#[expect(clippy::result_large_err, reason = "the callback's signature")]
fn agree(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    if request.headers().get(SEC_WEBSOCKET_PROTOCOL).is_some_and(|name| name == PROTOCOL)
        && let Ok(name) = PROTOCOL.parse()
    {
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
    }
    Ok(response)
}

async fn broker(stream: TcpStream) -> Result<()> {
    let mut socket = accept_hdr_async(stream, agree).await?;
    let mut input = Vec::new();
    while let Some(message) = socket.next().await {
        match message? {
            Message::Binary(bytes) => input.extend_from_slice(&bytes),
            Message::Text(_) => bail!("text"),
            _ => continue,
        }
        let mut output = Vec::new();
        let mut rest = &input[..];
        loop {
            let mut ahead = rest;
            // Reading from a slice never waits.
            let Ok((first, body)) = read_packet(&mut ahead).await else { break };
            rest = ahead;
            output.extend(match first {
                CONNECT => packet(CONNACK, &[0, 0]),
                PUBLISH => packet(PUBLISH, &body),
                _ => continue,
            });
        }
        input = rest.to_vec();
        for part in output.chunks(1000) {
            socket.send(Message::binary(part.to_vec())).await?;
        }
    }
    Ok(())
}
