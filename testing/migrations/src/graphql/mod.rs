//! GraphQL over WebSocket (`graphql-transport-ws`): a server. Queries are `count N`, which has
//! the results 1 to N; `forever`, which goes on until the client completes it; `ping`, for which the
//! server pings the client and whose result, 1, comes after the pong; and `expire`, at which the
//! server closes the connection.

pub mod towline;
pub mod tungstenite;

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::task::AbortHandle;

/// The subprotocol.
pub const PROTOCOL: &str = "graphql-transport-ws";

/// The code and reason to close with.
pub(crate) type Close = (u16, String);

/// What a server does about a message.
pub(crate) enum Step {
    Nothing,
    Send(Value),
    Run(String, RangeInclusive<u64>),
}

/// A server's side of a connection.
#[derive(Default)]
pub(crate) struct Session {
    pub(crate) is_acknowledged: bool,
    pub(crate) operations: Operations,
}

impl Session {
    pub(crate) fn handle(&mut self, text: &str) -> Result<Step, Close> {
        let invalid = || (4400, "Invalid message".to_owned());
        let message: Value = serde_json::from_str(text).map_err(|_| invalid())?;
        let id = || message["id"].as_str().map(str::to_owned).ok_or_else(invalid);
        match message["type"].as_str().ok_or_else(invalid)? {
            "connection_init" if self.is_acknowledged => {
                Err((4429, "Too many initialisation requests".to_owned()))
            }
            "connection_init" if message["payload"]["token"] != "secret" => {
                Err((4403, "Forbidden".to_owned()))
            }
            "connection_init" => {
                self.is_acknowledged = true;
                Ok(Step::Send(json!({ "type": "connection_ack" })))
            }
            "ping" => Ok(Step::Send(json!({ "type": "pong", "payload": message["payload"] }))),
            "pong" => Ok(match message["payload"]["id"].as_str() {
                Some(id) => Step::Run(id.to_owned(), 1..=1),
                None => Step::Nothing,
            }),
            "subscribe" => {
                let id = id()?;
                let query = message["payload"]["query"].as_str().ok_or_else(invalid)?;
                if !self.is_acknowledged {
                    return Err((4401, "Unauthorized".to_owned()));
                }
                if self.operations.lock().contains_key(&id) {
                    return Err((4409, format!("Subscriber for {id} already exists")));
                }
                let count = query.strip_prefix("count ").and_then(|count| count.parse().ok());
                Ok(match (query, count) {
                    ("expire", _) => return Err((4403, "Token expired".to_owned())),
                    ("ping", _) => Step::Send(json!({ "type": "ping", "payload": { "id": id } })),
                    ("forever", _) => Step::Run(id, 1..=u64::MAX),
                    (_, Some(count)) => Step::Run(id, 1..=count),
                    _ => Step::Send(json!({
                        "type": "error", "id": id, "payload": [{ "message": "no such query" }],
                    })),
                })
            }
            "complete" => {
                if let Some(task) = self.operations.lock().remove(&id()?) {
                    task.abort();
                }
                Ok(Step::Nothing)
            }
            _ => Err(invalid()),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.operations.lock().values().for_each(AbortHandle::abort);
    }
}

/// The tasks of a connection.
#[derive(Clone, Default)]
pub(crate) struct Operations(Arc<Mutex<HashMap<String, AbortHandle>>>);

impl Operations {
    pub(crate) fn start(&self, id: String, task: impl Future<Output = ()> + Send + 'static) {
        let mut operations = self.lock();
        operations.insert(id, tokio::spawn(task).abort_handle());
    }

    /// Ends an operation, whose name is free then.
    pub(crate) fn end(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, AbortHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn next(id: &str, number: u64) -> String {
    json!({ "type": "next", "id": id, "payload": { "data": number } }).to_string()
}

pub(crate) fn complete(id: &str) -> String {
    json!({ "type": "complete", "id": id }).to_string()
}
