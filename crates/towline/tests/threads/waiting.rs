//! Who waits for room, and does not come when it is there, holds nobody up.

use std::pin::{Pin, pin};

use futures_util::Sink as _;
use towline::{Config, Frame, Message, Opcode, Result, Sender};

use crate::model::{any, check, join, poll_times, spawn};
use crate::sending::message;
use crate::wire::{connect, messages};

fn config() -> Config {
    Config::server().keepalive(None).send_timeout(None).send_high_water_mark(20)
}

/// What one who waits does in the end.
#[derive(Clone, Copy)]
enum Fate {
    /// Waits until it is sent.
    Sends,
    /// Loses interest at some point, and is dropped.
    Dropped,
    /// Loses interest at some point, and is kept.
    Kept,
}

/// Sends a message, or not. Returns whether it was sent, and what is kept.
async fn send(
    sender: Sender,
    message: String,
    fate: Fate,
) -> (bool, Option<Pin<Box<dyn Future<Output = Result<()>> + Send>>>) {
    let mut sending: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(async move {
        let sent = sender.send(message).await;
        drop(sender);
        sent
    });
    if let Fate::Sends = fate {
        sending.await.unwrap();
        return (true, None);
    }
    let sent = poll_times(pin!(&mut sending), 1 + any(3), any(2) == 0).await;
    (sent.is_some(), matches!(fate, Fate::Kept).then_some(sending))
}

#[test]
fn senders_that_lose_interest_hold_nobody_up() {
    check(|| async {
        let (connection, far) = connect(&config());
        let (sender, receiver) = connection.split();
        let fates = [Fate::Sends, Fate::Dropped, Fate::Kept, Fate::Sends];
        let tasks = fates.into_iter().enumerate().map(|(own, fate)| {
            let sender = sender.clone();
            spawn(async move {
                let (mut sent, mut kept) = (Vec::new(), Vec::new());
                for index in 0..3 {
                    let message = message(own, index);
                    let (was_sent, rest) = send(sender.clone(), message.clone(), fate).await;
                    sent.extend(was_sent.then_some(message));
                    kept.extend(rest);
                }
                (sent, kept)
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let hearing = far.clone();
        let hearing = spawn(async move {
            hearing.hears_until(|heard| heard.iter().any(|it| it.opcode() == Opcode::Close)).await
        });
        let (sent, kept): (Vec<_>, Vec<_>) = join(tasks).await.into_iter().unzip();
        drop((kept, sender, receiver));
        let mut heard = messages(&hearing.await.unwrap());
        let mut sent = sent.concat();
        sent.sort();
        heard.sort();
        assert_eq!(heard, sent);
        far.leaves().await;
    });
}

/// A `Sink` that is ready, and is left alone then; and a message made of frames, behind others that
/// wait.
#[test]
fn a_sink_that_loses_interest_holds_nobody_up() {
    check(|| async {
        let (connection, far) = connect(&config());
        let (sender, receiver) = connection.split();
        let mut sinks = Vec::new();
        for own in 0..2 {
            let mut sink = sender.clone();
            sinks.push(spawn(async move {
                let ready = std::future::poll_fn(|cx| Pin::new(&mut sink).poll_ready(cx));
                let ready = poll_times(pin!(ready), 1 + any(2), any(2) == 0).await;
                if ready.is_some() && any(2) == 0 {
                    let message = Message::from(message(own, 0));
                    Pin::new(&mut sink).start_send(message).unwrap();
                }
                sink
            }));
        }
        let senders = [2, 3].map(|own| {
            let sender = sender.clone();
            spawn(async move {
                for index in 0..3 {
                    sender.send(message(own, index)).await.unwrap();
                }
            })
        });
        let frames = sender.clone();
        let frames = spawn(async move {
            frames.send_frame(Frame::text("4:").fin(false)).await.unwrap();
            frames.send_frame(Frame::continuation("0:").fin(false)).await.unwrap();
            frames.send_frame(Frame::continuation("")).await.unwrap();
        });
        far.hears_until(|heard| {
            messages(heard).iter().filter(|message| !message.starts_with(['0', '1'])).count() == 7
        })
        .await;
        join(senders.into_iter().chain([frames])).await;
        drop((join(sinks).await, sender, receiver));
        far.leaves().await;
    });
}

/// Everybody waits, and the connection ends.
#[test]
fn who_waits_hears_of_the_end() {
    check(|| async {
        let (connection, far) = connect(&config());
        let (sender, mut receiver) = connection.split();
        let senders = [0, 1, 2].map(|own| {
            let sender = sender.clone();
            spawn(async move {
                for index in 0..3 {
                    let sent = match any(3) {
                        0 => sender.send_frame(Frame::text(message(own, index))).await,
                        1 => sender.ping("?").await,
                        _ => sender.send(message(own, index)).await,
                    };
                    if sent.is_err() {
                        break;
                    }
                }
                sender.flushed().await;
                sender.wait_closed().await
            })
        });
        let receiving = spawn(async move {
            assert!(receiver.recv().await.is_err());
        });
        far.ends();
        for closed in join(senders).await {
            assert!(!closed.is_clean());
        }
        join([receiving]).await;
        drop(sender);
        far.hears_all().await;
    });
}
