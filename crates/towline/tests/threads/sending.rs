//! Nothing lost, nothing stuck, nothing out of order, and no message in another.

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use towline::{CloseCode, Config, ErrorKind, Frame, Opcode, Receiver, Sender};
use towline_kit::frame;

use crate::model::{any, check, join, passes, poll_times, spawn};
use crate::wire::{Far, connect, messages};

/// Messages of more than some bytes go out in fragments.
fn config() -> Config {
    let threshold = NonZeroUsize::new(12).unwrap();
    Config::server()
        .keepalive(None)
        .send_timeout(None)
        .fragment_outgoing_messages(true)
        .fragmentation_threshold(threshold)
}

/// A message that says whose it is and which, and is longer or shorter.
pub(crate) fn message(sender: usize, index: usize) -> String {
    format!("{sender}:{index}:{}", "-".repeat((sender + index) % 3 * 9))
}

/// That these messages are all of those that each sender has sent, each in its order.
#[track_caller]
pub(crate) fn assert_in_order(heard: &[String], sent: &[usize]) {
    for (sender, count) in sent.iter().enumerate() {
        let theirs = heard.iter().filter(|message| message.starts_with(&format!("{sender}:")));
        let expected: Vec<_> = (0..*count).map(|index| message(sender, index)).collect();
        assert_eq!(theirs.collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    }
    assert_eq!(heard.len(), sent.iter().sum::<usize>());
}

async fn send(sender: &Sender, message: String, how: usize) {
    match how % 4 {
        0 => sender.send(message).await.unwrap(),
        1 => {
            if let Err(error) = sender.try_send(message) {
                assert_eq!(error.kind(), ErrorKind::QueueFull);
                sender.send(error.into_message().unwrap()).await.unwrap();
            }
        }
        2 => {
            sender.ping("?").await.unwrap();
            sender.send_frame(Frame::text(message)).await.unwrap();
        }
        _ => {
            let (first, second) = message.split_at(2);
            sender.send_frame(Frame::text(first.to_owned()).fin(false)).await.unwrap();
            sender.send_frame(Frame::continuation(second.to_owned())).await.unwrap();
        }
    }
}

/// Sends what it receives, in the name of the last of senders.
async fn echo(sender: Sender, mut receiver: Receiver) {
    while let Some(message) = receiver.recv().await.unwrap() {
        sender.send(message).await.unwrap();
    }
}

/// Says messages, some of them together, and pings, over an arbitrary time.
async fn talks(far: Far, sender: usize, count: usize) {
    let mut index = 0;
    while index < count {
        let together = (1 + any(2)).min(count - index);
        let frames = (index..index + together).map(|index| frame().text(message(sender, index)));
        far.says(frames.chain((any(2) == 0).then(|| frame().ping("!"))));
        index += together;
        passes(Duration::from_micros(any(100) as u64));
        shuttle::future::yield_now().await;
    }
}

async fn many_senders(config: Config) {
    let (connection, far) = connect(&config);
    let (sender, receiver) = connection.split();
    let mut tasks = vec![spawn(talks(far.clone(), 2, 3))];
    for own in 0..2 {
        let sender = sender.clone();
        tasks.push(spawn(async move {
            for index in 0..3 {
                send(&sender, message(own, index), any(4)).await;
            }
        }));
    }
    tasks.push(spawn(echo(sender, receiver)));
    assert_in_order(&far.hears_messages(9).await, &[3, 3, 3]);
    far.leaves().await;
    join(tasks).await;
}

#[test]
fn many_senders_and_an_echo_lose_nothing_and_keep_their_order() {
    check(|| many_senders(config()));
}

#[test]
fn many_senders_and_an_echo_lose_nothing_where_there_is_little_room() {
    check(|| many_senders(config().send_high_water_mark(20)));
}

/// Whoever sends, and never does anything again.
#[test]
fn what_was_sent_leaves_with_nobodys_help() {
    check(|| async {
        let (connection, far) = connect(&config());
        let (sender, receiver) = connection.split();
        let tasks = [0, 1].map(|own| {
            let sender = sender.clone();
            spawn(async move {
                for index in 0..2 {
                    sender.try_send(message(own, index)).unwrap();
                }
                sender
            })
        });
        assert_in_order(&far.hears_messages(4).await, &[2, 2]);
        drop((join(tasks).await, sender, receiver));
        far.leaves().await;
    });
}

#[test]
fn messages_made_of_frames_stand_in_no_other() {
    check(|| async {
        let (connection, far) = connect(&config().send_high_water_mark(30));
        let (sender, receiver) = connection.split();
        let tasks = [3, 3, 0].into_iter().enumerate().map(|(own, how)| {
            let sender = sender.clone();
            spawn(async move {
                for index in 0..2 {
                    send(&sender, message(own, index), how).await;
                }
            })
        });
        let tasks: Vec<_> = tasks.collect();
        assert_in_order(&far.hears_messages(6).await, &[2, 2, 2]);
        join(tasks).await;
        drop((sender, receiver));
        far.leaves().await;
    });
}

#[test]
fn a_message_of_frames_that_is_left_unfinished_ends_the_connection() {
    check(|| async {
        let (connection, far) = connect(&config().send_high_water_mark(30));
        let (sender, mut receiver) = connection.split();
        let others = sender.clone();
        let others = spawn(async move {
            for _ in 0..9 {
                let _ = others.send("something").await;
            }
        });
        let frames = sender.clone();
        let receiving = spawn(async move { while let Ok(Some(_)) = receiver.recv().await {} });
        let begun = spawn(async move {
            frames.send_frame(Frame::text("unfi").fin(false)).await.unwrap();
        });
        let heard = far.hears_until(|heard| heard.iter().any(|it| it.opcode() == Opcode::Close));
        assert_eq!(heard.await.last().unwrap().close().code(), CloseCode::INTERNAL_ERROR);
        far.says([frame().close(1011, "")]);
        join([others, begun, receiving]).await;
        drop(sender);
        far.leaves().await;
    });
}

/// Once what was sent before has been written, the transport takes nothing more.
#[test]
fn flushed_waits_for_nothing_that_others_send() {
    check(|| async {
        let (connection, far) = connect(&config().send_high_water_mark(40));
        let (sender, receiver) = connection.split();
        // How many messages have been begun; and how many had been when the mark was set.
        let begun = Arc::new(AtomicUsize::new(0));
        let before = Arc::new(AtomicUsize::new(usize::MAX));
        let mut tasks = Vec::new();
        for own in 1..3 {
            let (sender, begun) = (sender.clone(), begun.clone());
            tasks.push(spawn(async move {
                for index in 0..6 {
                    begun.fetch_add(1, Relaxed);
                    sender.send(message(own, index)).await.unwrap();
                }
            }));
        }
        let (peer, own, marked) = (far.clone(), sender.clone(), before.clone());
        tasks.push(spawn(async move {
            begun.fetch_add(1, Relaxed);
            own.send(message(0, 0)).await.unwrap();
            let mut flushed = pin!(own.flushed());
            if poll_times(flushed.as_mut(), 1, false).await.is_none() {
                marked.store(begun.load(Relaxed), Relaxed);
                peer.looks_again();
                flushed.await;
            }
            marked.store(0, Relaxed);
            assert!(messages(&peer.heard()).contains(&message(0, 0)));
            peer.flows();
            peer.looks_again();
        }));
        far.hears_until(|heard| messages(heard).len() >= before.load(Relaxed)).await;
        join(tasks).await;
        drop((sender, receiver));
        far.leaves().await;
    });
}
