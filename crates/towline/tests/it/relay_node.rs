//! The relay of a node, with a broker of the test.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};
use towline::relaying::{Broker, Envelope, InterestTimeout, Mailbox, Node, NodeId, NodeOptions};
use towline::topics::{RelayError, Topics, TopicsEvent};
use towline::{Config, Connection, ErrorKind, Outgoing, Role};

use crate::wire::{Far, connect, settle};

/// What has happened.
type Log = Arc<Mutex<Vec<String>>>;

struct Fake {
    mailbox: Mailbox,
    log: Log,
    does: Does,
}

/// What its task does.
#[derive(Clone, Copy, PartialEq)]
enum Does {
    TakeMessages,
    Nothing,
    End,
    Panic,
}

impl Fake {
    fn log(&self, what: impl Into<String>) {
        self.log.lock().unwrap().push(what.into());
    }
}

/// Notes the end of the task.
struct Ends(Log);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.lock().unwrap().push("ends".into());
    }
}

impl Broker for Fake {
    fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    async fn run(self: Arc<Self>) {
        let _ends = Ends(self.log.clone());
        match self.does {
            Does::TakeMessages => {}
            Does::Nothing => pending().await,
            Does::End => return,
            Does::Panic => panic!("a mistake in a broker"),
        }
        while let Some((address, _)) = self.mailbox.outbox().next().await {
            self.log(format!("sends to {address}"));
        }
    }

    async fn subscribe(self: &Arc<Self>, topic: &str) -> Result<(), RelayError> {
        self.log(format!("subscribes to {topic}"));
        match topic {
            "never" => pending().await,
            "refused" => Err("not for you".into()),
            _ => Ok(()),
        }
    }

    async fn unsubscribe(&self, topic: &str) {
        self.log(format!("unsubscribes from {topic}"));
        if topic == "never" {
            pending::<()>().await;
        }
    }
}

fn node(does: Does) -> (Topics, Mailbox, Log) {
    let (mailbox, log) = (Mailbox::new(NodeOptions::default().prefix("t.")), Log::default());
    let fake = Fake { mailbox: mailbox.clone(), log: log.clone(), does };
    (Topics::builder().relay(Node::new(fake)).build(), mailbox, log)
}

fn member() -> (Connection, Far) {
    connect(Role::Server, &Config::server())
}

