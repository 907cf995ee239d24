//! The client in tokio-tungstenite.

use std::time::Duration;

use anyhow::Result;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::feed::{
    FIRST_WAIT, LAST, LONGEST_WAIT, NONCE, SIGNATURE, nonce, number, sign, subscription,
};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How long the server may be silent: nobody else would notice that it has gone. How long it may take
/// to close, and a connection to be made.
const SILENCE: Duration = Duration::from_secs(30);
const CLOSE: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(30);

/// Receives all items, on as many connections as it takes.
///
/// # Errors
///
/// If the exchange refuses the key.
pub async fn receive(url: &str, key: &str) -> Result<Vec<u64>> {
    let mut items = Vec::new();
    let mut wait = FIRST_WAIT;
    loop {
        match timeout(CONNECT, connect(url, key)).await {
            Ok(Ok(socket)) => {
                wait = FIRST_WAIT;
                if follow(socket, &mut items).await? {
                    return Ok(items);
                }
            }
            Ok(Err(error)) if is_fatal(&error) => return Err(error.into()),
            Ok(Err(_)) | Err(_) => wait = (wait * 2).min(LONGEST_WAIT),
        }
        sleep(wait).await;
    }
}

async fn connect(url: &str, key: &str) -> Result<Socket, Error> {
    let nonce = nonce();
    let mut request = url.into_client_request()?;
    let headers = request.headers_mut();
    headers.insert(NONCE, nonce.into());
    headers.insert(SIGNATURE, sign(key, nonce).parse().map_err(|_| Error::AttackAttempt)?);
    Ok(connect_async(request).await?.0)
}

fn is_fatal(error: &Error) -> bool {
    match error {
        Error::Http(response) => {
            response.status().is_client_error()
                && response.status() != StatusCode::TOO_MANY_REQUESTS
        }
        _ => false,
    }
}

/// Returns whether the last item has come.
async fn follow(mut socket: Socket, items: &mut Vec<u64>) -> Result<bool> {
    let after = items.last().copied().unwrap_or(0);
    socket.send(Message::text(subscription(after))).await?;
    while let Ok(Some(Ok(message))) = timeout(SILENCE, socket.next()).await {
        let Message::Text(text) = message else { continue };
        items.push(number(&text)?);
        if items.last() == Some(&LAST) {
            socket.close(None).await?;
            let _ = timeout(CLOSE, async { while let Some(Ok(_)) = socket.next().await {} }).await;
            return Ok(true);
        }
    }
    Ok(false)
}
