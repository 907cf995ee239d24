//! A chat gateway: heartbeats in JSON, a session that is resumed on a new connection, and close codes
//! that say whether it can be.

pub mod towline;
pub mod tungstenite;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_async};

pub(crate) const DISPATCH: u64 = 0;
pub(crate) const HEARTBEAT: u64 = 1;
pub(crate) const IDENTIFY: u64 = 2;
pub(crate) const RESUME: u64 = 6;
pub(crate) const HELLO: u64 = 10;
pub(crate) const ACK: u64 = 11;

/// The code with which a client closes to resume later.
pub(crate) const RESUMABLE: u16 = 4900;

/// Whether a session can't go on after the server closed with this code.
pub(crate) fn is_fatal(code: u16) -> bool {
    matches!(code, 4004 | 4010..=4014)
}

/// What outlives a connection.
#[derive(Debug, Default)]
pub(crate) struct Session {
    pub(crate) id: Option<String>,
    /// The number of the last event.
    pub(crate) sequence: u64,
    pub(crate) events: Vec<String>,
}

/// What a client does about an event.
pub(crate) enum Next {
    GoOn,
    /// The heartbeat was acknowledged.
    Acknowledged,
    /// All is done.
    Done,
}

impl Session {
    /// The first message on a connection.
    pub(crate) fn opening(&self, token: &str) -> String {
        match &self.id {
            Some(id) => {
                let resume = json!({ "token": token, "session_id": id, "seq": self.sequence });
                json!({ "op": RESUME, "d": resume }).to_string()
            }
            None => json!({ "op": IDENTIFY, "d": { "token": token } }).to_string(),
        }
    }

    pub(crate) fn heartbeat(&self) -> String {
        json!({ "op": HEARTBEAT, "d": self.sequence }).to_string()
    }

    pub(crate) fn handle(&mut self, text: &str) -> Result<Next> {
        let value: Value = serde_json::from_str(text)?;
        if value["op"] == ACK {
            return Ok(Next::Acknowledged);
        }
        if value["op"] != DISPATCH {
            return Ok(Next::GoOn);
        }
        self.sequence = value["s"].as_u64().context("an event without a number")?;
        let name = value["t"].as_str().context("an event without a name")?;
        if let Some(id) = value["d"]["session_id"].as_str() {
            self.id = Some(id.to_owned());
        }
        self.events.push(format!("{} {name}", self.sequence));
        Ok(if name == "BYE" { Next::Done } else { Next::GoOn })
    }
}

/// How often to send a heartbeat, in milliseconds, from the server's first message.
pub(crate) fn heartbeat_interval(hello: &str) -> Result<u64> {
    let hello: Value = serde_json::from_str(hello)?;
    if hello["op"] != HELLO {
        bail!("the server does not say hello");
    }
    hello["d"]["heartbeat_interval"].as_u64().context("no interval")
}

/// Serves one session: its first connection ends with a code after which it can be resumed, its second
/// acknowledges no heartbeat, and its third says goodbye.
///
/// # Errors
///
/// If it can't listen.
pub async fn server() -> Result<SocketAddr> {
    let connections = Arc::new(AtomicU64::new(0));
    crate::serve(move |stream| {
        let number = connections.fetch_add(1, Ordering::Relaxed);
        serve(stream, number)
    })
    .await
}

type Socket = WebSocketStream<TcpStream>;

async fn serve(stream: TcpStream, number: u64) -> Result<()> {
    let mut socket = accept_async(stream).await?;
    say(&mut socket, json!({ "op": HELLO, "d": { "heartbeat_interval": 40 } })).await?;
    let opening = hear(&mut socket).await?;
    if opening["d"]["token"] != "secret" {
        return close(socket, 4004, "authentication failed").await;
    }
    // The last event of the connection before.
    let before = 2 * number;
    let event = |s: u64, name: &str, d: Value| json!({ "op": DISPATCH, "s": s, "t": name, "d": d });
    match number {
        0 if opening["op"] == IDENTIFY => {
            say(&mut socket, event(1, "READY", json!({ "session_id": "s1" }))).await?;
        }
        1.. if opening["op"] == RESUME && opening["d"]["seq"] == before => {
            say(&mut socket, event(before + 1, "RESUMED", json!({}))).await?;
        }
        _ => return close(socket, 4007, "invalid sequence").await,
    }
    // It waits for a heartbeat.
    while hear(&mut socket).await?["op"] != HEARTBEAT {}
    let name = if number == 2 { "BYE" } else { "MESSAGE" };
    if number != 1 {
        say(&mut socket, json!({ "op": ACK })).await?;
    }
    say(&mut socket, event(before + 2, name, json!({}))).await?;
    if number == 0 {
        return close(socket, 4000, "unknown error").await;
    }
    while let Some(Ok(_)) = socket.next().await {}
    Ok(())
}

async fn say(socket: &mut Socket, value: Value) -> Result<()> {
    Ok(socket.send(value.to_string().into()).await?)
}

async fn hear(socket: &mut Socket) -> Result<Value> {
    match socket.next().await.context("the client has gone")?? {
        Message::Text(text) => Ok(serde_json::from_str(&text)?),
        Message::Close(_) => bail!("the client has closed"),
        _ => Ok(Value::Null),
    }
}

async fn close(mut socket: Socket, code: u16, reason: &str) -> Result<()> {
    socket.close(Some(CloseFrame { code: code.into(), reason: reason.into() })).await?;
    while let Some(Ok(_)) = socket.next().await {}
    Ok(())
}
