//! The client in Towline.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use towline::{Client, Receiver, Sender};

use crate::json_rpc::{Said, request};

/// A client of which each task can have a clone.
#[derive(Clone)]
pub struct RpcClient {
    sender: Sender,
    next: Arc<AtomicU64>,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    calls: HashMap<u64, oneshot::Sender<Value>>,
    subscriptions: HashMap<u64, mpsc::UnboundedSender<Value>>,
}

impl RpcClient {
    /// Connects.
    ///
    /// # Errors
    ///
    /// If that fails.
    pub async fn connect(url: &str) -> Result<Self> {
        let (sender, receiver) = Client::new().connect(url).await?.split();
        let waiting = Arc::<Mutex<Waiting>>::default();
        tokio::spawn(receive(receiver, waiting.clone()));
        Ok(Self { sender, next: Arc::default(), waiting })
    }

    /// Calls a method.
    ///
    /// # Errors
    ///
    /// If the connection is closed.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.ask(id, method, params).await
    }

    /// Subscribes, and returns the items.
    ///
    /// # Errors
    ///
    /// If the connection is closed.
    pub async fn subscribe(&self, topic: &str) -> Result<mpsc::UnboundedReceiver<Value>> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (items, receiver) = mpsc::unbounded_channel();
        self.waiting(|waiting| waiting.subscriptions.insert(id, items));
        self.ask(id, "subscribe", json!([topic])).await?;
        Ok(receiver)
    }

    async fn ask(&self, id: u64, method: &str, params: Value) -> Result<Value> {
        let (call, answer) = oneshot::channel();
        self.waiting(|waiting| waiting.calls.insert(id, call));
        self.sender.send(request(id, method, &params)).await?;
        answer.await.context("the connection is closed")
    }

    fn waiting<T>(&self, change: impl FnOnce(&mut Waiting) -> T) -> T {
        change(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn receive(mut receiver: Receiver, waiting: Arc<Mutex<Waiting>>) -> Result<()> {
    while let Some(message) = receiver.recv().await? {
        let said = Said::parse(message.as_text().context("not text")?)?;
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match said {
            Said::Answer(id, result) => {
                waiting.calls.remove(&id).map(|call| call.send(result));
            }
            Said::Item(id, item) => {
                waiting.subscriptions.get(&id).map(|items| items.send(item));
            }
        }
    }
    Ok(())
}
