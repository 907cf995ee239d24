//! By nats-server.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use towline::relaying::{Envelope, NodeId};
use towline::topics::{Topics, TopicsBuilder, TopicsEvent};
use towline::{Message, Outgoing};
use towline_kit::brokers::{self, Server, Start};
use towline_nats::{NatsRelay, async_nats};

use crate::bounded::soon;
use crate::failures;
use crate::node::{Broker, Member, Node, Settings};
use crate::scenarios;

struct Nats;

impl Broker for Nats {
    const NAME: &str = "nats";
    const START: Start = brokers::nats;

    async fn topics_at(builder: TopicsBuilder, settings: &Settings, url: &str) -> Topics {
        let relay = NatsRelay::builder()
            .interest_timeout(settings.interest_timeout)
            .max_outbox_bytes(settings.max_outbox_bytes)
            .connect(url)
            .await
            .unwrap();
        builder.relay(relay).build()
    }
}

/// The same with a client that the program brings.
struct Brought;

impl Broker for Brought {
    const NAME: &str = "nats";
    const START: Start = brokers::nats;

    async fn topics_at(builder: TopicsBuilder, settings: &Settings, url: &str) -> Topics {
        let client = async_nats::connect(url).await.unwrap();
        let relay = NatsRelay::builder()
            .interest_timeout(settings.interest_timeout)
            .max_outbox_bytes(settings.max_outbox_bytes)
            .client(client)
            .await
            .unwrap();
        builder.relay(relay).build()
    }
}

tests! {
    "needs nats-server: cargo xtask test --only relays";
    Nats: scenarios::each_member_gets_each_message_once_and_in_order as each_message_once_and_in_order;
    Brought: scenarios::each_member_gets_each_message_once_and_in_order as the_same_with_a_client;
    Nats: scenarios::the_first_message_after_a_join_arrives as the_first_message_after_a_join_arrives;
    Nats: scenarios::members_that_come_and_go_hear_all_meanwhile as members_that_come_and_go;
    Nats: scenarios::a_topic_without_members_has_no_subscription as a_topic_without_members;
    Nats: scenarios::messages_and_names_arrive_as_they_are as messages_and_names_arrive_as_they_are;
    Nats: scenarios::a_node_that_ends_has_said_all as a_node_that_ends_has_said_all;
    Nats: failures::a_broker_that_is_killed_comes_back as a_broker_that_is_killed_comes_back;
    Brought: failures::a_broker_that_is_killed_comes_back as a_client_that_comes_back;
    Nats: failures::a_join_without_a_broker_fails as a_join_without_a_broker_fails;
    Nats: failures::a_broker_that_takes_nothing_stops_nobody as a_broker_that_takes_nothing;
    Nats: failures::a_node_that_is_killed_leaves_no_trace as a_node_that_is_killed;
    Nats: failures::another_node as another_node;
}

#[tokio::test]
#[ignore = "needs nats-server: cargo xtask test --only relays"]
async fn other_programs_publish_and_subscribe() {
    let server = Server::new(brokers::nats);
    let node = Node::new::<Nats>(&server).await;
    let member = Member::of(&node, "a.b").await;
    let other = async_nats::connect(server.address.to_string()).await.unwrap();
    let mut hears = other.subscribe("towline.>").await.unwrap();
    let binary = Envelope::encode(NodeId::new([1; 8]), Outgoing::from(&b"\xFFT"[..]));
    for payload in ["plain".into(), b"\xFFbinary".to_vec().into(), binary] {
        other.publish("towline.a%2Eb", payload).await.unwrap();
    }
    member.wait_for(3).await;
    let expected: [Message; 3] =
        ["plain".into(), b"\xFFbinary".into(), Message::binary(&b"\xFFT"[..])];
    assert_eq!(member.messages(), expected);

    node.publish("a.b", "from a node").await;
    for _ in 0..3 {
        hears.next().await.unwrap();
    }
    let heard = soon("the node's message", hears.next()).await.unwrap();
    let envelope = Envelope::decode(heard.payload).unwrap();
    assert_eq!(envelope.message.as_text(), Some("from a node"));
    assert!(envelope.node.is_some());
}

