//! Topics: members come, go and end while others publish, and nothing is lost, stuck or left.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use shuttle::future::yield_now;
use towline::topics::{Incoming, Relay, RelayError, RelayFuture, TopicOptions, Topics};
use towline::{CloseCode, Config, Connection, Outgoing, WhenFull};

use crate::model::{any, check, join, spawn};
use crate::sending::{assert_in_order, message};
use crate::wire::{Far, connect, messages};

fn config() -> Config {
    Config::server().keepalive(None).send_timeout(None)
}

/// Waits until no topic is left: the delivery keeps one for a moment.
async fn none_is_left(topics: &Topics) {
    while !topics.is_empty() {
        yield_now().await;
    }
    assert_eq!(topics.stats().members, 0);
}

fn publish(topics: &Topics, own: usize, count: usize) -> shuttle::future::JoinHandle<()> {
    let topic = topics.topic("topic").unwrap();
    spawn(async move {
        for index in 0..count {
            topic.publish(message(own, index)).await;
            if any(2) == 0 {
                yield_now().await;
            }
        }
    })
}

#[test]
fn a_member_gets_all_whoever_comes_and_goes() {
    check(|| async {
        let topics = Topics::new();
        let (stays, at_stays) = connect(&config());
        topics.topic("topic").unwrap().join(&stays).await.unwrap();
        let mut tasks = vec![publish(&topics, 0, 3), publish(&topics, 1, 2)];
        let mut peers = Vec::new();
        for way in 0..3 {
            let (connection, far) = connect(&config());
            let topic = topics.topic("topic").unwrap();
            peers.push(spawn({
                let far = far.clone();
                async move { far.hears_all().await }
            }));
            tasks.push(spawn(async move {
                topic.join(&connection).await.unwrap();
                if way == 0 {
                    assert!(topic.leave(&connection));
                    assert!(!topic.contains(&connection));
                }
                if way < 2 {
                    connection.abort(CloseCode::NORMAL, "");
                }
                drop(connection);
                far.says([towline_kit::frame().close(1000, "")]);
                far.ends();
            }));
        }
        assert_in_order(&at_stays.hears_messages(5).await, &[3, 2]);
        join(tasks).await;
        let topic = topics.get("topic").unwrap();
        assert_eq!(topic.len(), 1);
        drop((stays, topic));
        at_stays.leaves().await;
        for heard in join(peers).await {
            in_order(&messages(&heard));
        }
        none_is_left(&topics).await;
    });
}

/// That the messages of each publisher are consecutive.
fn in_order(heard: &[String]) {
    for own in 0..2 {
        let all: Vec<_> = (0..3).map(|index| message(own, index)).collect();
        let theirs: Vec<_> =
            heard.iter().filter(|heard| heard.starts_with(&format!("{own}:"))).cloned().collect();
        let is_part = theirs.is_empty() || all.windows(theirs.len()).any(|part| part == theirs);
        assert!(is_part, "{heard:?}");
    }
}

/// The newest are kept, and come when there is room: the last of all is among them.
#[test]
fn what_is_kept_comes_when_there_is_room() {
    check(|| async {
        let newest = WhenFull::KeepNewest(NonZeroUsize::new(2).unwrap());
        let topics = Topics::builder()
            .options(move |_| {
                let notice = |skipped| format!("-{skipped}").into();
                TopicOptions::default().when_full(newest).notice(notice)
            })
            .build();
        let (connection, far) = connect(&config().send_high_water_mark(20));
        let topic = topics.topic("topic").unwrap();
        topic.join(&connection).await.unwrap();
        let publishing = publish(&topics, 0, 6);
        let last = message(0, 5);
        let heard = far
            .hears_until(|heard| messages(heard).last().is_some_and(|heard| *heard == last))
            .await;
        publishing.await.unwrap();
        let (mut next, mut told) = (0, 0);
        for heard in messages(&heard) {
            if let Some(skipped) = heard.strip_prefix('-') {
                told += skipped.parse::<usize>().unwrap();
                continue;
            }
            let index = (0..6).find(|index| message(0, *index) == heard).unwrap();
            assert_eq!(index - next, told, "{heard}");
            (next, told) = (index + 1, 0);
        }
        // It counts when it has handed them over.
        while topic.stats().delivered + topic.stats().skipped < 6 {
            yield_now().await;
        }
        assert_eq!(topic.stats().delivered + topic.stats().skipped, 6);
        assert_eq!(topic.stats().skipped, topic.skipped(&connection));
        drop((connection, topic));
        far.leaves().await;
        none_is_left(&topics).await;
    });
}

