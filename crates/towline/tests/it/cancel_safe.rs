//! Promise 2: any future of the API can be dropped at any await without losing, duplicating,
//! reordering or corrupting anything.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use proptest::prelude::*;
use towline::{CloseCode, Config, Connection, Event, Frame, Keepalive, Message, Receiver, Sender};

use crate::choppy::{Schedule, choppy_pair};

/// What `future` comes to if that takes no more than so many polls. Then it is dropped.
async fn within_polls<F: Future>(polls: u8, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls.max(1);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => {
            left -= 1;
            if left == 0 { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}

/// More than a large message takes that comes byte by byte.
const ATTEMPTS: usize = 50_000;

/// Does it over and over until one attempt is not dropped before its end.
async fn insist<T>(polls: &[u8], mut attempt: impl AsyncFnMut() -> T) -> T {
    for polls in polls.iter().cycle().take(ATTEMPTS) {
        if let Some(done) = within_polls(*polls, attempt()).await {
            return done;
        }
        tokio::task::yield_now().await;
    }
    panic!("nothing moves any more")
}

fn message(index: usize, size: usize) -> Message {
    if index.is_multiple_of(3) {
        Message::text(format!("{index}:").repeat(size / 4))
    } else {
        let first = u8::try_from(index).unwrap();
        Message::binary([&[first][..], &vec![first ^ 0x55; size]].concat())
    }
}

async fn send_all(sender: Sender, messages: Vec<Message>, polls: Vec<u8>) {
    for (index, message) in messages.into_iter().enumerate() {
        match index % 4 {
            3 => {
                // The same as frames made by hand.
                let bytes = message.clone().into_bytes();
                let (first, rest) = bytes.split_at(bytes.len() / 2);
                let (first, rest) = (first.to_vec(), rest.to_vec());
                let start =
                    if message.is_text() { Frame::text(first) } else { Frame::binary(first) };
                let start = start.fin(false);
                insist(&polls, async || sender.send_frame(start.clone()).await).await.unwrap();
                let end = Frame::continuation(rest);
                insist(&polls, async || sender.send_frame(end.clone()).await).await.unwrap();
            }
            _ => insist(&polls, async || sender.send(message.clone()).await).await.unwrap(),
        }
        within_polls(polls[index % polls.len()], sender.flushed()).await;
        insist(&polls, async || sender.ping(index.to_string()).await).await.unwrap();
        within_polls(1, sender.wait_closed()).await;
    }
}

async fn receive_all(mut receiver: Receiver, count: usize, polls: Vec<u8>) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut answered = 0;
    while messages.len() < count || answered < count {
        match insist(&polls, async || receiver.next_event().await).await.unwrap() {
            Some(Event::Message(message)) => messages.push(message),
            Some(Event::Pong(payload)) => {
                assert_eq!(payload, answered.to_string());
                answered += 1;
            }
            Some(_) => {}
            None => panic!("the end after {} messages", messages.len()),
        }
    }
    messages
}

/// Both ends send, receive, ping, flush and wait, with every future dropped again and again; then
/// one closes, likewise.
async fn converse(schedule: &[u16], sizes: &[usize], polls: &[u8], pipe: usize, mark: usize) {
    let config = Config::client()
        .keepalive(None::<Keepalive>)
        .send_high_water_mark(mark)
        .max_received_control_rate(None);
    let (server, client) = choppy_pair(&config, pipe, schedule);
    let messages: Vec<_> =
        sizes.iter().enumerate().map(|(index, size)| message(index, *size)).collect();
    let end = |connection: Connection| {
        let (sender, receiver) = connection.split();
        let sending =
            tokio::task::spawn_local(send_all(sender.clone(), messages.clone(), polls.to_vec()));
        let receiving = receive_all(receiver, messages.len(), polls.to_vec());
        (sender, sending, tokio::task::spawn_local(receiving))
    };
    let (server, server_sending, server_receiving) = end(server);
    let (client, client_sending, client_receiving) = end(client);
    server_sending.await.unwrap();
    client_sending.await.unwrap();
    assert_eq!(server_receiving.await.unwrap(), messages);
    assert_eq!(client_receiving.await.unwrap(), messages);
    let closed = insist(polls, async || client.close(CloseCode::new(4321), "over").await).await;
    assert!(closed.unwrap().is_clean());
    assert!(insist(polls, async || server.wait_closed().await).await.is_clean());
}

fn run(future: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let tasks = tokio::task::LocalSet::new();
    let runtime = builder.enable_all().start_paused(true).build().unwrap();
    // Virtual time: it passes where all tasks wait for something that does not come.
    let future = async { tokio::time::timeout(Duration::from_secs(1000), future).await };
    runtime.block_on(tasks.run_until(future)).expect("something moves");
}

fn schedule() -> impl Strategy<Value = Schedule> {
    prop::collection::vec(prop_oneof![Just(0), 1u16..8, 8u16..5000, Just(u16::MAX)], 2..24)
        .prop_filter("something is to move", |schedule| schedule.iter().any(|step| *step >= 8))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        // A case that fails takes its time.
        max_shrink_iters: 8,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_is_lost_doubled_or_torn_wherever_futures_are_dropped(
        schedule in schedule(),
        sizes in prop::collection::vec(prop_oneof![0usize..20, 100usize..300, 10_000usize..40_000], 1..9),
        polls in prop::collection::vec(1u8..5, 1..6),
        pipe in prop_oneof![16usize..200, Just(8192usize)],
        mark in prop_oneof![Just(0usize), 1usize..1000, Just(256usize << 10)],
    ) {
        run(converse(&schedule, &sizes, &polls, pipe, mark));
    }
}

#[test]
fn a_future_dropped_after_each_number_of_polls_loses_nothing() {
    for polls in 1..=12 {
        run(converse(&[0, 3, 0, 0, 700, 1], &[5, 0, 30_000, 2000, 7], &[polls], 64, 100));
    }
}

/// As it reads and writes a byte at a time, each future is pending at every byte.
#[test]
fn a_stream_and_a_sink_lose_nothing_when_their_futures_are_dropped() {
    run(async {
        let config = Config::client().send_high_water_mark(0);
        let (mut server, mut client) = choppy_pair(&config, 16, &[0, 1]);
        let messages: Vec<_> = (0..20).map(|index| message(index, index * 3)).collect();
        let expected = messages.clone();
        let receiving = tokio::task::spawn_local(async move {
            let mut received = Vec::new();
            for polls in (1..7).cycle() {
                match within_polls(polls, server.next()).await {
                    Some(Some(message)) => received.push(message.unwrap()),
                    Some(None) => break,
                    None => tokio::task::yield_now().await,
                }
            }
            received
        });
        for message in messages {
            insist(&[1, 2, 5], async || {
                poll_fn(|cx| client.poll_ready_unpin(cx)).await.unwrap();
            })
            .await;
            client.start_send_unpin(message).unwrap();
            within_polls(2, client.flush()).await;
        }
        insist(&[1, 3], async || futures_util::SinkExt::close(&mut client).await).await.unwrap();
        assert_eq!(receiving.await.unwrap(), expected);
        assert!(client.next().await.is_none());
        assert!(client.closed().unwrap().is_clean());
    });
}

/// A message whose sending was dropped while it waited for room is not sent, and one that was
/// queued is, whole.
#[tokio::test(start_paused = true)]
async fn a_message_is_queued_whole_or_not_at_all() {
    let config = Config::server().send_high_water_mark(1);
    let (connection, far) = crate::wire::connect(towline::Role::Server, &config);
    far.stalls_behind(&connection.sender()).await;
    connection.send("first").await.unwrap();
    assert!(within_polls(1, connection.send("second")).await.is_none());
    assert!(within_polls(1, connection.ping("second")).await.is_none());
    assert!(within_polls(1, connection.send_frame(Frame::text("second"))).await.is_none());
    far.flows();
    connection.send("third").await.unwrap();
    connection.flushed().await;
    let heard = far.hears();
    assert_eq!(heard.iter().map(|heard| heard.text()).collect::<Vec<_>>(), ["first", "third"]);
}

/// Once polled, it has begun, and nobody has to stay for the end.
#[tokio::test(start_paused = true)]
async fn a_close_whose_future_is_dropped_goes_on() {
    let config = Config::client();
    let (mut server, mut client) = choppy_pair(&config, 8, &[0, 1]);
    assert!(within_polls(1, client.close(CloseCode::NORMAL, "bye")).await.is_none());
    assert!(!client.is_open());
    assert_eq!(server.recv().await.unwrap(), None);
    assert_eq!(client.recv().await.unwrap(), None);
    assert!(client.sender().wait_closed().await.is_clean());
}
