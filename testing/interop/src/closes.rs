//! The close frames that the server has received.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;
use towline::{CloseCode, Closed};

/// The end of each connection, by the `id` of its query.
#[derive(Default)]
pub(crate) struct Closes(Mutex<HashMap<String, watch::Receiver<Option<Value>>>>);

/// A connection that has not ended yet.
pub(crate) struct Entry(watch::Sender<Option<Value>>);

impl Closes {
    /// Records a new connection with this id.
    pub(crate) fn enter(&self, id: &str) -> Entry {
        let (sender, receiver) = watch::channel(None);
        self.lock().insert(id.to_owned(), receiver);
        Entry(sender)
    }

    /// Returns the close frame received on the connection with this id, once it has ended, or null for an
    /// unknown id.
    pub(crate) async fn received(&self, id: &str) -> Value {
        let Some(mut entry) = self.lock().get(id).cloned() else { return Value::Null };
        match entry.wait_for(Option::is_some).await {
            Ok(record) => record.clone().unwrap_or_default(),
            Err(_) => Value::Null,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<Option<Value>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    pub(crate) fn closed(self, closed: &Closed) {
        let (code, reason) = match closed.received() {
            Some(frame) => (frame.code(), frame.reason()),
            None => (CloseCode::ABNORMAL, ""),
        };
        self.0.send_replace(Some(json!({ "code": code.get(), "reason": reason })));
    }
}
