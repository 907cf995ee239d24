//! A feed of an exchange: each connection is signed anew, and the feed goes on after the last item.

pub mod towline;
pub mod tungstenite;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;

/// The headers of a signed request.
pub(crate) const NONCE: &str = "x-nonce";
pub(crate) const SIGNATURE: &str = "x-signature";

/// The number of the last item.
pub(crate) const LAST: u64 = 9;

/// The wait before the first attempt after a failure, and the longest.
pub(crate) const FIRST_WAIT: Duration = Duration::from_millis(5);
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Stands for an HMAC: what is signed can't be used twice.
pub(crate) fn sign(key: &str, nonce: u64) -> String {
    key.bytes().fold(nonce, |hash, byte| hash.wrapping_mul(31) ^ u64::from(byte)).to_string()
}

/// A nonce that was never used.
pub(crate) fn nonce() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub(crate) fn subscription(after: u64) -> String {
    json!({ "op": "subscribe", "after": after }).to_string()
}

/// The number of an item.
pub(crate) fn number(text: &str) -> Result<u64> {
    let item: Value = serde_json::from_str(text)?;
    item["number"].as_u64().context("an item without a number")
}

/// Serves the feed. Every second request is refused with 503, and each connection breaks after three
/// items, but the last.
///
/// # Errors
///
/// If it can't listen.
pub async fn server() -> Result<SocketAddr> {
    let seen = Arc::<Mutex<HashSet<String>>>::default();
    crate::serve(move |stream| serve(stream, seen.clone())).await
}

async fn serve(stream: TcpStream, seen: Arc<Mutex<HashSet<String>>>) -> Result<()> {
    #[expect(clippy::result_large_err, reason = "the callback's signature")]
    let check = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let header = |name: &str| request.headers().get(name)?.to_str().ok();
        let status = match (header(NONCE), header(SIGNATURE)) {
            (Some(nonce), Some(signature))
                if nonce.parse().is_ok_and(|nonce| sign("secret", nonce) == signature)
                    && seen.insert(nonce.to_owned()) =>
            {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::UNAUTHORIZED,
        };
        if status == StatusCode::SERVICE_UNAVAILABLE && seen.len() % 2 == 1 {
            return Ok(response);
        }
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = status;
        Err(refusal)
    };
    let mut socket = accept_hdr_async(stream, check).await?;
    let Some(Ok(Message::Text(text))) = socket.next().await else { return Ok(()) };
    let subscription: Value = serde_json::from_str(&text)?;
    let after = subscription["after"].as_u64().context("no subscription")?;
    for number in after + 1..=(after + 3).min(LAST) {
        socket.send(json!({ "number": number }).to_string().into()).await?;
    }
    if after + 3 >= LAST {
        while let Some(Ok(_)) = socket.next().await {}
    }
    // Otherwise the connection breaks.
    Ok(())
}
