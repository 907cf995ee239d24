//! The relay.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::Subscriber;
use futures_util::StreamExt as _;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use towline::Outgoing;
use towline::relaying::{Envelope, Inbox};
use towline::topics::{Incoming, Relay, RelayError, RelayFuture};

use crate::core::Core;
use crate::subject;

/// How long what is queued may take to leave after the relay is dropped.
const LAST: Duration = Duration::from_secs(5);

/// Connects the topics of nodes by NATS. See the [crate](crate) for what it promises.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use towline::Server;
/// use towline::topics::Topics;
/// use towline_nats::NatsRelay;
///
/// let relay = NatsRelay::connect("nats://127.0.0.1:4222").await?;
/// let topics = Topics::builder().relay(relay).build();
/// let server = Server::builder().topics(topics).bind("127.0.0.1:9001").await?;
/// # Ok(())
/// # }
/// ```
pub struct NatsRelay {
    core: Arc<Core>,
    tasks: Mutex<Tasks>,
}

#[derive(Default)]
struct Tasks {
    /// What the barrier's numbers come back by, until the relay starts.
    returning: Option<Subscriber>,
    returner: Option<JoinHandle<()>>,
    writer: Option<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
    /// The runtime that the relay was started on.
    runtime: Option<Handle>,
}

impl NatsRelay {
    pub(crate) fn new(core: Core, returning: Subscriber) -> Self {
        let tasks = Tasks { returning: Some(returning), ..Tasks::default() };
        Self { core: Arc::new(core), tasks: Mutex::new(tasks) }
    }

    /// Returns how many messages this relay knows that it has lost, in either direction.
    pub fn messages_lost(&self) -> u64 {
        self.core.events.losses.total()
    }
}

impl Relay for NatsRelay {
    fn start(&self, incoming: Incoming) {
        let core = &self.core;
        let losses = core.events.losses.clone();
        let inbox = Inbox::new(incoming.clone(), losses.clone(), core.max_inbox_bytes);
        if core.inbox.set(inbox).is_err() {
            return;
        }
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.runtime = Some(Handle::current());
        if let Some(mut returning) = tasks.returning.take() {
            let core = core.clone();
            tasks.returner = Some(tokio::spawn(async move {
                while let Some(message) = returning.next().await {
                    core.barrier.came_back(&message);
                }
            }));
        }
        tasks.writer = Some(tokio::spawn(core.clone().write()));
        tasks.others.push(tokio::spawn(core.clone().watch(incoming.clone())));
        tasks.others.push(tokio::spawn(async move { losses.report(&incoming).await }));
    }

    fn publish(&self, topic: &str, message: Outgoing<'_>) {
        let core = &self.core;
        let payload = Envelope::encode(core.node, message);
        if core.outbox.push(subject::of(&core.prefix, topic), payload).is_err() {
            core.events.losses.add(1);
        }
    }

    fn room(&self) -> Option<RelayFuture<'_, ()>> {
        self.core.outbox.room()
    }

    fn interest<'a>(
        &'a self,
        topic: &'a str,
        wanted: bool,
    ) -> RelayFuture<'a, Result<(), RelayError>> {
        Box::pin(async move {
            if wanted {
                self.core.subscribe(topic).await?;
            } else {
                self.core.unsubscribe(topic).await;
            }
            Ok(())
        })
    }
}

impl Drop for NatsRelay {
    fn drop(&mut self) {
        self.core.outbox.end();
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        for task in tasks.others.drain(..) {
            task.abort();
        }
        for (_, task) in self.core.subscriptions().drain() {
            task.abort();
        }
        let (Some(mut writer), Some(returner)) = (tasks.writer.take(), tasks.returner.take())
        else {
            return;
        };
        // What is queued leaves, if the broker takes it. This thread may have no runtime.
        if let Some(runtime) = tasks.runtime.take() {
            runtime.spawn(async move {
                let _ = timeout(LAST, &mut writer).await;
                writer.abort();
                returner.abort();
            });
        }
    }
}

impl fmt::Debug for NatsRelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsRelay")
            .field("prefix", &self.core.prefix)
            .field("node", &self.core.node)
            .field("messages_lost", &self.messages_lost())
            .finish_non_exhaustive()
    }
}
