//! NATS as the broker.

use towline::topics::TopicsBuilder;
use towline_nats::NatsRelay;

use crate::serve::relay::Connected;

pub(crate) async fn connect(url: &str, builder: TopicsBuilder) -> Connected {
    Ok(builder.relay(NatsRelay::connect(url).await?))
}
