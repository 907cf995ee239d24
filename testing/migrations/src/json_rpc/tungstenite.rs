//! The client in tokio-tungstenite. A task owns the connection: others send through a channel, and
//! nobody else pings.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::json_rpc::{Said, request};

/// How often to ping, and how long the peer may be silent.
const PING: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_secs(30);

/// How many calls may wait to be sent.
const CALLS: usize = 100;

/// A client of which each task can have a clone.
#[derive(Clone)]
pub struct RpcClient {
    calls: mpsc::Sender<Call>,
}

struct Call {
    method: String,
    params: Value,
    answer: oneshot::Sender<Value>,
    items: Option<mpsc::UnboundedSender<Value>>,
}

impl RpcClient {
    /// Connects.
    ///
    /// # Errors
    ///
    /// If that fails.
    pub async fn connect(url: &str) -> Result<Self> {
        let (socket, _) = connect_async(url).await?;
        let (calls, queue) = mpsc::channel(CALLS);
        tokio::spawn(run(socket, queue));
        Ok(Self { calls })
    }

    /// Calls a method.
    ///
    /// # Errors
    ///
    /// If the connection is closed.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value> {
        self.ask(method, params, None).await
    }

    /// Subscribes, and returns the items.
    ///
    /// # Errors
    ///
    /// If the connection is closed.
    pub async fn subscribe(&self, topic: &str) -> Result<mpsc::UnboundedReceiver<Value>> {
        let (items, receiver) = mpsc::unbounded_channel();
        self.ask("subscribe", json!([topic]), Some(items)).await?;
        Ok(receiver)
    }

    async fn ask(
        &self,
        method: &str,
        params: Value,
        items: Option<mpsc::UnboundedSender<Value>>,
    ) -> Result<Value> {
        let (answer, answered) = oneshot::channel();
        let call = Call { method: method.to_owned(), params, answer, items };
        if self.calls.send(call).await.is_err() {
            bail!("the connection is closed");
        }
        answered.await.context("the connection is closed")
    }
}

async fn run(
    mut socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    mut queue: mpsc::Receiver<Call>,
) -> Result<()> {
    let (mut next, mut calls, mut subscriptions) = (0, HashMap::new(), HashMap::new());
    let mut heard = Instant::now();
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            call = queue.recv() => {
                let Some(call) = call else {
                    socket.close(None).await?;
                    return Ok(());
                };
                let text = request(next, &call.method, &call.params);
                calls.insert(next, call.answer);
                if let Some(items) = call.items {
                    subscriptions.insert(next, items);
                }
                next += 1;
                socket.send(Message::text(text)).await?;
            }
            message = socket.next() => {
                heard = Instant::now();
                let text = match message {
                    Some(Ok(Message::Text(text))) => text,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(_))) | None => return Ok(()),
                    Some(Ok(_)) => bail!("not text"),
                    Some(Err(error)) => return Err(error.into()),
                };
                match Said::parse(&text)? {
                    Said::Answer(id, result) => {
                        calls.remove(&id).map(|call: oneshot::Sender<Value>| call.send(result));
                    }
                    Said::Item(id, item) => {
                        subscriptions
                            .get(&id)
                            .map(|items: &mpsc::UnboundedSender<Value>| items.send(item));
                    }
                }
            }
            _ = ping.tick() => {
                if heard.elapsed() > SILENCE {
                    bail!("the server is silent");
                }
                socket.send(Message::Ping(Bytes::new())).await?;
            }
        }
    }
}
