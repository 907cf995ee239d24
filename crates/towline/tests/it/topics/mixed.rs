//! Members whose connections send other bytes for the same messages, or take only some of them.

use std::io;
use std::num::NonZeroUsize;

use futures_util::FutureExt as _;
use towline::topics::{Topic, Topics};
use towline::{Config, Connection, Keepalive, Message, Opcode, Role};

use crate::topics::{MARK, member, topic};
use crate::wire::{Far, connect, settle};

fn config() -> Config {
    Config::server().keepalive(None::<Keepalive>).send_high_water_mark(MARK)
}

async fn member_with(topic: &Topic, role: Role, config: &Config) -> (Connection, Far) {
    let (connection, far) = connect(role, config);
    assert!(topic.join(&connection).await.unwrap());
    (connection, far)
}

/// The messages that a peer has heard, whatever their frames.
async fn heard(far: &Far) -> Vec<Message> {
    settle().await;
    let mut messages: Vec<(Opcode, Vec<u8>)> = Vec::new();
    for frame in far.hears() {
        match (frame.opcode(), messages.last_mut()) {
            (Opcode::Continuation, Some((_, payload))) => payload.extend(frame.payload),
            (opcode, _) => messages.push((opcode, frame.payload)),
        }
    }
    let message = |(opcode, payload)| match opcode {
        Opcode::Text => Message::text(String::from_utf8(payload).unwrap()),
        _ => Message::binary(payload),
    };
    messages.into_iter().map(message).collect()
}

/// Short messages, with a long one among them if `long` is more than 0.
fn messages(long: usize) -> Vec<Message> {
    let mut messages: Vec<_> = (0..10).map(|number| Message::text(format!("{number}"))).collect();
    messages[3] = Message::binary(vec![3; 50]);
    messages[6] = Message::binary(vec![6; long]);
    messages
}

#[tokio::test(start_paused = true)]
async fn each_member_gets_all_messages_in_order_in_the_frames_of_its_connection() {
    let topics = Topics::new();
    let topic = topic(&topics);
    let frames = |threshold| NonZeroUsize::new(threshold).unwrap();
    let config = config().send_high_water_mark(1 << 20);
    let fine = config.clone().fragmentation_threshold(frames(20));
    let members = [
        member_with(&topic, Role::Server, &config).await,
        member_with(&topic, Role::Server, &fine).await,
        member_with(&topic, Role::Client, &config).await,
        member_with(&topic, Role::Client, &fine).await,
    ];
    let mut published = 0;
    for long in [0, 60, 5000, 20_000] {
        let messages = messages(long);
        for message in &messages {
            topic.publish(message.clone()).await;
        }
        published += messages.len() as u64;
        for (connection, far) in &members {
            assert_eq!(heard(far).await, messages, "{long}");
            let sent = connection.stats().sent;
            assert_eq!(sent.messages, published);
        }
    }
    let [plain, fine, ..] = members.each_ref().map(|(connection, _)| connection.stats().sent);
    let payload_bytes = 4 * (8 + 50) + 60 + 5000 + 20_000;
    assert_eq!([plain.payload_bytes, fine.payload_bytes], [payload_bytes; 2]);
    // The longest is two frames.
    assert_eq!(plain.frames, published + 1);
    assert_eq!(plain.wire_bytes, payload_bytes + 2 * plain.frames + 3 * 2);
    assert_eq!(fine.frames, published + 4 * 2 + 2 + 249 + 999);
    assert_eq!(topic.stats().delivered, 4 * published);
}

#[tokio::test(start_paused = true)]
async fn an_author_and_a_late_member_get_their_part_of_a_burst() {
    let topics = Topics::new();
    let topic = topic(&topics);
    let (author, at_author) = member(&topic).await;
    let (_other, at_other) = member(&topic).await;
    topic.publish("one").await;
    topic.publish_except(&author, "two").await;
    let (late, at_late) = connect(Role::Server, &config());
    topic.join(&late).now_or_never().unwrap().unwrap();
    topic.publish("three").await;
    topic.publish_except(&late, "four").await;
    topic.publish("five").await;
    let texts = |texts: &[&str]| texts.iter().map(|text| Message::text(*text)).collect::<Vec<_>>();
    assert_eq!(heard(&at_other).await, texts(&["one", "two", "three", "four", "five"]));
    assert_eq!(heard(&at_author).await, texts(&["one", "three", "four", "five"]));
    assert_eq!(heard(&at_late).await, texts(&["three", "five"]));
    for far in [&at_author, &at_other, &at_late] {
        assert_eq!(far.writes().len(), 1);
    }
    assert_eq!(topic.stats().delivered, 5 + 4 + 2);
}

#[tokio::test(start_paused = true)]
async fn a_burst_that_is_written_in_part_goes_on_where_the_transport_had_stopped() {
    for taken in 0..100 {
        let topics = Topics::new();
        let topic = topic(&topics);
        let (connection, far) = member(&topic).await;
        far.stalls();
        far.takes(taken);
        let (other, at_other) = member(&topic).await;
        let messages = messages(0);
        for _ in 0..2 {
            for message in &messages {
                topic.publish(message.clone()).await;
            }
            assert_eq!(heard(&at_other).await, messages);
        }
        assert_eq!(connection.stats().sent.wire_bytes, taken as u64);
        let mut got = heard(&far).await;
        far.flows();
        got.extend(heard(&far).await);
        assert_eq!(got, [&messages[..], &messages].concat(), "{taken}");
        let [all, other] = [&connection, &other].map(|member| member.stats().sent);
        assert_eq!(all, other);
    }
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_burst_that_were_not_written_can_be_taken() {
    let topics = Topics::new();
    let topic = topic(&topics);
    let (connection, far) = member_with(&topic, Role::Server, &config().keep_unsent(true)).await;
    far.stalls();
    // All of the first, and the first byte of the second.
    far.takes(2 + 3 + 1);
    for text in ["one", "two", "three", "four"] {
        topic.publish(text).await;
    }
    settle().await;
    far.fails_writes(io::ErrorKind::ConnectionReset);
    far.fails(io::ErrorKind::ConnectionReset);
    settle().await;
    assert_eq!(connection.take_unsent(), [Message::text("three"), Message::text("four")]);
}

#[tokio::test(start_paused = true)]
async fn a_flush_waits_for_a_burst_that_the_transport_holds_back() {
    let topics = Topics::new();
    let topic = topic(&topics);
    let (connection, far) = member(&topic).await;
    far.holds_back();
    topic.publish("one").await;
    settle().await;
    assert_eq!(far.hears().len(), 1);
    let mut flush = Box::pin(connection.flushed());
    assert!(flush.as_mut().now_or_never().is_none());
    topic.publish("two").await;
    settle().await;
    assert!(flush.as_mut().now_or_never().is_none());
    far.lets_through();
    settle().await;
    assert!(flush.now_or_never().is_some());
    assert_eq!(heard(&far).await, [Message::text("two")]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_or_panics_in_a_burst_is_no_matter_to_other_members() {
    let topics = Topics::new();
    let topic = topic(&topics);
    let (_failing, at_failing) = member(&topic).await;
    let (_panicking, at_panicking) = member(&topic).await;
    let (_other, at_other) = member(&topic).await;
    at_failing.fails_writes(io::ErrorKind::BrokenPipe);
    at_panicking.panics();
    for message in messages(0) {
        topic.publish(message).await;
    }
    assert_eq!(heard(&at_other).await, messages(0));
    assert_eq!(topic.len(), 1);
}
