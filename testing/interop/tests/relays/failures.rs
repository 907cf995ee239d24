//! What holds when brokers and nodes die.

use std::process::{Command, Stdio};
use std::time::Duration;

use towline::ErrorKind;
use towline::topics::{Topics, TopicsEvent};
use towline_kit::brokers::Server;

use crate::bounded::{LOOK, soon};
use crate::node::{Broker, Member, Node, Settings, contiguous};

const TOPIC: &str = "room/7";

/// The URL of the broker, for a node in a process of its own.
const URL: &str = "TOWLINE_RELAY_URL";

/// The broker is killed, twice, while three nodes publish. Members on one node hear all of that node;
/// what others have said has gaps, and nothing else.
pub(crate) async fn a_broker_that_is_killed_comes_back<B: Broker>() {
    let mut server = Server::new(B::START);
    let mut nodes = Vec::new();
    let mut members = Vec::new();
    for _ in 0..3 {
        let node = Node::new::<B>(&server).await;
        members.push(Member::of(&node, TOPIC).await);
        nodes.push(node);
    }
    let mut number = 0;
    for _ in 0..2 {
        server.kill();
        // While nobody knows yet, and after that.
        publish(&nodes, &mut number, 100).await;
        for node in &mut nodes {
            node.wait_until_lost().await;
        }
        publish(&nodes, &mut number, 100).await;
        for (index, member) in members.iter().enumerate() {
            member.wait_for_text(&format!("{index} {}", number - 1)).await;
        }

        server.start_again();
        for node in &mut nodes {
            let lost = node.wait_until_back().await;
            assert!(lost >= 100, "{lost} are known to be lost");
        }
        publish(&nodes, &mut number, 100).await;
        for (index, member) in members.iter().enumerate() {
            for publisher in 0..nodes.len() {
                member.wait_for_text(&format!("{publisher} {}", number - 1)).await;
                let numbers = member.numbers(&publisher.to_string());
                assert!(numbers.is_sorted_by(|one, next| one < next), "twice, or out of order");
                let first_of_last = numbers.len() - 100;
                assert_eq!(contiguous(&numbers[first_of_last..]), Some((number - 100, number - 1)));
                if publisher == index {
                    assert_eq!(contiguous(&numbers), Some((0, number - 1)));
                }
            }
        }
    }
}

async fn publish(nodes: &[Node], number: &mut u64, count: u64) {
    for _ in 0..count {
        for (index, node) in nodes.iter().enumerate() {
            node.publish(TOPIC, format!("{index} {number}")).await;
        }
        *number += 1;
        tokio::task::yield_now().await;
    }
}

/// A join of a topic that needs the broker fails after the limit, and works again after that.
pub(crate) async fn a_join_without_a_broker_fails<B: Broker>() {
    let mut server = Server::new(B::START);
    let settings = Settings { interest_timeout: Duration::from_millis(300), ..Settings::default() };
    let mut node = Node::with::<B>(&server, settings).await;
    let known = Member::of(&node, TOPIC).await;
    server.kill();
    node.wait_until_lost().await;

    let topic = node.topics.topic("new").unwrap();
    let member = Member::new();
    let error = soon("a join", topic.join(&member.connection)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Relay);
    assert!(error.to_string().contains("interest_timeout"), "{error}");
    assert!(topic.is_empty());
    // The subscription of this one is known already.
    let another = Member::of(&node, TOPIC).await;
    node.publish(TOPIC, "still here").await;
    known.wait_for(1).await;
    another.wait_for(1).await;

    server.start_again();
    node.wait_until_back().await;
    member.join(&node, "new").await;
    let other = Node::new::<B>(&server).await;
    other.publish("new", "from another node").await;
    member.wait_for(1).await;
}

/// A broker that keeps its connections and takes nothing: publishers go on, memory is bounded, and what
/// has no room is counted.
pub(crate) async fn a_broker_that_takes_nothing_stops_nobody<B: Broker>() {
    const COUNT: usize = 4000;
    /// The outbox, what the client holds and the system's buffers are less than 16 MiB.
    const LEAST: u64 = COUNT as u64 - 1000;
    let server = Server::new(B::START);
    let settings = Settings { max_outbox_bytes: 1 << 20, ..Settings::default() };
    let mut node = Node::with::<B>(&server, settings).await;
    let member = Member::of(&node, TOPIC).await;
    server.suspend();
    let filler = "x".repeat(16 << 10);
    let topic = node.topics.topic(TOPIC).unwrap();
    let publishing = async {
        for number in 0..COUNT {
            topic.publish(format!("p {number} {filler}")).await;
        }
    };
    soon("publishing 64 MiB to a broker that takes nothing", publishing).await;
    member.wait_for(COUNT).await;
    let mut lost = 0;
    while lost < LEAST {
        lost += node.wait_for(|event| matches!(event, TopicsEvent::MessagesLost { .. })).await;
    }
    server.resume();
}

/// A node in another process is killed. The others have heard it without a gap, and go on.
pub(crate) async fn a_node_that_is_killed_leaves_no_trace<B: Broker>() {
    let server = Server::new(B::START);
    let (a, b) = (Node::new::<B>(&server).await, Node::new::<B>(&server).await);
    let (at_a, at_b) = (Member::of(&a, TOPIC).await, Member::of(&b, TOPIC).await);
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{}::another_node", B::NAME), "--ignored"])
        .env(URL, format!("{}://{}", B::NAME, server.address))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    at_a.wait_for(300).await;
    at_b.wait_for(300).await;
    process.kill().unwrap();
    process.wait().unwrap();

    a.publish(TOPIC, "a 0").await;
    b.publish(TOPIC, "b 0").await;
    for member in [&at_a, &at_b] {
        member.wait_for_text("a 0").await;
        member.wait_for_text("b 0").await;
    }
    let settled = async {
        // What the killed node had said may be on its way still.
        while at_a.numbers("killed").len() != at_b.numbers("killed").len() {
            tokio::time::sleep(LOOK).await;
        }
    };
    soon("the same messages on both nodes", settled).await;
    for member in [&at_a, &at_b] {
        assert_eq!(contiguous(&member.numbers("killed")).unwrap().0, 0);
    }
}

/// The other process: publishes until it is killed.
pub(crate) async fn another_node<B: Broker>() {
    let Ok(url) = std::env::var(URL) else { return };
    let topics = B::topics_at(Topics::builder(), &Settings::default(), &url).await;
    let topic = topics.topic(TOPIC).unwrap();
    for number in 0.. {
        topic.publish(format!("killed {number}")).await;
        if number % 10 == 0 {
            tokio::time::sleep(LOOK / 5).await;
        }
    }
}