fn logged(log: &Log) -> Vec<String> {
    std::mem::take(&mut *log.lock().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_not_to_be_had_is_undone() {
    let (topics, _, log) = node(Does::TakeMessages);
    let (member, _far) = member();
    for (name, why) in
        [("refused", "not for you"), ("never", "within 5s (option interest_timeout)")]
    {
        let topic = topics.topic(name).unwrap();
        let error = topic.join(&member).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Relay);
        assert!(error.to_string().contains(why), "{error}");
        assert!(topic.is_empty());
        settle().await;
        let undone = [format!("subscribes to {name}"), format!("unsubscribes from {name}")];
        assert_eq!(logged(&log), undone);
    }
    let topic = topics.topic("open").unwrap();
    assert!(topic.join(&member).await.unwrap());
    assert!(topic.leave(&member));
    settle().await;
    assert_eq!(logged(&log), ["subscribes to open", "unsubscribes from open"]);
}

/// The broker does not answer when the attempt is undone, either.
#[tokio::test(start_paused = true)]
async fn a_join_fails_at_the_limit_and_the_next_one_waits_until_the_first_is_undone() {
    let (topics, _, log) = node(Does::TakeMessages);
    let (member, _far) = member();
    let topic = topics.topic("never").unwrap();
    let start = Instant::now();
    let error = topic.join(&member).await.unwrap_err();
    assert_eq!(start.elapsed().as_millis() / 10, 500);
    let cause = error.get_ref().unwrap().downcast_ref::<InterestTimeout>().unwrap();
    assert_eq!(cause.limit, Duration::from_secs(5));
    settle().await;
    assert_eq!(logged(&log), ["subscribes to never", "unsubscribes from never"]);

    sleep(Duration::from_secs(2)).await;
    let second = Instant::now();
    let looks = async {
        sleep(Duration::from_millis(2900)).await;
        assert_eq!(logged(&log), [""; 0]);
        sleep(Duration::from_millis(200)).await;
        assert_eq!(logged(&log), ["subscribes to never"]);
    };
    let (joined, ()) = tokio::join!(topic.join(&member), looks);
    assert_eq!(joined.unwrap_err().kind(), ErrorKind::Relay);
    assert_eq!(second.elapsed().as_millis() / 10, 500);
    settle().await;
    assert_eq!(logged(&log), ["unsubscribes from never"]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_or_panics_has_lost_the_broker() {
    for (does, why) in [
        (Does::End, "the broker's task has ended"),
        (Does::Panic, "the broker's task has panicked"),
    ] {
        let (topics, mailbox, _) = node(does);
        let mut events = topics.events();
        topics.topic("a").unwrap().publish("queued").await;
        settle().await;
        assert!(topics.is_relay_lost());
        assert_eq!(events.next().await, Some(TopicsEvent::MessagesLost { messages: 1 }));
        assert_eq!(events.next().await, Some(TopicsEvent::RelayLost { reason: why.into() }));
        assert_eq!(mailbox.losses().total(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_leaves_when_the_node_is_dropped() {
    let (topics, _, log) = node(Does::TakeMessages);
    for name in ["a", "b"] {
        topics.topic(name).unwrap().publish("last words").await;
    }
    drop(topics);
    settle().await;
    assert_eq!(logged(&log), ["sends to t.a", "sends to t.b", "ends"]);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_takes_nothing_is_dropped_five_seconds_after_the_node() {
    let (topics, _, log) = node(Does::Nothing);
    topics.topic("a").unwrap().publish("last words").await;
    drop(topics);
    sleep(Duration::from_millis(4900)).await;
    assert_eq!(logged(&log), [""; 0]);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(logged(&log), ["ends"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_received_is_delivered_unless_it_is_the_nodes_own_or_broken() {
    let (topics, mailbox, _) = node(Does::TakeMessages);
    let (member, far) = member();
    topics.topic("a").unwrap().join(&member).await.unwrap();
    let topic: Arc<str> = "a".into();
    let by = |node, text| Envelope::encode(node, Outgoing::from(text));
    mailbox.received(&topic, by(mailbox.id(), "own"));
    mailbox.received(&topic, by(NodeId::new(*b"another."), "another's"));
    mailbox.received(&topic, Bytes::from_static(b"\xFFT broken"));
    mailbox.received(&topic, "plain".into());
    settle().await;
    let heard: Vec<_> = far.hears().iter().map(|heard| heard.text().to_owned()).collect();
    assert_eq!((heard, mailbox.losses().total()), (vec!["another's".into(), "plain".into()], 1));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_lost_takes_what_is_queued_with_it() {
    let (topics, mailbox, _) = node(Does::Nothing);
    let mut events = topics.events();
    let topic = topics.topic("a").unwrap();
    topic.publish("queued").await;
    assert!(!topics.is_relay_lost());
    mailbox.lost("gone");
    assert!(topics.is_relay_lost());
    assert_eq!(events.next().await, Some(TopicsEvent::MessagesLost { messages: 1 }));
    assert_eq!(events.next().await, Some(TopicsEvent::RelayLost { reason: "gone".into() }));
    topic.publish("to nobody").await;
    topic.publish("to nobody").await;
    mailbox.back();
    assert!(!topics.is_relay_lost());
    assert_eq!(events.next().await, Some(TopicsEvent::MessagesLost { messages: 2 }));
    assert_eq!(events.next().await, Some(TopicsEvent::RelayBack));
    topic.publish("queued again").await;
    assert_eq!(mailbox.losses().total(), 3);
    assert_eq!(mailbox.outbox().try_next().unwrap().0, "t.a");
}