#[tokio::test]
#[ignore = "needs nats-server: cargo xtask test --only relays"]
async fn a_subscription_that_the_broker_refuses_fails_the_join() {
    let server = Server::new(|port, directory| {
        let config = directory.join("config");
        let users = r#"authorization { users = [{ user: u, password: p, permissions: {
            subscribe: ["_INBOX.>", "towline.allowed"], publish: ">" } }] }"#;
        std::fs::write(&config, users).unwrap();
        let mut command = brokers::nats(port, directory);
        command.arg("--config").arg(config);
        command
    });
    let url = format!("nats://u:p@{}", server.address);
    let topics = Nats::topics_at(Topics::builder(), &Settings::default(), &url).await;
    let member = Member::new();
    let refused = topics.topic("refused").unwrap();
    let error = soon("a join", refused.join(&member.connection)).await.unwrap_err();
    assert!(error.to_string().contains("towline.refused"), "{error}");
    let allowed = topics.topic("allowed").unwrap();
    assert!(soon("a join", allowed.join(&member.connection)).await.unwrap());
}

/// The broker comes back with fewer rights for the user.
#[tokio::test]
#[ignore = "needs nats-server: cargo xtask test --only relays"]
async fn a_subscription_that_is_refused_later_is_reported() {
    let mut server = Server::new(|port, directory| {
        let config = directory.join("config");
        let allowed = if config.exists() { "_INBOX.>" } else { ">" };
        let users = format!(
            r#"authorization {{ users = [{{ user: u, password: p, permissions: {{
                subscribe: "{allowed}", publish: ">" }} }}] }}"#
        );
        std::fs::write(&config, users).unwrap();
        let mut command = brokers::nats(port, directory);
        command.arg("--config").arg(config);
        command
    });
    let url = format!("nats://u:p@{}", server.address);
    let topics = Nats::topics_at(Topics::builder(), &Settings::default(), &url).await;
    let events = topics.events();
    let mut node = Node { topics, events };
    let _member = Member::of(&node, "Room \"7\"").await;
    server.kill();
    node.wait_until_lost().await;
    server.start_again();
    let refused = TopicsEvent::InterestLost { topic: "Room \"7\"".into() };
    node.wait_for(|event| *event == refused).await;
}

#[tokio::test]
#[ignore = "needs nats-server: cargo xtask test --only relays"]
async fn a_message_over_the_brokers_limit_is_counted_as_lost() {
    let server = Server::new(brokers::nats);
    let mut node = Node::new::<Nats>(&server).await;
    let member = Member::of(&node, "long").await;
    node.publish("long", vec![0; 1 << 20]).await;
    let lost = node.wait_for(|event| matches!(event, TopicsEvent::MessagesLost { .. }));
    assert_eq!(lost.await, 1);
    member.wait_for(1).await;
}

/// The broker's answers take longer than the relay waits before it asks again.
#[tokio::test]
#[ignore = "needs nats-server: cargo xtask test --only relays"]
async fn a_broker_that_is_far_away_confirms_a_join() {
    let server = Server::new(brokers::nats);
    let far = far_away(server.address, Duration::from_millis(700)).await;
    let settings = Settings { interest_timeout: Duration::from_secs(20), ..Settings::default() };
    let topics = Nats::topics_at(Topics::builder(), &settings, &format!("nats://{far}")).await;
    let topic = topics.topic("far").unwrap();
    let member = Member::new();
    assert!(soon("a join", topic.join(&member.connection)).await.unwrap());
}

/// Returns an address where all bytes from and to a server take this time.
async fn far_away(server: SocketAddr, delay: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = TcpStream::connect(server).await.unwrap().into_split();
            tokio::spawn(carry(from_client, to_server, delay));
            tokio::spawn(carry(from_server, to_client, delay));
        }
    });
    address
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let reading = async move {
        let mut buffer = vec![0; 4096];
        while let Ok(len @ 1..) = from.read(&mut buffer).await {
            sender.send((Instant::now() + delay, buffer[..len].to_vec())).unwrap();
        }
    };
    let writing = async {
        while let Some((at, bytes)) = receiver.recv().await {
            sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, writing);
}
