//! The relay.

use std::sync::{Arc, Mutex, PoisonError};

use towline::Outgoing;
use towline::relaying::{Broker, Mailbox, Node};
use towline::topics::{Incoming, Relay, RelayError, RelayFuture};

use crate::core::Core;
use crate::session::{self, Session};

/// Redis, as the node sees it.
pub(crate) struct Redis {
    core: Arc<Core>,
    /// The first connections, until the relay runs.
    first: Mutex<Option<Session>>,
}

impl Broker for Redis {
    fn mailbox(&self) -> &Mailbox {
        &self.core.mailbox
    }

    async fn run(self: Arc<Self>) {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(first) = first {
            session::drive(self.core.clone(), first).await;
        }
    }

    async fn subscribe(self: &Arc<Self>, topic: &str) -> Result<(), RelayError> {
        Ok(self.core.subscribe(topic, self.address(topic)).await?)
    }

    async fn unsubscribe(&self, topic: &str) {
        self.core.unsubscribe(self.address(topic)).await;
    }
}

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
#[derive(Debug)]
pub struct RedisRelay(Node<Redis>);

impl RedisRelay {
    pub(crate) fn new(core: Core, first: Session) -> Self {
        let redis = Redis { core: Arc::new(core), first: Mutex::new(Some(first)) };
        Self(Node::new(redis))
    }

    /// Returns how many messages this relay knows that it has lost, in either direction.
    pub fn messages_lost(&self) -> u64 {
        self.0.messages_lost()
    }
}

impl Relay for RedisRelay {
    fn start(&self, incoming: Incoming) {
        self.0.start(incoming);
    }

    fn publish(&self, topic: &str, message: Outgoing<'_>) {
        self.0.publish(topic, message);
    }

    fn room(&self) -> Option<RelayFuture<'_, ()>> {
        self.0.room()
    }

    fn interest<'a>(
        &'a self,
        topic: &'a str,
        wanted: bool,
    ) -> RelayFuture<'a, Result<(), RelayError>> {
        self.0.interest(topic, wanted)
    }
}
