//! Topics: what one publishes, each member gets, in order, whole and once.

mod bursts;

mod checked;

#[cfg(feature = "deflate")]
mod compressed;

mod many;

mod members;

mod mixed;

mod relayed;

mod slow;

use towline::topics::{Topic, Topics};
use towline::{Config, Connection, Keepalive, Role};

use crate::wire::{Far, connect, settle};

/// A server's end of a connection, and a peer that is a mock.
fn connection() -> (Connection, Far) {
    let config = Config::server().keepalive(None::<Keepalive>).send_high_water_mark(MARK);
    connect(Role::Server, &config)
}

const MARK: usize = 1000;

/// A connection that has joined.
async fn member(topic: &Topic) -> (Connection, Far) {
    let (connection, far) = connection();
    assert!(topic.join(&connection).await.unwrap());
    (connection, far)
}

async fn members(topic: &Topic, count: usize) -> Vec<(Connection, Far)> {
    let mut members = Vec::new();
    for _ in 0..count {
        members.push(member(topic).await);
    }
    members
}

fn topic(topics: &Topics) -> Topic {
    topics.topic("room/7").unwrap()
}

/// What a peer has heard since it was last asked.
async fn texts(far: &Far) -> Vec<String> {
    settle().await;
    far.hears().iter().map(|heard| heard.text().to_owned()).collect()
}
