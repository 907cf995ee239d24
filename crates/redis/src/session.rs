//! The connections to the broker.

use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSubSink, PubSubStream};
use redis::{AsyncConnectionConfig, RedisError, RedisResult};
use tokio::time::timeout;

/// How long the broker may take for a reply, or to accept a connection.
const LIMIT: Duration = Duration::from_secs(5);

/// One connection receives, the other publishes.
pub(crate) struct Session {
    pub(crate) sink: PubSubSink,
    pub(crate) stream: PubSubStream,
    pub(crate) publisher: MultiplexedConnection,
}

impl Session {
    pub(crate) async fn new(client: &redis::Client) -> RedisResult<Self> {
        let connecting = async {
            let (sink, stream) = client.get_async_pubsub().await?.split();
            // Time limits are set where replies are awaited.
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(LIMIT))
                .set_response_timeout(None);
            let mut publisher =
                client.get_multiplexed_async_connection_with_config(&config).await?;
            // Without a password, a broker that wants one accepts connections, and refuses commands.
            redis::cmd("PING").exec_async(&mut publisher).await?;
            Ok(Self { sink, stream, publisher })
        };
        within(connecting).await
    }
}

/// Sets the time limit for a reply.
pub(crate) async fn within<T>(replying: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    match timeout(LIMIT, replying).await {
        Ok(reply) => reply,
        Err(_) => Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))),
    }
}
