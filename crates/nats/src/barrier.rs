//! The way to know that the broker has seen what was sent to it.
//!
//! `Client::flush` only writes: it makes no round trip. So the relay publishes a number to an inbox
//! of its own, and waits until it comes back. The broker handles what a connection sends in order, so
//! it has handled all subscriptions that were sent before.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_nats::{Client, Message, Subscriber};
use bytes::Bytes;
use tokio::sync::oneshot;

use crate::error::Error;

pub(crate) struct Barrier {
    client: Client,
    inbox: String,
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<()>>>,
}

impl Barrier {
    /// Returns a barrier, and what its numbers come back by.
    pub(crate) async fn new(client: Client) -> Result<(Self, Subscriber), Error> {
        let inbox = client.new_inbox();
        let subscriber = client.subscribe(inbox.clone()).await.map_err(client_error)?;
        let barrier =
            Self { client, inbox, next: AtomicU64::new(0), waiting: Mutex::new(HashMap::new()) };
        Ok((barrier, subscriber))
    }

    /// Waits until the broker has handled all that was sent before. Never returns if the connection
    /// is lost meanwhile.
    pub(crate) async fn pass(&self) -> Result<(), Error> {
        let (sender, receiver) = oneshot::channel();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(number, sender);
        let _forget = Forget { barrier: self, number };
        let payload = Bytes::copy_from_slice(&number.to_be_bytes());
        self.client.publish(self.inbox.clone(), payload).await.map_err(client_error)?;
        receiver.await.map_err(client_error)
    }

    /// A message to the inbox.
    pub(crate) fn came_back(&self, message: &Message) {
        let Ok(number) = message.payload.as_ref().try_into() else { return };
        let waiting = self.lock().remove(&u64::from_be_bytes(number));
        if let Some(waiting) = waiting {
            let _ = waiting.send(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<()>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a number when its future is dropped.
struct Forget<'b> {
    barrier: &'b Barrier,
    number: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.barrier.lock().remove(&self.number);
    }
}

pub(crate) fn client_error(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Client(Box::new(error))
}