/// A relay that takes its time, fails now and then, and knows what stands.
#[derive(Default)]
struct Node {
    is_called: AtomicBool,
    stands: AtomicBool,
    fails: AtomicUsize,
    published: Mutex<Vec<String>>,
}

struct Handle(Arc<Node>);

impl Relay for Handle {
    fn start(&self, _: Incoming) {}

    fn publish(&self, _: &str, message: Outgoing<'_>) {
        let text = message.message().as_text().unwrap().to_owned();
        self.0.published.lock().unwrap().push(text);
    }

    fn interest<'a>(&'a self, _: &'a str, wanted: bool) -> RelayFuture<'a, Result<(), RelayError>> {
        assert!(!self.0.is_called.swap(true, SeqCst), "two at once");
        Box::pin(async move {
            if any(2) == 0 {
                yield_now().await;
            }
            self.0.is_called.store(false, SeqCst);
            if wanted && any(4) == 0 {
                self.0.fails.fetch_add(1, SeqCst);
                return Err("not now".into());
            }
            self.0.stands.store(wanted, SeqCst);
            Ok(())
        })
    }
}

#[test]
fn the_interest_stands_while_there_is_a_member() {
    check(|| async {
        let node = Arc::<Node>::default();
        let topics = Topics::builder().relay(Handle(node.clone())).build();
        let members: [(Connection, Far); 2] = [connect(&config()), connect(&config())];
        let tasks = members.map(|(connection, far)| {
            let (topics, node) = (topics.clone(), node.clone());
            spawn(async move {
                for _ in 0..2 {
                    let topic = topics.topic("topic").unwrap();
                    if any(3) == 0 {
                        // Dropped at an arbitrary time.
                        let mut joining = std::pin::pin!(topic.join(&connection));
                        let times = any(3);
                        let joined = crate::model::poll_times(joining.as_mut(), times, false).await;
                        if !matches!(joined, Some(Ok(_))) {
                            assert!(!topic.contains(&connection));
                            continue;
                        }
                    } else if topic.join(&connection).await.is_err() {
                        assert!(!topic.contains(&connection));
                        continue;
                    }
                    assert!(node.stands.load(SeqCst) && topic.contains(&connection));
                    yield_now().await;
                    assert!(node.stands.load(SeqCst));
                    assert!(topic.leave(&connection));
                }
                drop(connection);
                far.leaves().await;
            })
        });
        join(tasks).await;
        none_is_left(&topics).await;
        assert!(!node.stands.load(SeqCst));
    });
}

#[test]
fn a_publish_is_relayed_in_order_while_members_come_and_go() {
    check(|| async {
        let node = Arc::<Node>::default();
        let topics = Topics::builder().relay(Handle(node.clone())).build();
        let (connection, far) = connect(&config());
        let topic = topics.topic("topic").unwrap();
        let publishing = [publish(&topics, 0, 3), publish(&topics, 1, 2)];
        let coming = spawn(async move {
            let _ = topic.join(&connection).await;
            topic.leave(&connection);
            drop(connection);
            far.leaves().await;
        });
        join(publishing).await;
        coming.await.unwrap();
        assert_in_order(&node.published.lock().unwrap(), &[3, 2]);
        none_is_left(&topics).await;
    });
}
