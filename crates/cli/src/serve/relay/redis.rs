//! Redis as the broker.

use towline::topics::TopicsBuilder;
use towline_redis::RedisRelay;

use crate::serve::relay::Connected;

pub(crate) async fn connect(url: &str, builder: TopicsBuilder) -> Connected {
    Ok(builder.relay(RedisRelay::connect(url).await?))
}
