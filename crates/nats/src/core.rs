//! What the relay and its tasks share.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, Message, Subscriber};
use futures_util::StreamExt as _;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use towline::relaying::{Envelope, Inbox, NodeId, Outbox};
use towline::topics::Incoming;

use crate::barrier::{Barrier, Mark, client_error};
use crate::error::Error;
use crate::events::Events;
use crate::subject;

/// How many bytes are in the client before the relay waits for the broker. The client's own queue counts
/// messages, not bytes.
const WINDOW: usize = 1 << 20;

pub(crate) struct Core {
    pub(crate) client: Client,
    pub(crate) prefix: String,
    pub(crate) node: NodeId,
    pub(crate) interest_timeout: Duration,
    pub(crate) barrier: Barrier,
    pub(crate) events: Arc<Events>,
    /// How often the connection's state is looked at, if no event says that it has changed.
    pub(crate) poll: Duration,
    pub(crate) outbox: Outbox,
    pub(crate) inbox: OnceLock<Inbox>,
    pub(crate) max_inbox_bytes: usize,
    /// The tasks that read subscriptions.
    pub(crate) subscriptions: Mutex<HashMap<Arc<str>, JoinHandle<()>>>,
}

impl Core {
    pub(crate) fn subscriptions(&self) -> MutexGuard<'_, HashMap<Arc<str>, JoinHandle<()>>> {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Subscribes to a topic. When this has returned, the broker knows.
    pub(crate) async fn subscribe(self: &Arc<Self>, topic: &str) -> Result<(), Error> {
        let subject = subject::of(&self.prefix, topic);
        // An older refusal is not about this subscription.
        self.events.take_denied(&subject);
        let subscribing = async {
            let subscriber = self.client.subscribe(subject.clone()).await.map_err(client_error)?;
            // It is read from now on, so that it never fills while the broker takes its time.
            let reading = Reading::start(self, topic.into(), subscriber);
            self.barrier.pass().await?;
            Ok(reading)
        };
        let limit = self.interest_timeout;
        let reading = timeout(limit, subscribing).await.map_err(|_| Error::Timeout(limit))??;
        // The refusal comes before the number that confirms, but by way of another task.
        tokio::task::yield_now().await;
        if self.events.take_denied(&subject) {
            return Err(Error::Denied(subject));
        }
        reading.keep(self);
        Ok(())
    }

    pub(crate) async fn unsubscribe(&self, topic: &str) {
        let reading = self.subscriptions().remove(topic);
        if let Some(reading) = reading {
            reading.abort();
            // Once it has ended, no more of this subscription is read. What the inbox has of it is still
            // delivered, to members that have joined again meanwhile.
            let _ = reading.await;
        }
    }

    /// Receives what is published to a topic.
    async fn read(self: Arc<Self>, topic: Arc<str>, mut subscriber: Subscriber) {
        while let Some(message) = subscriber.next().await {
            self.received(&topic, message);
        }
    }

    fn received(&self, topic: &Arc<str>, message: Message) {
        let Some(inbox) = self.inbox.get() else { return };
        match Envelope::decode(message.payload) {
            Ok(envelope) if envelope.node == Some(self.node) => {}
            Ok(envelope) => inbox.push(topic, envelope.message, envelope.compress),
            Err(error) => {
                tracing::debug!(topic = &**topic, %error, "a message from NATS is dropped");
                self.events.losses.add(1);
            }
        }
    }

    /// Sends what is published, until the relay is dropped.
    pub(crate) async fn write(self: Arc<Self>) {
        let mut window = Window::default();
        while let Some((subject, payload)) = self.outbox.next().await {
            let len = payload.len();
            window.bytes += subject.len() + len;
            if let Err(error) = self.client.publish(subject, payload).await {
                tracing::debug!(bytes = len, %error, "NATS does not take a message");
                self.events.losses.add(1);
            }
            window.slide(&self.barrier).await;
        }
        // A flush can return while the connection has not taken all, and the client drops the rest
        // when its last handle is dropped.
        let _ = self.barrier.pass().await;
    }

