//! GraphQL over WebSocket (`graphql-transport-ws`): a client with many operations at once. The
//! servers are those of [`graphql`](crate::graphql).

pub mod towline;
pub mod tungstenite;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

/// How long the server may take to acknowledge the connection.
pub(crate) const ACKNOWLEDGEMENT: Duration = Duration::from_secs(10);

/// Something that an operation yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A result.
    Next(Value),
    /// The errors that ended the operation.
    Errors(Value),
    /// The end of the operation.
    Complete,
}

/// A message of the server.
pub(crate) enum Said {
    Acknowledged,
    Ping(Value),
    Pong,
    Item(String, Item),
}

impl Said {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut message: Value = serde_json::from_str(text)?;
        let payload = message["payload"].take();
        let item = |item| {
            let id = message["id"].as_str().context("an operation without an ID")?;
            Ok(Self::Item(id.to_owned(), item))
        };
        match message["type"].as_str().context("a message without a type")? {
            "connection_ack" => Ok(Self::Acknowledged),
            "ping" => Ok(Self::Ping(payload)),
            "pong" => Ok(Self::Pong),
            "next" => item(Item::Next(payload["data"].clone())),
            "error" => item(Item::Errors(payload)),
            "complete" => item(Item::Complete),
            other => anyhow::bail!("a message of type {other:?}"),
        }
    }
}

/// What is waiting for the server.
#[derive(Default)]
pub(crate) struct Waiting {
    pub(crate) operations: HashMap<String, mpsc::UnboundedSender<Item>>,
    pub(crate) pings: VecDeque<oneshot::Sender<()>>,
}

impl Waiting {
    /// Handles a message, and returns the answer to it.
    pub(crate) fn handle(&mut self, said: Said) -> Option<String> {
        match said {
            Said::Acknowledged => None,
            Said::Ping(payload) => Some(json!({ "type": "pong", "payload": payload }).to_string()),
            Said::Pong => {
                self.pings.pop_front().map(|ping| ping.send(()));
                None
            }
            Said::Item(id, item) => {
                // The last items of an operation can cross with its completion by the client.
                match item {
                    Item::Next(_) => self.operations.get(&id).map(|items| items.send(item)),
                    _ => self.operations.remove(&id).map(|items| items.send(item)),
                };
                None
            }
        }
    }
}

pub(crate) fn init(token: &str) -> String {
    json!({ "type": "connection_init", "payload": { "token": token } }).to_string()
}

pub(crate) fn ping() -> String {
    json!({ "type": "ping" }).to_string()
}

pub(crate) fn subscribe(id: &str, query: &str) -> String {
    json!({ "type": "subscribe", "id": id, "payload": { "query": query } }).to_string()
}
