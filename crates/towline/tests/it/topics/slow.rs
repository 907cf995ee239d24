//! Members that are slow.

use std::num::NonZeroUsize;

use futures_util::FutureExt as _;
use towline::topics::{Topic, TopicOptions, Topics};
use towline::{CloseCause, CloseCode, Connection, Message, Opcode, WhenFull};

use crate::topics::{MARK, connection, member, texts, topic};
use crate::wire::{Far, settle};

fn topics(slow: WhenFull, tells: bool) -> Topics {
    let options = move |_: &str| {
        let options = TopicOptions::default().when_full(slow);
        match tells {
            true => options.notice(|skipped| Message::text(format!("-{skipped}"))),
            false => options,
        }
    };
    Topics::builder().options(options).build()
}

fn newest(count: usize) -> WhenFull {
    WhenFull::KeepNewest(NonZeroUsize::new(count).unwrap())
}

/// A member whose queue is full.
async fn stalled(topic: &Topic) -> (Connection, Far) {
    let (connection, far) = member(topic).await;
    far.stalls_behind(&connection.sender()).await;
    connection.send(vec![0; 5 * MARK]).await.unwrap();
    (connection, far)
}

/// Lets it take everything, and returns what it then hears of the topic.
async fn flows(far: &Far) -> Vec<String> {
    far.flows();
    settle().await;
    let heard = far.hears();
    let texts = heard.iter().filter(|heard| heard.opcode() == Opcode::Text);
    texts.map(|heard| heard.text().to_owned()).collect()
}

async fn publish(topic: &Topic, numbers: std::ops::Range<usize>) {
    for number in numbers {
        topic.publish(format!("{number}")).await;
        settle().await;
    }
}

