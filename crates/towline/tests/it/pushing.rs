//! A program that pushes: what it sends now and then leaves at once, without a task's help.

use std::time::Duration;

use futures_util::{FutureExt as _, SinkExt};
use tokio::time::advance;
use towline::{Config, Frame, Keepalive, Opcode, Role};
use towline_kit::frame;

use crate::wire::{Call, Far, connect, settle};

const BOTH: [Role; 2] = [Role::Server, Role::Client];

/// Time enough for what was sent before to be a thing of the past.
async fn later() {
    settle().await;
    advance(Duration::from_millis(100)).await;
    settle().await;
}

fn assert_one_write(far: &Far, what: &str) {
    let calls = far.calls();
    let [Call::Write(_)] = calls[..] else { panic!("{what}: {calls:?}") };
    assert_eq!(far.hears().len(), 1, "{what}");
}

fn config() -> Config {
    Config::server().keepalive(None::<Keepalive>)
}

#[tokio::test(start_paused = true)]
async fn each_of_the_lone_messages_is_one_write_at_once() {
    for role in BOTH {
        for receives in [true, false] {
            let (connection, far) = connect(role, &config());
            let (mut sender, mut receiver) = connection.split();
            let receiving = receives.then(|| {
                tokio::spawn(async move { while let Ok(Some(_)) = receiver.recv().await {} })
            });
            later().await;
            far.calls();
            for round in 0..5 {
                for by in 0..6 {
                    match by {
                        0 => sender.send("push").now_or_never().unwrap().unwrap(),
                        1 => sender.try_send("push").unwrap(),
                        2 => {
                            sender.send_frame(Frame::text("push")).now_or_never().unwrap().unwrap()
                        }
                        3 => sender.ping("push").now_or_never().unwrap().unwrap(),
                        4 => SinkExt::feed(&mut sender, "push".into())
                            .now_or_never()
                            .unwrap()
                            .unwrap(),
                        _ => sender.send(vec![7; 1000]).now_or_never().unwrap().unwrap(),
                    }
                    assert_one_write(
                        &far,
                        &format!("{role:?}, {receives}, round {round}, by {by}"),
                    );
                    later().await;
                    let idle = far.calls();
                    assert!(!idle.iter().any(|call| matches!(call, Call::Write(_))), "{idle:?}");
                }
            }
            if let Some(receiving) = receiving {
                receiving.abort();
            }
        }
    }
}

/// Whatever was said in between: an answer is nothing that later messages wait for.
#[tokio::test(start_paused = true)]
async fn a_lone_message_is_one_write_at_once_after_others_were_answered() {
    for role in BOTH {
        let (connection, far) = connect(role, &config());
        let sender = connection.sender();
        let echoing = tokio::spawn(async move {
            let mut connection = connection;
            while let Some(message) = connection.recv().await.unwrap() {
                connection.send(message).await.unwrap();
            }
        });
        for round in 0..5 {
            far.says_all((0..10).map(|_| frame().text("hi")));
            later().await;
            far.hears();
            far.calls();
            sender.send("push").now_or_never().unwrap().unwrap();
            assert_one_write(&far, &format!("{role:?}, round {round}"));
            later().await;
            far.calls();
        }
        echoing.abort();
    }
}

/// The pong to a ping that came together with messages, before, between or behind them.
#[tokio::test(start_paused = true)]
async fn a_pong_leaves_though_the_program_receives_a_message_and_goes_on_to_something_else() {
    for role in BOTH {
        for (at, lent) in [(0, false), (1, false), (0, true)] {
            let (connection, far) = connect(role, &config());
            let mut all = vec![frame().text("hi")];
            all.insert(at, frame().ping("?"));
            far.says_all(all);
            let (sender, mut receiver) = connection.split();
            let receiving = tokio::spawn(async move {
                if lent {
                    assert_eq!(receiver.recv_ref().await.unwrap().unwrap().len(), 2);
                } else {
                    assert_eq!(receiver.recv().await.unwrap(), Some("hi".into()));
                }
                std::future::pending::<()>().await;
            });
            settle().await;
            let heard = far.hears();
            let pongs = heard.iter().filter(|heard| heard.opcode() == Opcode::Pong).count();
            assert_eq!(pongs, 1, "{role:?}, {at}, {lent}");
            receiving.abort();
            drop(sender);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn frames_of_another_sender_wait_for_my_message_or_are_refused() {
    for role in BOTH {
        let (connection, far) = connect(role, &config());
        let (mine, other) = (connection.sender(), connection.sender());
        mine.send_frame(Frame::text("a").fin(false)).await.unwrap();
        for fin in [true, false] {
            let refused = other.send_frame(Frame::continuation("not mine").fin(fin)).await;
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), towline::ErrorKind::InvalidSend);
        }
        let first = tokio::spawn(async move {
            other.send_frame(Frame::text("1").fin(false)).await.unwrap();
            other.send_frame(Frame::continuation("2")).await.unwrap();
        });
        settle().await;
        assert!(!first.is_finished(), "it waits");
        mine.send_frame(Frame::continuation("b").fin(false)).await.unwrap();
        settle().await;
        assert!(!first.is_finished(), "it waits");
        mine.send_frame(Frame::continuation("c")).await.unwrap();
        first.await.unwrap();
        settle().await;
        let heard: Vec<_> = far.hears().iter().map(|heard| heard.text().to_owned()).collect();
        assert_eq!(heard, ["a", "b", "c", "1", "2"]);
    }
}