    /// Reports subscriptions that the broker has refused after a join has returned, such as those that
    /// the client repeats on a new connection.
    fn report_refused(&self, incoming: &Incoming) {
        let subscribed = |subject: &str| {
            let topic = subject::topic(&self.prefix, subject)?;
            Some(self.subscriptions().get_key_value(&*topic)?.0.clone())
        };
        for topic in self.events.take_topics(subscribed) {
            tracing::debug!(topic = &*topic, "NATS refuses a subscription that stood");
            incoming.interest_lost(&topic);
        }
    }

    /// Watches the connection.
    pub(crate) async fn watch(self: Arc<Self>, incoming: Incoming) {
        let mut link = Link { core: &self, incoming: &incoming, connects: 0, is_up: true };
        link.connects = link.seen().1;
        loop {
            link.look().await;
            self.report_refused(&incoming);
            tokio::select! {
                () = self.events.changed.notified() => {}
                () = sleep(self.poll) => {}
            }
        }
    }
}

/// What the client holds of what was published: at most two halves, and one message.
#[derive(Default)]
struct Window {
    /// Since the mark.
    bytes: usize,
    /// After the older half.
    mark: Option<Mark>,
}

impl Window {
    /// Waits for the older half, if the newer one is full.
    async fn slide(&mut self, barrier: &Barrier) {
        if self.bytes < WINDOW / 2 {
            return;
        }
        self.bytes = 0;
        if let Some(mark) = self.mark.take() {
            // The client is closed after an error: it takes no messages, and holds none.
            let _ = barrier.reach(mark).await;
        }
        self.mark = barrier.mark().await.ok();
    }
}

/// The connection as the members know it.
struct Link<'c> {
    core: &'c Core,
    incoming: &'c Incoming,
    /// The number of the connection.
    connects: u64,
    is_up: bool,
}

impl Link<'_> {
    /// Returns whether there is a connection, and its number.
    fn seen(&self) -> (bool, u64) {
        let connects = self.core.client.statistics().connects.load(Ordering::Relaxed);
        (self.core.client.connection_state() == State::Connected, connects)
    }

    /// Waits until this is not the connection any more.
    async fn changes(&self, connects: u64) {
        while self.seen() == (true, connects) {
            sleep(self.core.poll).await;
        }
    }

    async fn look(&mut self) {
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
                passed = self.core.barrier.pass() => passed,
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
        let core = self.core;
        core.events.losses.add(core.outbox.shut());
        core.events.losses.report_now(self.incoming);
        let reason = core.events.take_reason();
        let reason = reason.unwrap_or_else(|| "the connection to NATS is lost".to_owned());
        tracing::warn!(reason, "the relay has lost NATS");
        self.incoming.lost(reason);
    }

    fn back(&mut self, connects: u64) {
        (self.is_up, self.connects) = (true, connects);
        let core = self.core;
        core.outbox.open();
        core.events.losses.report_now(self.incoming);
        // What was said before this connection is not about the next loss.
        core.events.take_reason();
        tracing::info!("the relay has NATS back");
        self.incoming.back();
    }
}

/// A subscription that is not yet confirmed. It ends when this is dropped.
struct Reading {
    topic: Arc<str>,
    task: Option<JoinHandle<()>>,
}

impl Reading {
    fn start(core: &Arc<Core>, topic: Arc<str>, subscriber: Subscriber) -> Self {
        let task = tokio::spawn(core.clone().read(topic.clone(), subscriber));
        Self { topic, task: Some(task) }
    }

    fn keep(mut self, core: &Core) {
        let Some(task) = self.task.take() else { return };
        let older = core.subscriptions().insert(self.topic.clone(), task);
        if let Some(older) = older {
            older.abort();
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}
