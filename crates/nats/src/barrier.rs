//! The way to know that the broker has seen what was sent to it.
//!
//! `Client::flush` only writes: it makes no round trip. So the relay publishes a number to an inbox
//! of its own, and waits until it comes back. The broker handles what a connection sends in order, so
//! it has handled all that was sent before the number was chosen. A larger number says the same, since
//! it was chosen later.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{Client, Message, Subscriber};
use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::error::Error;

/// How long a number may take to come back before another one is sent: it may have been lost with its
/// connection. It does not limit the round trip, since a late answer counts, too.
const ATTEMPT: Duration = Duration::from_secs(1);

pub(crate) struct Barrier {
    client: Client,
    inbox: String,
    /// The last number that was chosen. The first one is 1.
    last: AtomicU64,
    /// The largest number that came back.
    back: watch::Sender<u64>,
}

/// A number that was sent.
pub(crate) struct Mark(u64);

impl Barrier {
    /// Returns a barrier, and what its numbers come back by.
    pub(crate) async fn new(client: Client) -> Result<(Self, Subscriber), Error> {
        let inbox = client.new_inbox();
        let subscriber = client.subscribe(inbox.clone()).await.map_err(client_error)?;
        let barrier = Self { client, inbox, last: AtomicU64::new(0), back: watch::Sender::new(0) };
        Ok((barrier, subscriber))
    }

    /// Sends a number.
    pub(crate) async fn mark(&self) -> Result<Mark, Error> {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let payload = Bytes::copy_from_slice(&number.to_be_bytes());
        self.client.publish(self.inbox.clone(), payload).await.map_err(client_error)?;
        Ok(Mark(number))
    }

    /// Waits until the broker has handled all that was sent before the mark, over as many connections
    /// as it takes.
    pub(crate) async fn reach(&self, Mark(number): Mark) -> Result<(), Error> {
        let mut back = self.back.subscribe();
        let mut reached = std::pin::pin!(back.wait_for(|back| *back >= number));
        loop {
            if timeout(ATTEMPT, &mut reached).await.is_ok() {
                return Ok(());
            }
            // There may be no room for another number, while the first one is on its way back.
            tokio::select! {
                sent = self.mark() => {
                    sent?;
                }
                _ = &mut reached => return Ok(()),
            }
        }
    }

    /// Waits until the broker has handled all that was sent before.
    pub(crate) async fn pass(&self) -> Result<(), Error> {
        let mark = self.mark().await?;
        self.reach(mark).await
    }

    /// A message to the inbox.
    pub(crate) fn came_back(&self, message: &Message) {
        let Ok(number) = message.payload.as_ref().try_into() else { return };
        let number = u64::from_be_bytes(number);
        self.back.send_if_modified(|back| {
            let is_larger = number > *back;
            *back = number.max(*back);
            is_larger
        });
    }
}

pub(crate) fn client_error(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Client(Box::new(error))
}
