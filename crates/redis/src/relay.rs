//! The relay.

use std::sync::Arc;

use towline::Outgoing;
use towline::relaying::{Broker, Mailbox, Node};
use towline::topics::{Incoming, Relay, RelayError, RelayFuture};

use crate::core::Core;
use crate::running;

impl Broker for Core {
    fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    async fn run(self: Arc<Self>) {
        running::run(self).await;
    }

    async fn subscribe(self: &Arc<Self>, topic: &str) -> Result<(), RelayError> {
        Ok(self.subscribe_to(topic, self.address(topic)).await?)
    }

    async fn unsubscribe(&self, topic: &str) {
        self.unsubscribe_from(self.address(topic)).await;
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
pub struct RedisRelay(pub(crate) Node<Core>);

impl RedisRelay {
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
