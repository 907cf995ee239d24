//! The parts of relays: what waits on this side of a broker.

use std::sync::Arc;

use towline::relaying::{Inbox, Losses};
use towline::topics::{Incoming, TopicOptions, Topics, TopicsEvent};
use towline::{Compress, Config, Connection, Message, Role};
use towline_kit::relay::Way;

use crate::wire::{Far, connect, settle};

/// Topics that have room for one message each, and the way in.
fn topics() -> (Topics, Incoming) {
    let way = Way::default();
    let topics = Topics::builder()
        .options(|_| TopicOptions::default().max_queued_bytes(0))
        .relay(way.clone())
        .build();
    let incoming = way.incoming().clone();
    (topics, incoming)
}

async fn member(topics: &Topics, topic: &str) -> (Connection, Far) {
    let config = Config::server().send_high_water_mark(1 << 20);
    let (connection, far) = connect(Role::Server, &config);
    topics.topic(topic).unwrap().join(&connection).await.unwrap();
    (connection, far)
}

async fn texts(far: &Far) -> Vec<String> {
    settle().await;
    far.hears().iter().map(|heard| heard.text().to_owned()).collect()
}

fn push(inbox: &Inbox, topic: &Arc<str>, number: u32) {
    inbox.push(topic, Message::text(number.to_string()), Compress::Auto);
}

fn numbers(numbers: impl Iterator<Item = u32>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_topic_that_is_behind_stay_in_order() {
    let (topics, incoming) = topics();
    let losses = Arc::new(Losses::new());
    let inbox = Inbox::new(incoming, losses.clone(), 1 << 20);
    let (_one, far_one) = member(&topics, "one").await;
    let (_two, far_two) = member(&topics, "two").await;
    let (one, two): (Arc<str>, Arc<str>) = ("one".into(), "two".into());
    for number in 0..100 {
        push(&inbox, &one, number);
        push(&inbox, &two, 1000 + number);
    }
    assert_eq!(texts(&far_one).await, numbers(0..100));
    assert_eq!(texts(&far_two).await, numbers(1000..1100));
    // Once it has caught up, it starts anew.
    for number in 100..150 {
        push(&inbox, &one, number);
    }
    assert_eq!(texts(&far_one).await, numbers(100..150));
    // Those that had to wait count once, too.
    assert_eq!((topics.get("one").unwrap().stats().relayed, topics.stats().relayed), (150, 250));
    assert_eq!(losses.total(), 0);
}

#[tokio::test(start_paused = true)]
async fn messages_without_room_are_counted_as_lost() {
    let (topics, incoming) = topics();
    let mut events = topics.events();
    let losses = Arc::new(Losses::new());
    // Room for ten short messages, beside the one that is delivered at once.
    let inbox = Inbox::new(incoming.clone(), losses.clone(), 10 * 66);
    let (_member, far) = member(&topics, "one").await;
    let topic: Arc<str> = "one".into();
    for number in 10..40 {
        push(&inbox, &topic, number);
    }
    assert_eq!(texts(&far).await, numbers(10..21));
    assert_eq!(losses.total(), 19);
    losses.report_now(&incoming);
    assert_eq!(events.next().await, Some(TopicsEvent::MessagesLost { messages: 19 }));
    // There is room again.
    push(&inbox, &topic, 50);
    assert_eq!(texts(&far).await, ["50"]);
}

#[tokio::test(start_paused = true)]
async fn losses_are_reported_together() {
    let (topics, incoming) = topics();
    let mut events = topics.events();
    let losses = Arc::new(Losses::new());
    let reporting = tokio::spawn({
        let losses = losses.clone();
        async move { losses.report(&incoming).await }
    });
    losses.add(0);
    losses.add(1);
    assert_eq!(events.next().await, Some(TopicsEvent::MessagesLost { messages: 1 }));
    for _ in 0..1000 {
        losses.add(2);
    }
    assert_eq!(events.next().await, Some(TopicsEvent::MessagesLost { messages: 2000 }));
    assert_eq!(losses.total(), 2001);
    reporting.abort();
}
