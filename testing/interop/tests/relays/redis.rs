//! By redis-server.

use futures_util::StreamExt as _;
use towline::Message;
use towline::relaying::Envelope;
use towline::topics::{Topics, TopicsBuilder, TopicsEvent};
use towline_kit::brokers::{self, Server, Start};
use towline_redis::{RedisRelay, redis};

use crate::bounded::{LOOK, soon};
use crate::failures;
use crate::node::{Broker, Member, Node, Settings};
use crate::scenarios;

struct Redis;

impl Broker for Redis {
    const NAME: &str = "redis";
    const START: Start = brokers::redis;

    async fn topics_at(builder: TopicsBuilder, settings: &Settings, url: &str) -> Topics {
        let relay = RedisRelay::builder()
            .interest_timeout(settings.interest_timeout)
            .max_outbox_bytes(settings.max_outbox_bytes)
            .connect(url)
            .await
            .unwrap();
        builder.relay(relay).build()
    }
}

tests! {
    "needs redis-server: cargo xtask test --only relays";
    Redis: scenarios::each_member_gets_each_message_once_and_in_order as each_message_once_and_in_order;
    Redis: scenarios::the_first_message_after_a_join_arrives as the_first_message_after_a_join_arrives;
    Redis: scenarios::members_that_come_and_go_hear_all_meanwhile as members_that_come_and_go;
    Redis: scenarios::a_topic_without_members_has_no_subscription as a_topic_without_members;
    Redis: scenarios::messages_and_names_arrive_as_they_are as messages_and_names_arrive_as_they_are;
    Redis: scenarios::a_node_that_ends_has_said_all as a_node_that_ends_has_said_all;
    Redis: failures::a_broker_that_is_killed_comes_back as a_broker_that_is_killed_comes_back;
    Redis: failures::a_join_without_a_broker_fails as a_join_without_a_broker_fails;
    Redis: failures::a_broker_that_takes_nothing_stops_nobody as a_broker_that_takes_nothing;
    Redis: failures::a_node_that_is_killed_leaves_no_trace as a_node_that_is_killed;
    Redis: failures::another_node as another_node;
}

async fn client(server: &Server) -> redis::Client {
    redis::Client::open(format!("redis://{}", server.address)).unwrap()
}

#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test --only relays"]
async fn other_programs_publish_and_subscribe() {
    let server = Server::new(brokers::redis);
    let node = Node::new::<Redis>(&server).await;
    let member = Member::of(&node, "a.b").await;
    let client = client(&server).await;
    let mut publisher = client.get_multiplexed_async_connection().await.unwrap();
    for payload in [&b"plain"[..], b"\xFFbinary"] {
        let mut publish = redis::cmd("PUBLISH");
        publish.arg("towline.a.b").arg(payload);
        let receivers: u64 = publish.query_async(&mut publisher).await.unwrap();
        assert_eq!(receivers, 1);
    }
    member.wait_for(2).await;
    assert_eq!(member.messages(), [Message::text("plain"), Message::binary(&b"\xFFbinary"[..])]);

    let (mut sink, mut hears) = client.get_async_pubsub().await.unwrap().split();
    sink.psubscribe("towline.*").await.unwrap();
    node.publish("a.b", "from a node").await;
    let heard = soon("the node's message", hears.next()).await.unwrap();
    let envelope = Envelope::decode(heard.get_payload_bytes().to_vec().into()).unwrap();
    assert_eq!(envelope.message.as_text(), Some("from a node"));
    assert!(envelope.node.is_some());
}

/// The broker refuses what the user has no right to: the join fails, and the message is lost, but the
/// connections stay.
#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test --only relays"]
async fn what_the_broker_refuses_is_said() {
    let server = Server::new(brokers::redis);
    let mut admin = client(&server).await.get_multiplexed_async_connection().await.unwrap();
    let mut rights = redis::cmd("ACL");
    rights.arg(&["SETUSER", "u", "on", ">p", "+@all", "resetchannels", "&towline.allowed"]);
    rights.exec_async(&mut admin).await.unwrap();
    let url = format!("redis://u:p@{}", server.address);
    let topics = Redis::topics_at(Topics::builder(), &Settings::default(), &url).await;
    let mut events = topics.events();
    let member = Member::new();
    let refused = topics.topic("refused").unwrap();
    let error = soon("a join", refused.join(&member.connection)).await.unwrap_err();
    assert!(error.to_string().contains("Redis refuses"), "{error}");
    refused.publish("nobody may hear").await;
    let lost = soon("an event", events.next()).await.unwrap();
    assert_eq!(lost, TopicsEvent::MessagesLost { messages: 1 });
    let allowed = topics.topic("allowed").unwrap();
    assert!(soon("a join", allowed.join(&member.connection)).await.unwrap());
}

/// The broker takes a right away, and ends the connection of who has subscribed by it. The topic is named, and
/// the others go on.
#[tokio::test]
#[ignore = "needs redis-server: cargo xtask test --only relays"]
async fn a_subscription_that_is_refused_later_is_reported() {
    let server = Server::new(brokers::redis);
    let mut admin = client(&server).await.get_multiplexed_async_connection().await.unwrap();
    let mut rights = redis::cmd("ACL");
    rights.arg(&["SETUSER", "u", "on", ">p", "+@all", "resetchannels", "&towline.*"]);
    rights.exec_async(&mut admin).await.unwrap();
    let url = format!("redis://u:p@{}", server.address);
    let topics = Redis::topics_at(Topics::builder(), &Settings::default(), &url).await;
    let events = topics.events();
    let mut node = Node { topics, events };
    let member = Member::of(&node, "kept").await;
    member.join(&node, "taken").await;

    let mut fewer = redis::cmd("ACL");
    fewer.arg(&["SETUSER", "u", "resetchannels", "&towline.kept"]);
    fewer.exec_async(&mut admin).await.unwrap();
    let refused = TopicsEvent::InterestLost { topic: "taken".into() };
    node.wait_for(|event| *event == refused).await;
    node.wait_until_back().await;
    let mut publish = redis::cmd("PUBLISH");
    publish.arg("towline.kept").arg("ship ahoy");
    publish.exec_async(&mut admin).await.unwrap();
    member.wait_for_text("ship ahoy").await;
}

/// Thousands of subscriptions are restored, by more than one command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: cargo xtask test --only relays"]
async fn all_subscriptions_are_restored() {
    const COUNT: usize = 1200;
    let mut server = Server::new(brokers::redis);
    let mut node = Node::new::<Redis>(&server).await;
    let member = Member::new();
    for number in 0..COUNT {
        member.join(&node, &number.to_string()).await;
    }
    server.kill();
    node.wait_until_lost().await;
    // Nobody wants this one any more, which the broker has to be told, too.
    member.leave(&node, "7");
    server.start_again();
    node.wait_until_back().await;

    let mut publisher = client(&server).await.get_multiplexed_async_connection().await.unwrap();
    let no_seven = async {
        loop {
            let mut count = redis::cmd("PUBSUB");
            count.arg(&["NUMSUB", "towline.7"]);
            let (_, subscribers): (String, u64) = count.query_async(&mut publisher).await.unwrap();
            if subscribers == 0 {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    soon("no subscription to a topic without members", no_seven).await;
    for number in (0..COUNT).filter(|number| *number != 7) {
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(format!("towline.{number}")).arg(format!("p {number}"));
        let receivers: u64 = publish.query_async(&mut publisher).await.unwrap();
        assert_eq!(receivers, 1, "{number}");
    }
    member.wait_for(COUNT - 1).await;
}
