//! What the client says of its connection.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::Event;
use tokio::sync::Notify;
use towline::relaying::Mailbox;

/// How many refused subjects are kept.
const MOST_DENIED: usize = 1024;

pub(crate) struct Events {
    mailbox: Mailbox,
    /// The connection has changed.
    pub(crate) changed: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last error.
    reason: Option<String>,
    /// The subjects that the broker's last errors refuse.
    denied: VecDeque<String>,
}

impl Events {
    pub(crate) fn new(mailbox: Mailbox) -> Self {
        Self { mailbox, changed: Notify::new(), state: Mutex::default() }
    }

    pub(crate) fn handle(&self, event: Event) {
        match event {
            Event::Connected | Event::Disconnected | Event::Closed => self.changed.notify_one(),
            // The client has dropped one message.
            Event::SlowConsumer(_) => self.mailbox.losses().add(1),
            Event::ServerError(error) => {
                let error = error.to_string();
                let mut state = self.lock();
                let subject = error.split('"').nth(1);
                if let Some(subject) = subject
                    && error.to_ascii_lowercase().contains("permissions violation for subscription")
                {
                    tracing::debug!(%error, "NATS refuses a subscription");
                    state.denied.truncate(MOST_DENIED - 1);
                    state.denied.push_front(subject.to_owned());
                    self.changed.notify_one();
                }
                state.reason = Some(error);
            }
            Event::ClientError(error) => self.lock().reason = Some(error.to_string()),
            _ => {}
        }
    }

    /// Takes the last error.
    pub(crate) fn take_reason(&self) -> Option<String> {
        self.lock().reason.take()
    }

    /// Takes what says that the broker refuses a subscription to this subject.
    pub(crate) fn take_denied(&self, subject: &str) -> bool {
        let mut state = self.lock();
        let before = state.denied.len();
        state.denied.retain(|denied| denied != subject);
        state.denied.len() != before
    }

    /// Takes the refused subjects that are of some topic, and returns the topics.
    pub(crate) fn take_topics(&self, topic: impl Fn(&str) -> Option<Arc<str>>) -> Vec<Arc<str>> {
        let mut topics = Vec::new();
        self.lock().denied.retain(|denied| match topic(denied) {
            Some(topic) => {
                topics.push(topic);
                false
            }
            None => true,
        });
        topics
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
