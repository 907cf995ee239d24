//! Promise 5: sending waits while too much is queued; a peer that stops reading costs a bounded
//! amount of memory; pongs and close frames are never dropped for it.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use towline::{CloseCode, Config, ErrorKind, Keepalive, Message, Opcode, Role};
use towline_kit::frame;

use crate::wire::{connect, settle};

const MARK: usize = 10_000;

fn config() -> Config {
    Config::server().send_high_water_mark(MARK).keepalive(None::<Keepalive>)
}

#[tokio::test(start_paused = true)]
async fn send_waits_while_the_peer_does_not_read_and_goes_on_when_it_does() {
    for role in [Role::Server, Role::Client] {
        let (connection, far) = connect(role, &config());
        far.stalls();
        let (sender, _receiver) = connection.split();
        let tasks: Vec<_> = (0..5)
            .map(|_| {
                let sender = sender.clone();
                tokio::spawn(async move {
                    for _ in 0..50 {
                        sender.send(vec![0; 1000]).await.unwrap();
                    }
                })
            })
            .collect();
        settle().await;
        assert!(tasks.iter().all(|task| !task.is_finished()));
        assert!(sender.queued_bytes() < MARK + 5 * 1100, "{}", sender.queued_bytes());
        let mut taken = 0;
        for _ in 0..50 {
            far.takes(7000);
            settle().await;
            taken += far.hears().len();
            assert!(sender.queued_bytes() < MARK + 5 * 1100, "{}", sender.queued_bytes());
        }
        assert_eq!(taken, 250);
        assert!(tasks.iter().all(|task| task.is_finished()));
    }
}

#[tokio::test(start_paused = true)]
async fn try_send_says_full_and_gives_the_message_back() {
    let (connection, far) = connect(Role::Server, &config());
    far.stalls_behind(&connection.sender()).await;
    connection.try_send(vec![1; MARK]).unwrap();
    let error = connection.try_send("no room").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QueueFull);
    assert!(error.to_string().contains("send_high_water_mark"), "{error}");
    assert_eq!(error.into_message(), Some(Message::text("no room")));
    far.flows();
    settle().await;
    connection.try_send("room").unwrap();
    connection.close_and_refuse(&far).await;
}

trait CloseAndRefuse {
    async fn close_and_refuse(self, far: &crate::wire::Far);
}

