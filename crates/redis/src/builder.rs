//! The options of a relay.

use std::time::Duration;

use redis::{Client, IntoConnectionInfo};
use towline::relaying::{Mailbox, Node, NodeOptions};

use crate::core::Core;
use crate::error::Error;
use crate::relay::RedisRelay;
use crate::session::Session;

impl RedisRelay {
    /// Connects to a broker, with default options.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] if the URL is wrong or there is no connection.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if it is dropped, the connections are closed.
    pub async fn connect(url: impl IntoConnectionInfo) -> Result<Self, Error> {
        Self::builder().connect(url).await
    }

    /// Returns a builder, to set options or to bring a client.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

/// Sets up a relay; made by [`RedisRelay::builder`].
///
/// ```no_run
/// # async fn example() -> Result<(), towline_redis::Error> {
/// use towline_redis::RedisRelay;
///
/// let relay = RedisRelay::builder()
///     .prefix("chat:")
///     .connect("redis://user:secret@10.0.0.1:6379")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct Builder {
    node: NodeOptions,
}

impl Builder {
    /// Sets what the channels of all topics begin with. Nodes with different prefixes share no
    /// topics. Default: `towline.`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.node = self.node.prefix(prefix);
        self
    }

    /// Sets how long the broker may take to confirm a subscription. While the broker is lost, the
    /// first join of a topic on this node waits for that long, and then fails with an
    /// [`InterestTimeout`](towline::relaying::InterestTimeout). Default: 5 s.
    pub fn interest_timeout(mut self, limit: Duration) -> Self {
        self.node = self.node.interest_timeout(limit);
        self
    }

    /// Sets how many bytes can be queued on their way to the broker. When half of it is in use,
    /// publishers wait, at most a second each. Messages that have no room are lost. Default: 8 MiB.
    pub fn max_outbox_bytes(mut self, bytes: usize) -> Self {
        self.node = self.node.max_outbox_bytes(bytes);
        self
    }

    /// Sets how many bytes can be queued on their way from the broker to members on this node, when
    /// the delivery is behind. Messages that have no room are lost. Default: 64 MiB.
    pub fn max_inbox_bytes(mut self, bytes: usize) -> Self {
        self.node = self.node.max_inbox_bytes(bytes);
        self
    }

    /// Connects to a broker: a URL, such as `redis://127.0.0.1:6379`, or what else the crate `redis`
    /// makes connections of.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] if the URL is wrong or there is no connection within 5 s.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if it is dropped, the connections are closed.
    pub async fn connect(self, url: impl IntoConnectionInfo) -> Result<RedisRelay, Error> {
        self.client(Client::open(url).map_err(Error::Connect)?).await
    }

    /// Connects as this client does, which has settings of the program. The relay makes two
    /// connections: one receives, the other publishes.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] if there is no connection within 5 s.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if it is dropped, the connections are closed.
    pub async fn client(self, client: Client) -> Result<RedisRelay, Error> {
        let first = Session::new(&client).await.map_err(Error::Connect)?;
        Ok(RedisRelay(Node::new(Core::new(client, Mailbox::new(self.node), first))))
    }
}
