//! What memberships cost, and that nothing is left of them.
//!
//! A binary of its own, since it counts what is allocated.

#![allow(clippy::unwrap_used, missing_docs)]

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};
use tokio::runtime::{Builder, Runtime};
use towline::topics::{Topic, Topics};
use towline::{Config, Connection, Keepalive, Role};

const MEMBERS: usize = 1000;

/// What a connection's only membership may have on the heap, and each further one.
const FIRST: i64 = 130;
const FURTHER: i64 = 80;

/// What a topic may have, beside its name.
const TOPIC: i64 = 600;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Connections, whose other ends are kept.
fn connections() -> Vec<(Connection, DuplexStream)> {
    let config = Config::server().keepalive(None::<Keepalive>);
    let connection = |_| {
        let (near, far) = duplex(1 << 10);
        (Connection::from_stream(near, Role::Server, &config, Bytes::new()), far)
    };
    (0..MEMBERS).map(connection).collect()
}

/// What is allocated more after this than before, for each of so many.
fn each(runtime: &Runtime, count: usize, act: impl Future<Output = ()>) -> i64 {
    let measured = allocation_counter::measure(|| runtime.block_on(act));
    measured.bytes_current / i64::try_from(count).unwrap()
}

async fn settle() {
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_membership_is_small_and_nothing_is_left_of_it() {
    let runtime = runtime();
    let _enter = runtime.enter();
    let (topics, connections) = (Topics::new(), connections());
    let all: Vec<_> = (0..10).map(|name| topics.topic(format!("{name}")).unwrap()).collect();
    let join = async |topic: &Topic| {
        for (connection, _) in &connections {
            assert!(topic.join(connection).await.unwrap());
        }
    };
    let first = each(&runtime, MEMBERS, join(&all[0]));
    let further = each(&runtime, 9 * MEMBERS, async {
        for topic in &all[1..] {
            join(topic).await;
        }
    });
    println!("{first} bytes for the first, {further} for each further one");
    assert!(first <= FIRST, "{first}");
    assert!(further <= FURTHER, "{further}");
    let left = each(&runtime, MEMBERS, async {
        for topic in &all {
            for (connection, _) in &connections {
                assert!(topic.leave(connection));
            }
        }
    });
    assert!(-left >= first + 9 * further, "{left}");
}

#[test]
fn a_topic_is_small_and_keeps_nothing_after_a_delivery() {
    let runtime = runtime();
    let _enter = runtime.enter();
    let (topics, mut connections) = (Topics::new(), connections());
    let mut all = Vec::with_capacity(MEMBERS);
    let mut made = each(&runtime, MEMBERS, async {
        all.extend((0..MEMBERS).map(|name| topics.topic(format!("{name}")).unwrap()));
    });
    println!("{made} bytes each");
    assert!(made <= TOPIC, "{made}");
    runtime.block_on(async {
        for (topic, (connection, _)) in all.iter().zip(&connections) {
            topic.join(connection).await.unwrap();
        }
    });
    let mut exchange = async |count: usize| {
        for topic in &all {
            for _ in 0..count {
                topic.publish("hello").await;
            }
        }
        settle().await;
        for (_, far) in &mut connections {
            far.read_exact(&mut vec![0; 7 * count]).await.unwrap();
        }
    };
    // What the pipes keep is there then.
    runtime.block_on(exchange(100));
    made = each(&runtime, MEMBERS, exchange(100));
    assert!(made <= 8, "{made}");
    assert_eq!(topics.stats().delivered, 200 * MEMBERS as u64);
    drop((all, connections));
    runtime.block_on(settle());
    assert!(topics.is_empty());
}

#[test]
fn many_topics_that_were_made_and_left_leave_no_memory() {
    const MANY: usize = 100_000;
    /// Of all topics together.
    const LEFT: i64 = 128 << 10;
    let runtime = runtime();
    let _enter = runtime.enter();
    let topics = Topics::new();
    let stays: Vec<_> = (0..10).map(|name| topics.topic(format!("{name}")).unwrap()).collect();
    let left = each(&runtime, 1, async {
        let all: Vec<_> =
            (0..MANY).map(|name| topics.topic(format!("room/{name}")).unwrap()).collect();
        assert_eq!(topics.len(), MANY + stays.len());
        drop(all);
    });
    println!("{left} bytes");
    assert!(left <= LEFT, "{left}");
    assert_eq!(topics.len(), stays.len());
    assert!(stays.iter().all(|topic| topics.get(topic.name()).is_some()));
}
