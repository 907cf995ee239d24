//! What is published together leaves together, and a publisher waits for nobody.

use futures_util::FutureExt as _;
use towline::topics::{TopicOptions, Topics};

use crate::topics::{member, members, texts, topic};
use crate::wire::settle;

#[tokio::test(start_paused = true)]
async fn a_burst_is_one_write_per_member() {
    let topics = Topics::new();
    let topic = topic(&topics);
    let members = members(&topic, 100).await;
    for round in 0..3 {
        members.iter().for_each(|(_, far)| drop(far.calls()));
        for number in 0..50 {
            topic.publish(format!("{round} {number}")).await;
        }
        settle().await;
        let expected: Vec<_> = (0..50).map(|number| format!("{round} {number}")).collect();
        for (_, far) in &members {
            assert_eq!(far.writes().len(), 1, "round {round}");
            assert_eq!(texts(far).await, expected);
        }
    }
    assert_eq!(topic.stats().delivered, 3 * 50 * 100);
}

#[tokio::test(start_paused = true)]
async fn publishing_is_ready_at_once_until_the_topic_is_full() {
    let options = |_: &str| TopicOptions::default().max_queued_bytes(10_000);
    let topics = Topics::builder().options(options).build();
    let topic = topic(&topics);
    let (_stalled, stalled) = member(&topic).await;
    let (_member, far) = member(&topic).await;
    stalled.stalls();
    let is_ready = |message: &str| topic.publish(message.to_owned()).now_or_never().is_some();
    let mut published = 0;
    while is_ready("what a member does is of no account here") {
        published += 1;
    }
    // Nobody has been delivered to.
    assert!((30..40).contains(&published), "{published}");
    assert_eq!(topic.stats().delivered, 0);
    // The one that waits is woken by the delivery, though a member has stalled.
    topic.publish("last").await;
    assert_eq!(texts(&far).await.len(), published + 1);
    assert_eq!(topic.stats().published, published as u64 + 1);
    // One that is longer than the queue goes when that is empty.
    topic.publish(vec![7; 100_000]).await;
    settle().await;
    assert_eq!(far.hears().iter().map(|heard| heard.payload.len()).sum::<usize>(), 100_000);
}

#[tokio::test(start_paused = true)]
async fn a_publish_that_is_dropped_while_it_waits_is_published_to_nobody() {
    let options = |_: &str| TopicOptions::default().max_queued_bytes(1000);
    let topics = Topics::builder().options(options).build();
    let topic = topic(&topics);
    let members = members(&topic, 3).await;
    let mut expected = Vec::new();
    for number in 0..100 {
        let text = format!("{number}");
        if topic.publish(text.clone()).now_or_never().is_some() {
            expected.push(text);
        } else {
            tokio::task::yield_now().await;
        }
    }
    assert!((20..90).contains(&expected.len()), "{}", expected.len());
    for (_, far) in &members {
        assert_eq!(texts(far).await, expected);
    }
    assert_eq!(topic.stats().published, expected.len() as u64);
}
