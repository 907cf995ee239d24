//! The connection, as the members know it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::Client;
use async_nats::connection::State;
use tokio::time::sleep;
use towline::relaying::Mailbox;

use crate::barrier::Barrier;
use crate::events::Events;

/// Finds out when the connection is lost, and when it is back.
pub(crate) struct Link<'c> {
    client: &'c Client,
    mailbox: &'c Mailbox,
    barrier: &'c Barrier,
    events: &'c Events,
    poll: Duration,
    /// The number of the connection that the members have or had last.
    connects: u64,
    is_up: bool,
}

impl<'c> Link<'c> {
    pub(crate) fn new(
        client: &'c Client,
        mailbox: &'c Mailbox,
        barrier: &'c Barrier,
        events: &'c Events,
        poll: Duration,
    ) -> Self {
        let mut link = Self { client, mailbox, barrier, events, poll, connects: 0, is_up: true };
        link.connects = link.seen().1;
        link
    }

    /// Returns whether there is a connection, and its number.
    fn seen(&self) -> (bool, u64) {
        let connects = self.client.statistics().connects.load(Ordering::Relaxed);
        (self.client.connection_state() == State::Connected, connects)
    }

    /// Waits until this is not the connection any more.
    async fn changes(&self, connects: u64) {
        while self.seen() == (true, connects) {
            sleep(self.poll).await;
        }
    }

    /// Says what has changed, and waits for a new connection to stand.
    pub(crate) async fn look(&mut self) {
        loop {
            let (is_connected, connects) = self.seen();
            if self.is_up && (!is_connected || connects != self.connects) {
                self.lost();
            }
            if self.is_up || !is_connected {
                return;
            }
            // The client has subscribed again to all, but the broker may not have read that yet.
            let passed = tokio::select! {
                passed = self.barrier.pass() => passed,
                () = self.changes(connects) => continue,
            };
            match passed {
                Ok(()) if self.seen() == (true, connects) => self.back(connects),
                Ok(()) => {}
                Err(_) => return,
            }
        }
    }

    fn lost(&mut self) {
        self.is_up = false;
        let reason = self.events.take_reason();
        let reason = reason.unwrap_or_else(|| "the connection to NATS is lost".to_owned());
        self.mailbox.lost(reason);
    }

    fn back(&mut self, connects: u64) {
        (self.is_up, self.connects) = (true, connects);
        // What was said before this connection is not about the next loss.
        self.events.take_reason();
        self.mailbox.back();
    }
}