impl CloseAndRefuse for towline::Connection {
    /// Once closed, it says so, and gives the message back as well.
    async fn close_and_refuse(self, far: &crate::wire::Far) {
        self.start_close(CloseCode::NORMAL, "").unwrap();
        for result in [self.try_send("late"), self.send("late").await] {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed);
            assert_eq!(error.into_message(), Some(Message::text("late")));
        }
        settle().await;
        assert_eq!(far.hears().last().unwrap().opcode(), Opcode::Close);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sender_is_a_sink_that_is_ready_while_there_is_room() {
    let (connection, far) = connect(Role::Server, &config());
    let (mut sender, receiver) = connection.split();
    far.stalls();
    sender.feed(Message::binary(vec![1; MARK])).await.unwrap();
    let feeding = tokio::spawn(async move {
        sender.feed("after room was made".into()).await.unwrap();
        sender.flush().await.unwrap();
        assert_eq!(sender.queued_bytes(), 0);
        drop(receiver);
        futures_util::SinkExt::close(&mut sender).await.unwrap();
        assert_eq!(sender.wait_closed().await.code(), CloseCode::NORMAL);
        assert_eq!(sender.closed().map(|closed| closed.code()), Some(CloseCode::NORMAL));
    });
    settle().await;
    assert!(!feeding.is_finished());
    far.flows();
    settle().await;
    assert_eq!(far.hears().len(), 3);
    far.says(frame().close(1000, ""));
    far.ends();
    feeding.await.unwrap();
}

/// A message costs more than its payload. A peer that has small ones sent to it and reads none
/// must not get memory for that without end.
#[tokio::test(start_paused = true)]
async fn messages_without_a_payload_fill_the_queue_too() {
    // Behind one that is a frame already, and behind one that waits to be cut into frames.
    for first in [1, 200 << 10] {
        let (connection, far) = connect(Role::Server, &Config::server());
        far.stalls();
        connection.send(vec![0; first]).await.unwrap();
        let taken = (0..1_000_000).take_while(|_| connection.try_send("").is_ok()).count();
        assert!(taken <= 256 << 10, "{taken} messages behind one of {first} bytes");
    }
}

/// An echo server answers a peer that sends and never reads: what it can make the server hold is
/// bounded, since it is not read either.
#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_and_does_not_read_is_not_read_either() {
    let (mut connection, far) = connect(Role::Server, &config());
    far.stalls();
    for _ in 0..100 {
        far.says_all((0..10).map(|_| frame().binary(vec![0; 500])));
    }
    let sender = connection.sender();
    let echoing = tokio::spawn(async move {
        while let Some(message) = connection.recv().await.unwrap() {
            connection.send(message).await.unwrap();
        }
    });
    settle().await;
    assert!(sender.queued_bytes() < MARK + 1000, "{}", sender.queued_bytes());
    assert!(far.unread() > 100 * 10 * 500 - 3 * MARK, "{}", far.unread());
    far.flows();
    settle().await;
    assert_eq!((far.unread(), far.hears().len()), (0, 1000));
    echoing.abort();
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_pings_from_a_peer_that_does_not_read_is_answered_by_the_latest() {
    for role in [Role::Server, Role::Client] {
        let (mut connection, far) = connect(role, &config().max_received_control_rate(None));
        far.stalls();
        connection.send("before").await.unwrap();
        let sender = connection.sender();
        let receiving = tokio::spawn(async move { connection.recv().await });
        for index in 0..20_000 {
            far.says(frame().ping(format!("{index}")));
        }
        settle().await;
        assert_eq!(far.unread(), 0);
        assert!(sender.queued_bytes() < 1000, "{}", sender.queued_bytes());
        far.flows();
        settle().await;
        let heard = far.hears();
        assert!(heard.len() < 100, "{} answers", heard.len());
        assert_eq!(heard.last().unwrap().text(), "19999");
        receiving.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn pongs_and_the_close_frame_are_queued_beyond_the_mark() {
    let (mut connection, far) = connect(Role::Server, &config());
    far.stalls();
    connection.send(vec![0; 3 * MARK]).await.unwrap();
    far.says(frame().ping("?"));
    far.says(frame().close(1000, "bye"));
    let receiving = tokio::spawn(async move { connection.recv().await });
    settle().await;
    assert!(!receiving.is_finished(), "whether our close frame gets out is part of the end");
    far.flows();
    assert_eq!(receiving.await.unwrap().unwrap(), None);
    settle().await;
    let opcodes: Vec<_> = far.hears().iter().map(|heard| heard.opcode()).collect();
    assert_eq!(opcodes[opcodes.len() - 2..], [Opcode::Pong, Opcode::Close]);
    assert_eq!(opcodes.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_waits_hears_of_the_end() {
    for abort in [false, true] {
        let (connection, far) = connect(Role::Server, &config());
        far.stalls_behind(&connection.sender()).await;
        connection.send(vec![0; MARK]).await.unwrap();
        let sender = connection.sender();
        let waiting = tokio::spawn(async move { sender.send("waiting").await });
        let flusher = connection.sender();
        let flushing = tokio::spawn(async move { flusher.flushed().await });
        settle().await;
        assert!(!waiting.is_finished() && !flushing.is_finished());
        if abort {
            connection.abort(CloseCode::POLICY, "too slow");
            settle().await;
            flushing.await.unwrap();
        } else {
            connection.start_close(CloseCode::NORMAL, "").unwrap();
        }
        settle().await;
        assert!(waiting.is_finished(), "nobody has told it");
        let error = waiting.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert_eq!(error.into_message(), Some(Message::text("waiting")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_connection_closes_within_the_close_timeout() {
    let (mut connection, far) = connect(Role::Server, &config());
    far.stalls();
    connection.send(vec![0; MARK]).await.unwrap();
    let before = tokio::time::Instant::now();
    let closed = connection.close(CloseCode::NORMAL, "").await.unwrap();
    assert_eq!(closed.cause(), towline::CloseCause::CloseTimeout);
    assert_eq!(before.elapsed().as_secs(), 5);
    drop(connection);
    settle().await;
    assert!(far.is_dropped());
}

/// `poll_ready` said that there is room. What others send in between must not cost the message.
#[tokio::test(start_paused = true)]
async fn a_sink_that_is_ready_takes_a_message_whatever_others_send() {
    let (mut connection, far) = connect(Role::Server, &config());
    far.stalls_behind(&connection.sender()).await;
    let other = connection.sender();
    std::future::poll_fn(|cx| connection.poll_ready_unpin(cx)).await.unwrap();
    other.send(vec![0; MARK]).await.unwrap();
    connection.start_send_unpin(Message::text("promised")).unwrap();
    let not_ready = std::future::poll_fn(|cx| connection.poll_ready_unpin(cx));
    assert!(tokio::time::timeout(Duration::from_secs(1), not_ready).await.is_err());
    far.flows();
    connection.flush().await.unwrap();
    assert_eq!(far.hears().last().unwrap().text(), "promised");
    far.says(frame().text("hi"));
    assert_eq!(connection.next().await.unwrap().unwrap(), Message::text("hi"));
}
