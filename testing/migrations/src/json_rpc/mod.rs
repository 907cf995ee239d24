//! JSON-RPC with subscriptions: what clients of Ethereum nodes and of language servers do.
//!
//! Calls of many tasks share a connection. Answers come in any order, with notifications of
//! subscriptions in between.

pub mod towline;
pub mod tungstenite;

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::accept_async;

/// A request.
pub(crate) fn request(id: u64, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

/// What the server says.
pub(crate) enum Said {
    /// The answer to the call with this number.
    Answer(u64, Value),
    /// An item of the subscription with this number.
    Item(u64, Value),
}

impl Said {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text)?;
        if let Some(id) = value["id"].as_u64() {
            return Ok(Self::Answer(id, value["result"].clone()));
        }
        let params = &value["params"];
        let subscription = params["subscription"].as_u64().context("no subscription")?;
        Ok(Self::Item(subscription, params["result"].clone()))
    }
}

/// Serves sums, and subscriptions to ten numbers. Each answer waits for the next call, and goes after
/// the answer to that.
///
/// # Errors
///
/// If it can't listen.
pub async fn server() -> Result<SocketAddr> {
    crate::serve(answer).await
}

async fn answer(stream: TcpStream) -> Result<()> {
    let mut socket = accept_async(stream).await?;
    let mut late: Option<String> = None;
    while let Some(message) = socket.next().await {
        let Ok(text) = message?.into_text() else { continue };
        let Ok(call) = serde_json::from_str::<Value>(&text) else { continue };
        let id = &call["id"];
        let result = match call["method"].as_str() {
            Some("sum") => {
                let terms = call["params"].as_array().context("no terms")?;
                json!(terms.iter().filter_map(Value::as_u64).sum::<u64>())
            }
            Some("subscribe") => id.clone(),
            _ => Value::Null,
        };
        let answer = json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string();
        if call["method"] == "late" {
            late = Some(answer);
            continue;
        }
        socket.send(answer.into()).await?;
        if let Some(late) = late.take() {
            socket.send(late.into()).await?;
        }
        if call["method"] == "subscribe" {
            for number in 0..10 {
                let params = json!({ "subscription": id, "result": number });
                let item = json!({ "jsonrpc": "2.0", "method": "item", "params": params });
                socket.send(item.to_string().into()).await?;
            }
        }
    }
    Ok(())
}
