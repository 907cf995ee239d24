//! The client in Towline.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use towline::{Client, CloseCode, Receiver, Sender};

use crate::graphql::{PROTOCOL, complete};
use crate::graphql_client::{ACKNOWLEDGEMENT, Item, Said, Waiting, init, ping, subscribe};

/// A client of which each task can have a clone.
#[derive(Clone)]
pub struct GraphQlClient {
    sender: Sender,
    next: Arc<AtomicU64>,
    waiting: Arc<Mutex<Waiting>>,
}

/// An operation.
pub struct Operation {
    client: GraphQlClient,
    id: String,
    items: mpsc::UnboundedReceiver<Item>,
}

impl GraphQlClient {
    /// Connects, and waits for the server's acknowledgement.
    ///
    /// # Errors
    ///
    /// If the server does not speak the protocol or refuses the token.
    pub async fn connect(url: &str, token: &str) -> Result<Self> {
        let mut connection = Client::new().protocols([PROTOCOL]).connect(url).await?;
        ensure!(connection.protocol().is_some(), "the server does not speak {PROTOCOL}");
        connection.send(init(token)).await?;
        let acknowledged = timeout(ACKNOWLEDGEMENT, connection.recv());
        let message = acknowledged.await??.context("the server has closed the connection")?;
        match Said::parse(message.as_text().unwrap_or_default())? {
            Said::Acknowledged => {}
            _ => bail!("the server does not acknowledge the connection"),
        }
        let (sender, receiver) = connection.split();
        let client = Self { sender, next: Arc::default(), waiting: Arc::default() };
        tokio::spawn(client.clone().receive(receiver));
        Ok(client)
    }

    /// Starts an operation.
    ///
    /// # Errors
    ///
    /// If the connection is closed.
    pub async fn subscribe(&self, query: &str) -> Result<Operation> {
        let id = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        let (sender, items) = mpsc::unbounded_channel();
        self.waiting(|waiting| waiting.operations.insert(id.clone(), sender));
        self.sender.send(subscribe(&id, query)).await?;
        Ok(Operation { client: self.clone(), id, items })
    }

    /// Sends a ping of the protocol, and waits for the pong.
    ///
    /// # Errors
    ///
    /// If the connection is closed.
    pub async fn ping(&self) -> Result<()> {
        let (pinged, pong) = oneshot::channel();
        self.waiting(|waiting| waiting.pings.push_back(pinged));
        self.sender.send(ping()).await?;
        pong.await.context("the connection is closed")
    }

    /// Closes the connection.
    ///
    /// # Errors
    ///
    /// If it is closed already.
    pub async fn close(&self) -> Result<()> {
        self.sender.close(CloseCode::NORMAL, "").await?;
        Ok(())
    }

    async fn receive(self, mut receiver: Receiver) -> Result<()> {
        let result = self.answer(&mut receiver).await;
        // Operations and pings notice.
        self.waiting(std::mem::take);
        result
    }

    async fn answer(&self, receiver: &mut Receiver) -> Result<()> {
        while let Some(message) = receiver.recv().await? {
            let said = Said::parse(message.as_text().context("not text")?)?;
            if let Some(answer) = self.waiting(|waiting| waiting.handle(said)) {
                self.sender.send(answer).await?;
            }
        }
        Ok(())
    }

    fn waiting<T>(&self, change: impl FnOnce(&mut Waiting) -> T) -> T {
        change(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Operation {
    /// Returns the next item.
    ///
    /// # Errors
    ///
    /// If the connection has ended before the operation, with the reason.
    pub async fn next(&mut self) -> Result<Item> {
        match self.items.recv().await {
            Some(item) => Ok(item),
            None => bail!("{}", self.client.sender.wait_closed().await),
        }
    }

    /// Completes the operation at the server.
    ///
    /// # Errors
    ///
    /// If the connection is closed.
    pub async fn complete(self) -> Result<()> {
        self.client.waiting(|waiting| waiting.operations.remove(&self.id));
        self.client.sender.send(complete(&self.id)).await?;
        Ok(())
    }
}