fn strings(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_slow_member_is_skipped_and_told_how_much() {
    for tells in [false, true] {
        let topics = topics(WhenFull::Skip, tells);
        let topic = topic(&topics);
        let (slow, at_slow) = stalled(&topic).await;
        let (other, at_other) = member(&topic).await;
        publish(&topic, 0..10).await;
        assert_eq!(texts(&at_other).await, strings(0..10));
        assert!(flows(&at_slow).await.is_empty());
        assert_eq!((topic.skipped(&slow), topic.skipped(&other)), (10, 0));
        assert_eq!((topic.stats().delivered, topic.stats().skipped), (10, 10));
        publish(&topic, 10..12).await;
        let expected = if tells { vec!["-10", "10", "11"] } else { vec!["10", "11"] };
        assert_eq!(texts(&at_slow).await, expected);
        // Counted since it was last told.
        at_slow.stalls();
        slow.send(vec![0; 5 * MARK]).await.unwrap();
        publish(&topic, 12..15).await;
        assert_eq!(topic.skipped(&slow), 13);
        flows(&at_slow).await;
        publish(&topic, 15..16).await;
        let expected = if tells { vec!["-3", "15"] } else { vec!["15"] };
        assert_eq!(texts(&at_slow).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_member_gets_the_newest_when_it_has_room() {
    for (count, tells) in [(1, false), (1, true), (4, false), (4, true), (20, true)] {
        let topics = topics(newest(count), tells);
        let topic = topic(&topics);
        let (slow, at_slow) = stalled(&topic).await;
        let (_other, at_other) = member(&topic).await;
        publish(&topic, 0..10).await;
        assert_eq!(texts(&at_other).await, strings(0..10));
        let kept = count.min(10);
        assert_eq!(topic.skipped(&slow), 10 - kept as u64);
        let mut expected = strings(10 - kept..10);
        if tells && kept < 10 {
            expected.insert(0, format!("-{}", 10 - kept));
        }
        assert_eq!(flows(&at_slow).await, expected, "{count}");
        let stats = topic.stats();
        assert_eq!(stats.delivered + stats.skipped, 20);
        publish(&topic, 10..13).await;
        assert_eq!(texts(&at_slow).await, strings(10..13));
    }
}

/// However much is published to each of them.
#[tokio::test(start_paused = true)]
async fn a_slow_member_of_many_topics_gets_messages_of_each() {
    let topics = topics(newest(1), false);
    let rooms = ["a", "b", "c", "d"].map(|name| topics.topic(name).unwrap());
    let (connection, far) = connection();
    for room in &rooms {
        room.join(&connection).await.unwrap();
    }
    far.stalls();
    connection.send(vec![0; MARK]).await.unwrap();
    let mut texts = [0; 4];
    for _ in 0..40 {
        for room in &rooms {
            room.publish(room.name().repeat(MARK)).await;
        }
        settle().await;
        // The queue has room for one of them then.
        far.takes(MARK);
        settle().await;
        for heard in far.hears().iter().filter(|heard| heard.opcode() == Opcode::Text) {
            texts[usize::from(heard.payload[0] - b'a')] += 1;
        }
    }
    assert!(texts.iter().all(|count| *count >= 8), "{texts:?}");
}

/// A burst, of which the queue has room for a part.
#[tokio::test(start_paused = true)]
async fn a_burst_that_has_no_room_is_kept_or_skipped_in_part() {
    for (slow, kept) in [(WhenFull::Skip, 0), (newest(3), 3)] {
        let topics = topics(slow, true);
        let topic = topic(&topics);
        let (connection, far) = member(&topic).await;
        far.stalls();
        let text = |number: usize| format!("{number:0100}");
        for number in 0..50 {
            topic.publish(text(number)).await;
        }
        settle().await;
        let skipped = usize::try_from(topic.skipped(&connection)).unwrap();
        assert!((20..45).contains(&skipped), "{skipped}");
        let queued = 50 - kept - skipped;
        let mut expected: Vec<_> = (0..queued).map(text).collect();
        if kept > 0 {
            expected.push(format!("-{skipped}"));
            expected.extend((50 - kept..50).map(text));
        }
        assert_eq!(flows(&far).await, expected);
        topic.publish("next").await;
        let next =
            if kept > 0 { vec!["next".into()] } else { vec![format!("-{skipped}"), "next".into()] };
        assert_eq!(texts(&far).await, next);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_member_is_closed_where_that_is_asked_for() {
    let topics = topics(WhenFull::Close, false);
    let topic = topic(&topics);
    let (mut slow, at_slow) = stalled(&topic).await;
    let (_other, at_other) = member(&topic).await;
    publish(&topic, 0..3).await;
    assert_eq!(texts(&at_other).await, strings(0..3));
    assert_eq!((topic.len(), topic.stats().skipped), (1, 1));
    assert_eq!(slow.wait_closed().await.cause(), CloseCause::Aborted);
    let sent = slow.closed().unwrap().sent().map(towline::CloseFrame::code);
    assert_eq!(sent, Some(CloseCode::TRY_AGAIN_LATER));
    drop(at_slow);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_dropped_when_the_member_leaves() {
    let topics = topics(newest(5), true);
    let (one, two) = (topics.topic("one").unwrap(), topics.topic("two").unwrap());
    let (slow, at_slow) = stalled(&one).await;
    two.join(&slow).await.unwrap();
    publish(&one, 0..3).await;
    publish(&two, 10..20).await;
    one.leave(&slow);
    assert_eq!(flows(&at_slow).await, ["-5", "15", "16", "17", "18", "19"]);
    assert_eq!(one.skipped(&slow), 0);
}

/// A notice that panics is not sent, and nothing else is lost.
#[tokio::test(start_paused = true)]
async fn a_notice_that_panics_harms_nobody() {
    let options = |_: &str| TopicOptions::default().when_full(newest(2)).notice(|_| panic!("mine"));
    let topics = Topics::builder().options(options).build();
    let topic = topic(&topics);
    let (_slow, at_slow) = stalled(&topic).await;
    let (_other, at_other) = member(&topic).await;
    publish(&topic, 0..5).await;
    assert_eq!(texts(&at_other).await, strings(0..5));
    assert_eq!(flows(&at_slow).await, strings(3..5));
}

/// A topic with more messages than the peer takes leaves room for what is sent otherwise.
#[tokio::test(start_paused = true)]
async fn what_is_kept_gives_way_to_a_sender_that_waits() {
    let topics = topics(newest(50), false);
    let topic = topic(&topics);
    let (slow, at_slow) = stalled(&topic).await;
    let sender = slow.sender();
    let sending = tokio::spawn(async move { sender.send("an answer").await.unwrap() });
    let (mut rounds, mut published) = (0, 0);
    while !sending.is_finished() {
        for _ in 0..50 {
            topic.publish(format!("{published:0100}")).await;
            published += 1;
        }
        at_slow.takes(200);
        settle().await;
        rounds += 1;
        assert!(rounds < 100, "it has waited too long");
    }
    // And the newest come after all.
    let heard = flows(&at_slow).await;
    assert!(heard.contains(&"an answer".to_owned()));
    assert_eq!(heard.last().unwrap(), &format!("{:0100}", published - 1));
}

/// A sender that waits has the room that it was woken for.
#[tokio::test(start_paused = true)]
async fn a_message_of_a_topic_does_not_go_before_a_sender_that_waits() {
    for slow in [newest(1), WhenFull::Skip] {
        let topics = topics(slow, false);
        let topic = topic(&topics);
        let (slow, at_slow) = stalled(&topic).await;
        let sending = tokio::spawn(async move {
            slow.send("first in line").await.unwrap();
            slow
        });
        settle().await;
        assert!(!sending.is_finished());
        at_slow.flows();
        topic.publish("news").await;
        let slow = sending.await.unwrap();
        let skipped = topic.skipped(&slow);
        let expected =
            if skipped == 0 { vec!["first in line", "news"] } else { vec!["first in line"] };
        assert_eq!(flows(&at_slow).await, expected);
        publish(&topic, 0..1).await;
        assert_eq!(texts(&at_slow).await, ["0"]);
    }
}

/// A sender that waits, and never comes for its room, keeps nothing back.
#[tokio::test(start_paused = true)]
async fn what_is_kept_does_not_wait_for_a_sender_that_does_not_come() {
    let topics = topics(newest(5), false);
    let topic = topic(&topics);
    let (slow, at_slow) = stalled(&topic).await;
    let mut sends = Box::pin(slow.send("never polled again"));
    assert!(sends.as_mut().now_or_never().is_none());
    publish(&topic, 0..7).await;
    assert_eq!(flows(&at_slow).await, strings(2..7));
    sends.await.unwrap();
    assert_eq!(texts(&at_slow).await, ["never polled again"]);
}

/// A stream that panics takes down its own connection.
#[tokio::test(start_paused = true)]
async fn a_stream_that_panics_harms_no_other_member() {
    let topics = topics(WhenFull::Skip, false);
    let topic = topic(&topics);
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(member(&topic).await);
    }
    all[1].1.panics();
    publish(&topic, 0..3).await;
    for (number, (connection, far)) in all.iter().enumerate() {
        let expected = if number == 1 { 0..0 } else { 0..3 };
        assert_eq!(texts(far).await, strings(expected));
        assert_eq!(topic.contains(connection), number != 1);
    }
    assert_eq!(topic.len(), 2);
}
