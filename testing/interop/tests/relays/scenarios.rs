//! What holds while the broker and all nodes live.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::future::join_all;
use towline::{Compress, Message, Outgoing};
use towline_kit::brokers::Server;

use crate::bounded::{LOOK, soon};
use crate::node::{Broker, Member, Node, contiguous};

const TOPIC: &str = "room/7";

async fn three<B: Broker>() -> (Server, [Node; 3]) {
    let server = Server::new(B::START);
    let nodes = [
        Node::new::<B>(&server).await,
        Node::new::<B>(&server).await,
        Node::new::<B>(&server).await,
    ];
    (server, nodes)
}

/// Each of three nodes publishes a thousand messages to two members on each.
pub(crate) async fn each_member_gets_each_message_once_and_in_order<B: Broker>() {
    const COUNT: usize = 1000;
    let (_server, nodes) = three::<B>().await;
    let mut members = Vec::new();
    for node in nodes.iter().chain(&nodes) {
        members.push(Member::of(node, TOPIC).await);
    }
    join_all(nodes.iter().enumerate().map(|(index, node)| async move {
        for number in 0..COUNT {
            node.publish(TOPIC, format!("{index} {number}")).await;
            if number % 50 == 0 {
                tokio::task::yield_now().await;
            }
        }
    }))
    .await;
    for node in &nodes {
        node.publish(TOPIC, "end").await;
    }
    for member in &members {
        member.wait_for(3 * COUNT + 3).await;
        for index in 0..nodes.len() {
            let numbers = member.numbers(&index.to_string());
            assert_eq!(contiguous(&numbers), Some((0, COUNT as u64 - 1)));
        }
        assert_eq!(member.messages().len(), 3 * COUNT + 3);
    }
}

/// As soon as `join` has returned on one node, another publishes: 4,500 times.
pub(crate) async fn the_first_message_after_a_join_arrives<B: Broker>() {
    const COUNT: usize = 4500;
    let (_server, [joins, publishes, _]) = three::<B>().await;
    let member = Member::new();
    let (joins, publishes, member) = (&joins, &publishes, &member);
    for first in (0..COUNT).step_by(50) {
        join_all((first..first + 50).map(|number| async move {
            let topic = format!("topic {number}");
            member.join(joins, &topic).await;
            publishes.publish(&topic, format!("first {number}")).await;
        }))
        .await;
    }
    member.wait_for(COUNT).await;
    let mut numbers = member.numbers("first");
    numbers.sort_unstable();
    assert_eq!(contiguous(&numbers), Some((0, COUNT as u64 - 1)));
}

/// Members come and go on two nodes while a third publishes. Each hears all between its join and its
/// leaving, once and in order.
pub(crate) async fn members_that_come_and_go_hear_all_meanwhile<B: Broker>() {
    let (_server, [a, b, publisher]) = three::<B>().await;
    let publisher = Arc::new(publisher);
    let (published, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let publishing = tokio::spawn({
        let (publisher, published, is_over) =
            (publisher.clone(), published.clone(), is_over.clone());
        async move {
            let topic = publisher.topics.topic(TOPIC).unwrap();
            while !is_over.load(Ordering::Relaxed) {
                let number = published.fetch_add(1, Ordering::SeqCst);
                topic.publish(format!("p {number}")).await;
                if number % 20 == 0 {
                    tokio::time::sleep(LOOK / 5).await;
                }
            }
        }
    });
    for round in 0..60 {
        let node = if round % 2 == 0 { &a } else { &b };
        let member = Member::of(node, TOPIC).await;
        let after = published.load(Ordering::SeqCst);
        member.wait_for(round % 7 * 20 + 1).await;
        let numbers = member.numbers("p");
        let (first, _) = contiguous(&numbers).unwrap();
        assert!(first <= after, "{first} is the first; {after} was published after the join");
        if round % 3 == 0 {
            // Its connection ends, otherwise.
            member.leave(node, TOPIC);
            // What was queued before may come, no more.
            let end = published.load(Ordering::SeqCst);
            while published.load(Ordering::SeqCst) < end + 40 {
                tokio::time::sleep(LOOK).await;
            }
            let (_, last) = contiguous(&member.numbers("p")).unwrap();
            assert!(last < end, "{last} came; {end} was published after the member had left");
        }
    }
    is_over.store(true, Ordering::Relaxed);
    publishing.await.unwrap();
}

/// After the last member has left, the broker sends the topic's messages no more.
pub(crate) async fn a_topic_without_members_has_no_subscription<B: Broker>() {
    let (_server, [a, b, _]) = three::<B>().await;
    let topic = a.topics.topic(TOPIC).unwrap();
    let other = Member::of(&a, "another topic").await;
    let mut count = 0;
    for _ in 0..3 {
        let member = Member::of(&a, TOPIC).await;
        b.publish(TOPIC, "with a member").await;
        member.wait_for(1).await;
        member.leave(&a, TOPIC);
        let until_none_comes = async {
            loop {
                let before = topic.stats().relayed;
                b.publish(TOPIC, "without a member").await;
                // The broker handles it after that one.
                b.publish("another topic", "after it").await;
                count += 1;
                other.wait_for(count).await;
                if topic.stats().relayed == before {
                    return;
                }
            }
        };
        soon("no subscription without members", until_none_comes).await;
    }
}

/// Text and binary, long and empty, with names that mean something to the broker.
pub(crate) async fn messages_and_names_arrive_as_they_are<B: Broker>() {
    let (_server, [a, b, _]) = three::<B>().await;
    let names = ["", "a.b", "*", ">", "a b", "é\r\n", "%2A", "?[a-z]", "\0"];
    let messages = [
        Message::text("text"),
        Message::text(""),
        Message::binary(&b"binary"[..]),
        Message::binary(&[0xFF, b'T', 1][..]),
        Message::binary(vec![7; 300_000]),
    ];
    for name in names {
        let member = Member::of(&a, name).await;
        for message in &messages {
            b.publish(name, message.clone()).await;
        }
        for other in names.into_iter().filter(|other| *other != name) {
            b.publish(other, format!("to {other:?}")).await;
        }
        let outgoing = Outgoing::from("last").compress(Compress::Never);
        b.topics.topic(name).unwrap().publish(outgoing).await;
        member.wait_for_text("last").await;
        let heard = member.messages();
        assert_eq!(heard[..messages.len()], messages, "{name:?}");
        assert_eq!(heard.len(), messages.len() + 1, "{name:?}");
    }
}

/// When the topics are dropped, what was published leaves first, and the connections are closed.
pub(crate) async fn a_node_that_ends_has_said_all<B: Broker>() {
    let (_server, [a, b, _]) = three::<B>().await;
    let member = Member::of(&a, TOPIC).await;
    for number in 0..500 {
        b.publish(TOPIC, format!("b {number}")).await;
    }
    // Where there is no runtime.
    std::thread::spawn(move || drop(b)).join().unwrap();
    soon("the last message", member.wait_for_text("b 499")).await;
    assert_eq!(contiguous(&member.numbers("b")), Some((0, 499)));
}
