//! The relay.

use towline::Outgoing;
use towline::relaying::Node;
use towline::topics::{Incoming, Relay, RelayError, RelayFuture};

use crate::core::Core;

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
#[derive(Debug)]
pub struct NatsRelay(pub(crate) Node<Core>);

impl NatsRelay {
    /// Returns how many messages this relay knows that it has lost, in either direction.
    pub fn messages_lost(&self) -> u64 {
        self.0.messages_lost()
    }
}

impl Relay for NatsRelay {
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
