//! Many topics, many members, and what happens to others meanwhile.

use futures_util::FutureExt as _;
use tokio::task::yield_now;
use towline::topics::{Topic, Topics};
use towline::{Connection, Message};

use crate::endless::{Bystander, Count};
use crate::topics::{connection, member, members, texts, topic};
use crate::wire::{Far, settle};

/// Waits for so many deliveries. It counts turns, since the clock stands still meanwhile.
async fn delivered(topic: &Topic, count: u64) {
    for _ in 0..count + 100 {
        if topic.stats().delivered >= count {
            return;
        }
        yield_now().await;
    }
    panic!("{} of {count} are delivered", topic.stats().delivered);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_topics_have_a_few_members_each() {
    const TOPICS: usize = 1000;
    let topics = Topics::new();
    let mut all: Vec<(Topic, Vec<(Connection, Far)>)> = Vec::new();
    for number in 0..TOPICS {
        let topic = topics.topic(format!("room/{number}")).unwrap();
        let members = members(&topic, 3).await;
        all.push((topic, members));
    }
    for round in 0..3 {
        for (topic, _) in &all {
            topic.publish(format!("{} {round}", topic.name())).await;
        }
    }
    for (topic, _) in &all {
        delivered(topic, 9).await;
    }
    for (topic, members) in &all {
        let expected: Vec<_> = (0..3).map(|round| format!("{} {round}", topic.name())).collect();
        for (connection, far) in members {
            connection.flushed().await;
            let heard: Vec<_> = far.hears().iter().map(|heard| heard.text().to_owned()).collect();
            assert_eq!(heard, expected);
        }
    }
    let stats = topics.stats();
    assert_eq!((stats.topics, stats.members), (TOPICS, 3 * TOPICS));
    assert_eq!((stats.published, stats.delivered), (3 * TOPICS as u64, 9 * TOPICS as u64));
    all.clear();
    assert!(topics.is_empty());
}

/// Others run while it is delivered to all of them, and members come and go meanwhile.
#[tokio::test(start_paused = true)]
async fn one_topic_has_twenty_thousand_members() {
    const MEMBERS: usize = 20_000;
    let topics = Topics::new();
    let topic = topic(&topics);
    let mut members = members(&topic, MEMBERS).await;
    settle().await;
    let bystander = Bystander::of(&Count::default());
    let turns = bystander.turns();
    topic.publish("one").now_or_never().unwrap();
    delivered(&topic, MEMBERS as u64).await;
    let turns = bystander.turns() - turns;
    assert!(turns >= MEMBERS / 100, "others ran {turns} times");
    bystander.most().await;
    for (_, far) in &members {
        assert_eq!(far.writes().len(), 1);
        far.forgets_what_it_heard();
    }
    // Every second one of those that have not got it yet leaves.
    topic.publish("two").await;
    delivered(&topic, MEMBERS as u64 * 3 / 2).await;
    let before = topic.stats().delivered - MEMBERS as u64;
    let mut left = 0;
    for (number, (connection, _)) in members.iter().enumerate().rev() {
        if number as u64 > before + 100 && number % 2 == 0 {
            assert!(topic.leave(connection));
            left += 1;
        }
    }
    let (_late, at_late) = member(&topic).await;
    delivered(&topic, 2 * MEMBERS as u64 - left).await;
    for (number, (connection, far)) in members.iter().enumerate() {
        assert_eq!(far.hears().len(), usize::from(topic.contains(connection)), "{number}");
    }
    assert!(texts(&at_late).await.is_empty());
    assert!(left > 1000);
    members.clear();
    assert_eq!(topic.len(), 1);
}

/// The runtime of the publisher ends before it has delivered anything.
#[test]
fn what_a_runtime_left_undelivered_is_delivered_by_the_next() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (one, two) = (runtime(), runtime());
    let options = |_: &str| towline::topics::TopicOptions::default().max_queued_bytes(1000);
    let topics = Topics::builder().options(options).build();
    let topic = topic(&topics);
    let (member, far) = two.block_on(member(&topic));
    let mut expected = Vec::new();
    one.block_on(async {
        while topic.publish(format!("{}", expected.len())).now_or_never().is_some() {
            expected.push(expected.len().to_string());
        }
    });
    drop(one);
    // One that is already waiting for room is woken, too.
    two.block_on(topic.publish("last"));
    expected.push("last".to_owned());
    assert_eq!(two.block_on(texts(&far)), expected);
    assert!(expected.len() > 3);
    // Outside of any runtime, a member's delivers.
    topic.publish(Message::text("from outside")).now_or_never().unwrap();
    assert_eq!(two.block_on(texts(&far)), ["from outside"]);
    // A leave needs no runtime either.
    drop(member);
    assert!(topic.is_empty());
    let _enter = two.enter();
    let (other, _far) = connection();
    assert!(topic.join(&other).now_or_never().unwrap().unwrap());
}
