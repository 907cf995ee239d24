//! However it ends, it ends once, and everybody hears of it.

use std::time::Duration;

use towline::{CloseCause, CloseCode, Closed, Config, Frame, Keepalive, Opcode, Receiver, Sender};
use towline_kit::{Heard, frame};

use crate::model::{any, check, join, join_as_time_passes, passes, spawn};
use crate::wire::{Far, connect};

fn config() -> Config {
    Config::server().keepalive(None).send_timeout(None).send_high_water_mark(20)
}

fn closes(heard: &[Heard]) -> Vec<CloseCode> {
    let closes = heard.iter().filter(|frame| frame.opcode() == Opcode::Close);
    closes.map(|frame| frame.close().code()).collect()
}

/// Sends until that fails, then waits for what has been written, and for the end.
async fn sends_on(sender: Sender) -> Closed {
    for _ in 0..6 {
        let sent = match any(3) {
            0 => sender.send_frame(Frame::text("a frame")).await,
            1 => sender.ping("?").await,
            _ => sender.send("a message, and a long one").await,
        };
        if sent.is_err() {
            break;
        }
    }
    sender.flushed().await;
    sender.wait_closed().await
}

async fn receives_all(mut receiver: Receiver) -> Closed {
    while let Ok(Some(_)) = receiver.recv().await {}
    receiver.closed().unwrap()
}

/// Lets time pass now and then, though nothing may be due.
async fn time_passes(by: Duration) {
    for _ in 0..4 {
        passes(by);
        shuttle::future::yield_now().await;
    }
}

#[test]
fn the_last_handles_are_dropped_on_different_threads_and_it_is_closed_once() {
    check(|| async {
        let (connection, far) = connect(&config());
        let (sender, receiver) = connection.split();
        let mut tasks = Vec::new();
        for sender in [sender.clone(), sender] {
            tasks.push(spawn(async move {
                if any(2) == 0 {
                    sender.try_send("something").unwrap();
                }
            }));
        }
        tasks.push(spawn(async move { drop(receiver) }));
        let heard = far.hears_until(|heard| !closes(heard).is_empty()).await;
        assert_eq!(closes(&heard), [CloseCode::GOING_AWAY]);
        assert_eq!(closes(&far.leaves().await), [CloseCode::GOING_AWAY]);
        join(tasks).await;
    });
}

/// How this end ends it.
#[derive(Clone, Copy)]
enum Ends {
    Close,
    StartClose,
    Abort,
    /// It does not: time does.
    Not,
}

/// What the peer does then.
#[derive(Clone, Copy)]
enum Answers {
    Close,
    /// Takes nothing, says nothing.
    Nothing,
}

/// Senders, a receiver, those who wait for this and that, a look-out now and then: and an end.
async fn ends(how: Ends, answers: Answers, config: Config) {
    let (connection, far) = connect(&config);
    let (sender, receiver) = connection.split();
    let mut tasks = Vec::from([0; 2].map(|_| spawn(sends_on(sender.clone()))));
    tasks.push(spawn(receives_all(receiver)));
    let waiting = sender.clone();
    tasks.push(spawn(async move { waiting.wait_closed().await }));
    tasks.push(spawn(async move {
        match how {
            Ends::Close => return sender.close(CloseCode::NORMAL, "").await.unwrap(),
            Ends::StartClose => sender.start_close(CloseCode::NORMAL, "").unwrap(),
            Ends::Abort => sender.abort(CloseCode::PROTOCOL_ERROR, ""),
            Ends::Not => {}
        }
        sender.wait_closed().await
    }));
    let time = spawn(time_passes(Duration::from_secs(7)));
    let peer = spawn(peer(far.clone(), answers));
    time.await.unwrap();
    let ends = match answers {
        Answers::Close => join(tasks).await,
        Answers::Nothing => join_as_time_passes(tasks, Duration::from_secs(60)).await,
    };
    assert!(ends.windows(2).all(|two| two[0] == two[1]), "{ends:?}");
    match how {
        Ends::Abort => assert_eq!(ends[0].cause(), CloseCause::Aborted),
        _ => assert_ne!(ends[0].cause(), CloseCause::Aborted),
    }
    assert!(closes(&peer.await.unwrap()).len() <= 1);
    far.hears_all().await;
}

async fn peer(far: Far, answers: Answers) -> Vec<Heard> {
    if let Answers::Nothing = answers {
        return far.heard();
    }
    far.says([frame().text("hello"), frame().ping("!")]);
    far.hears_until_closed(|heard| !closes(heard).is_empty()).await;
    far.says([frame().close(1000, "")]);
    far.ends();
    far.hears_all().await
}

#[test]
fn everybody_hears_of_a_close() {
    check(|| ends(Ends::Close, Answers::Close, config()));
    check(|| ends(Ends::StartClose, Answers::Close, config()));
}

#[test]
fn everybody_hears_of_a_close_that_is_not_answered() {
    check(|| ends(Ends::Close, Answers::Nothing, config()));
}

#[test]
fn everybody_hears_of_an_abort() {
    check(|| ends(Ends::Abort, Answers::Close, config()));
    check(|| ends(Ends::Abort, Answers::Nothing, config()));
}

#[test]
fn everybody_hears_of_a_peer_that_is_gone() {
    check(|| {
        let keepalive = Keepalive::every(Duration::from_secs(10)).grace(Duration::from_secs(5));
        ends(Ends::Not, Answers::Nothing, config().keepalive(keepalive))
    });
    check(|| {
        let config = config().send_timeout(Duration::from_secs(10));
        ends(Ends::Not, Answers::Nothing, config)
    });
}
