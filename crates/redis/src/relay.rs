//! The relay.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use towline::Outgoing;
use towline::relaying::{Envelope, Inbox};
use towline::topics::{Incoming, Relay, RelayError, RelayFuture};

use crate::core::Core;
use crate::session::{self, Session};

/// How long what is queued may take to leave after the relay is dropped.
const LAST: Duration = Duration::from_secs(5);

/// Connects the topics of nodes by Redis. See the [crate](crate) for what it promises.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use towline::Server;
/// use towline::topics::Topics;
/// use towline_redis::RedisRelay;
///
/// let relay = RedisRelay::connect("redis://127.0.0.1:6379").await?;
/// let topics = Topics::builder().relay(relay).build();
/// let server = Server::builder().topics(topics).bind("127.0.0.1:9001").await?;
/// # Ok(())
/// # }
/// ```
pub struct RedisRelay {
    core: Arc<Core>,
    tasks: Mutex<Tasks>,
}

#[derive(Default)]
struct Tasks {
    /// Until the relay starts.
    first: Option<Session>,
    driver: Option<JoinHandle<()>>,
    reporter: Option<JoinHandle<()>>,
    /// The runtime that the relay was started on.
    runtime: Option<Handle>,
}

impl RedisRelay {
    pub(crate) fn new(core: Core, first: Session) -> Self {
        let tasks = Tasks { first: Some(first), ..Tasks::default() };
        Self { core: Arc::new(core), tasks: Mutex::new(tasks) }
    }

    /// Returns how many messages this relay knows that it has lost, in either direction.
    pub fn messages_lost(&self) -> u64 {
        self.core.losses.total()
    }
}

impl Relay for RedisRelay {
    fn start(&self, incoming: Incoming) {
        let core = &self.core;
        let inbox = Inbox::new(incoming.clone(), core.losses.clone(), core.max_inbox_bytes);
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.runtime = Some(Handle::current());
        let Some(first) = tasks.first.take() else { return };
        if core.inbox.set(inbox).is_err() {
            return;
        }
        let losses = core.losses.clone();
        tasks.driver = Some(tokio::spawn(session::drive(core.clone(), incoming.clone(), first)));
        tasks.reporter = Some(tokio::spawn(async move { losses.report(&incoming).await }));
    }

    fn publish(&self, topic: &str, message: Outgoing<'_>) {
        let core = &self.core;
        let payload = Envelope::encode(core.node, message);
        if core.outbox.push(core.channel(topic), payload).is_err() {
            core.losses.add(1);
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

impl Drop for RedisRelay {
    fn drop(&mut self) {
        self.core.outbox.end();
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(reporter) = tasks.reporter.take() {
            reporter.abort();
        }
        let Some(mut driver) = tasks.driver.take() else { return };
        // What is queued leaves, if the broker takes it. This thread may have no runtime.
        if let Some(runtime) = tasks.runtime.take() {
            runtime.spawn(async move {
                if timeout(LAST, &mut driver).await.is_err() {
                    driver.abort();
                }
            });
        }
    }
}

impl fmt::Debug for RedisRelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRelay")
            .field("prefix", &self.core.prefix)
            .field("node", &self.core.node)
            .field("messages_lost", &self.messages_lost())
            .finish_non_exhaustive()
    }
}
