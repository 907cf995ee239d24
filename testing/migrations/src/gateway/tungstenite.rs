//! The client in tokio-tungstenite.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::gateway::{Next, RESUMABLE, Session, heartbeat_interval, is_fatal};

/// How long the server may take to close.
const CLOSE: Duration = Duration::from_secs(5);

/// Receives the events of a session, on as many connections as it takes.
///
/// # Errors
///
/// If the server refuses the session.
pub async fn run(url: &str, token: &str) -> Result<Vec<String>> {
    let mut session = Session::default();
    while !connect(url, token, &mut session).await? {}
    Ok(session.events)
}

/// Returns whether the session is over.
async fn connect(url: &str, token: &str, session: &mut Session) -> Result<bool> {
    let (mut socket, _) = connect_async(url).await?;
    let hello = socket.next().await.context("the server says nothing")??;
    let period = Duration::from_millis(heartbeat_interval(hello.to_text()?)?);
    socket.send(Message::text(session.opening(token))).await?;
    let mut heartbeat = interval_at(Instant::now() + period, period);
    let mut is_acknowledged = true;
    loop {
        tokio::select! {
            received = socket.next() => {
                let text = match received {
                    Some(Ok(Message::Text(text))) => text,
                    Some(Ok(Message::Close(Some(close)))) if is_fatal(close.code.into()) => {
                        bail!("closed by the server with {close}");
                    }
                    Some(Ok(Message::Close(_)) | Err(Error::Io(_) | Error::Protocol(_))) | None => {
                        return Ok(false);
                    }
                    Some(Ok(_)) => continue,
                    Some(Err(error)) => return Err(error.into()),
                };
                match session.handle(&text)? {
                    Next::GoOn => {}
                    Next::Acknowledged => is_acknowledged = true,
                    Next::Done => {
                        close(socket, 1000, "").await?;
                        return Ok(true);
                    }
                }
            }
            _ = heartbeat.tick() => {
                if !std::mem::replace(&mut is_acknowledged, false) {
                    close(socket, RESUMABLE, "no acknowledgement").await?;
                    return Ok(false);
                }
                socket.send(Message::text(session.heartbeat())).await?;
            }
        }
    }
}

/// Closes, and waits for the server to do so.
async fn close(
    mut socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    code: u16,
    reason: &str,
) -> Result<()> {
    socket.close(Some(CloseFrame { code: code.into(), reason: reason.into() })).await?;
    let _ = timeout(CLOSE, async { while let Some(Ok(_)) = socket.next().await {} }).await;
    Ok(())
}
