//! What the tasks of a relay share, and the tasks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::{Client, Subscriber};
use futures_util::StreamExt as _;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;
use towline::relaying::{Broker, Mailbox};
use towline::topics::RelayError;

use crate::barrier::{Barrier, Mark, client_error};
use crate::error::Error;
use crate::events::Events;
use crate::link::Link;
use crate::subject;

/// How many bytes are in the client before the relay waits for the broker. The client's own queue counts
/// messages, not bytes.
const WINDOW: usize = 1 << 20;

pub(crate) struct Core {
    client: Client,
    mailbox: Mailbox,
    barrier: Barrier,
    /// What the barrier's numbers come back by, until the relay runs.
    returning: Mutex<Option<Subscriber>>,
    events: Arc<Events>,
    /// How often the connection's state is looked at, if no event says that it has changed.
    poll: Duration,
    /// The tasks that read subscriptions.
    subscriptions: Mutex<HashMap<Arc<str>, JoinHandle<()>>>,
}

impl Broker for Core {
    fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    fn address(&self, topic: &str) -> String {
        subject::of(&self.mailbox.options().prefix, topic)
    }

    async fn run(self: Arc<Self>) {
        let _subscriptions = Subscriptions(&self);
        // They end with this.
        let mut tasks = JoinSet::new();
        tasks.spawn(self.clone().hear_numbers());
        tasks.spawn(self.clone().watch());
        // If one of them ends, the client is closed, or there is a mistake.
        tokio::select! {
            () = self.write() => {}
            _ = tasks.join_next() => {}
        }
    }

    /// When this has returned, the broker knows.
    async fn subscribe(self: &Arc<Self>, topic: &str) -> Result<(), RelayError> {
        let subject = self.address(topic);
        // An older refusal is not about this subscription.
        self.events.take_denied(&subject);
        let subscriber = self.client.subscribe(subject.clone()).await.map_err(client_error)?;
        // It is read from now on, so that it never fills while the broker takes its time.
        let reading = Reading::start(self, topic.into(), subscriber);
        self.barrier.pass().await?;
        // The refusal comes before the number that confirms, but by way of another task.
        tokio::task::yield_now().await;
        if self.events.take_denied(&subject) {
            return Err(Error::Denied(subject).into());
        }
        reading.keep(self);
        Ok(())
    }

    async fn unsubscribe(&self, topic: &str) {
        let reading = self.subscriptions().remove(topic);
        if let Some(reading) = reading {
            reading.abort();
            // Once it has ended, no more of this subscription is read. What the inbox has of it is still
            // delivered, to members that have joined again meanwhile.
            let _ = reading.await;
        }
    }
}

impl Core {
    pub(crate) async fn new(
        client: Client,
        mailbox: Mailbox,
        events: Arc<Events>,
        poll: Duration,
    ) -> Result<Self, Error> {
        let (barrier, returning) = Barrier::new(client.clone()).await?;
        Ok(Self {
            client,
            mailbox,
            barrier,
            returning: Mutex::new(Some(returning)),
            events,
            poll,
            subscriptions: Mutex::new(HashMap::new()),
        })
    }

    fn subscriptions(&self) -> MutexGuard<'_, HashMap<Arc<str>, JoinHandle<()>>> {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Receives what is published to a topic.
    async fn read(self: Arc<Self>, topic: Arc<str>, mut subscriber: Subscriber) {
        while let Some(message) = subscriber.next().await {
            self.mailbox.received(&topic, message.payload);
        }
    }

    /// Receives the numbers of the barrier.
    async fn hear_numbers(self: Arc<Self>) {
        let returning = self.returning.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut returning) = returning else { return };
        while let Some(message) = returning.next().await {
            self.barrier.came_back(&message);
        }
    }

    /// Sends what is published, until the relay is dropped.
    async fn write(&self) {
        let mut window = Window::default();
        while let Some((subject, payload)) = self.mailbox.outbox().next().await {
            let len = payload.len();
            window.bytes += subject.len() + len;
            if let Err(error) = self.client.publish(subject, payload).await {
                tracing::debug!(bytes = len, %error, "NATS does not take a message");
                self.mailbox.losses().add(1);
            }
            window.slide(&self.barrier).await;
        }
        // A flush can return while the connection has not taken all, and the client drops the rest
        // when its last handle is dropped.
        let _ = self.barrier.pass().await;
    }

    /// Watches the connection.
    async fn watch(self: Arc<Self>) {
        let Self { client, mailbox, barrier, events, poll, .. } = &*self;
        let mut link = Link::new(client, mailbox, barrier, events, *poll);
        loop {
            link.look().await;
            self.report_refused();
            tokio::select! {
                () = self.events.changed.notified() => {}
                () = sleep(self.poll) => {}
            }
        }
    }

    /// Reports subscriptions that the broker has refused after a join has returned, such as those that
    /// the client repeats on a new connection.
    fn report_refused(&self) {
        let subscribed = |subject: &str| {
            let topic = subject::topic(&self.mailbox.options().prefix, subject)?;
            Some(self.subscriptions().get_key_value(&*topic)?.0.clone())
        };
        for topic in self.events.take_topics(subscribed) {
            tracing::debug!(topic = &*topic, "NATS refuses a subscription that stood");
            self.mailbox.interest_lost(&topic);
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

/// All subscriptions. They end when this is dropped.
struct Subscriptions<'c>(&'c Core);

impl Drop for Subscriptions<'_> {
    fn drop(&mut self) {
        for (_, reading) in self.0.subscriptions().drain() {
            reading.abort();
        }
    }
}
