//! In place of NATS, in a program without it.

use towline::topics::TopicsBuilder;

use crate::serve::relay::Connected;

pub(crate) async fn connect(_: &str, _: TopicsBuilder) -> Connected {
    Err("this program was built without the feature nats: cargo install towline-cli --features nats"
        .into())
}
