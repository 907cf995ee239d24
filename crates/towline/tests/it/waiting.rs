//! Those who wait for a connection: in order, and without a trace once they are gone.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use futures_util::FutureExt as _;
use towline::{CloseCode, Config, Frame, Keepalive, Message, Opcode, Role};
use towline_kit::frame;

use crate::wire::{connect, settle};

const MARK: usize = 1000;

fn config() -> Config {
    Config::server().send_high_water_mark(MARK).keepalive(None::<Keepalive>)
}

struct Unwoken;

impl Wake for Unwoken {
    fn wake(self: Arc<Self>) {}
}

/// Polls a future once and drops it. Returns how many wakers it has left behind.
fn left_behind(future: impl Future) -> usize {
    let waker = Arc::new(Unwoken);
    let pending = {
        let task = Waker::from(waker.clone());
        pin!(future).poll(&mut Context::from_waker(&task)).is_pending()
    };
    assert!(pending, "it waits");
    Arc::strong_count(&waker) - 1
}

#[tokio::test(start_paused = true)]
async fn a_future_that_was_dropped_leaves_nothing_behind() {
    let (connection, far) = connect(Role::Server, &config());
    far.stalls_behind(&connection.sender()).await;
    connection.send(vec![0; MARK]).await.unwrap();
    let sender = connection.sender();
    assert_eq!(left_behind(sender.send("x")), 0);
    assert_eq!(left_behind(sender.ping("x")), 0);
    assert_eq!(left_behind(sender.send_frame(Frame::text("x"))), 0);
    assert_eq!(left_behind(sender.flushed()), 0);
    assert_eq!(left_behind(sender.wait_closed()), 0);
    assert_eq!(left_behind(sender.close(CloseCode::NORMAL, "")), 0);
}

#[tokio::test(start_paused = true)]
async fn who_waits_first_sends_first() {
    let (connection, far) = connect(Role::Server, &config());
    far.stalls_behind(&connection.sender()).await;
    connection.send(vec![0; MARK]).await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for index in 0..20 {
        let (sender, order) = (connection.sender(), order.clone());
        tasks.push(tokio::spawn(async move {
            sender.send(vec![1; MARK]).await.unwrap();
            order.lock().unwrap().push(index);
        }));
        settle().await;
    }
    // One that gives up hands its turn on.
    tasks.remove(3).abort();
    far.flows();
    for task in tasks {
        task.await.unwrap();
    }
    let expected: Vec<_> = (0..20).filter(|index| *index != 3).collect();
    assert_eq!(*order.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_kept_when_it_is_done_holds_nobody_up() {
    let (connection, far) = connect(Role::Server, &config());
    far.stalls_behind(&connection.sender()).await;
    connection.send(vec![0; MARK]).await.unwrap();
    let sender = connection.sender();
    let mut first = pin!(sender.send("first"));
    assert!(first.as_mut().now_or_never().is_none(), "it waits");
    let other = connection.sender();
    let second = tokio::spawn(async move { other.send("second").await });
    settle().await;
    far.flows();
    settle().await;
    // Something is queued that will be written: others may join it.
    for message in ["third", "fourth"] {
        connection.send(message).await.unwrap();
    }
    assert!(first.as_mut().now_or_never().is_some(), "there is room");
    settle().await;
    assert!(second.is_finished());
    second.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_is_sent_once_however_often_its_future_is_polled() {
    let (connection, far) = connect(Role::Server, &config());
    let sender = connection.sender();
    let (mut owned, mut lent) = (pin!(sender.send("owned")), pin!(sender.send("lent")));
    for _ in 0..3 {
        owned.as_mut().now_or_never().unwrap().unwrap();
        lent.as_mut().now_or_never().unwrap().unwrap();
    }
    settle().await;
    assert_eq!(far.hears().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_senders_get_their_turn() {
    let (connection, far) = connect(Role::Server, &config());
    far.stalls_behind(&connection.sender()).await;
    connection.send(vec![0; MARK]).await.unwrap();
    let tasks: Vec<_> = (0..1000)
        .map(|_| {
            let sender = connection.sender();
            tokio::spawn(async move { sender.send(vec![1; MARK]).await })
        })
        .collect();
    settle().await;
    far.flows();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    settle().await;
    assert_eq!(far.hears().len(), 1001);
}

#[tokio::test(start_paused = true)]
async fn a_message_of_frames_that_its_sender_leaves_unfinished_ends_the_connection() {
    let (mut connection, far) = connect(Role::Server, &config());
    let other = connection.sender();
    other.send_frame(Frame::text("Hel").fin(false)).await.unwrap();
    connection.send("held back").await.unwrap();
    assert!(left_behind(connection.flushed()) == 0, "what is held back is not flushed");
    drop(other);
    far.says(frame().close(1011, ""));
    while connection.recv().await.unwrap().is_some() {}
    let closed = connection.closed().unwrap();
    assert_eq!(closed.sent().unwrap().code(), CloseCode::INTERNAL_ERROR);
    assert_eq!(closed.sent().unwrap().reason(), "a message made of frames was left unfinished");
}

#[tokio::test(start_paused = true)]
async fn a_sender_of_a_ping_in_between_may_go() {
    let (connection, _far) = connect(Role::Server, &config());
    connection.send_frame(Frame::text("Hel").fin(false)).await.unwrap();
    let other = connection.sender();
    other.send_frame(Frame::new(Opcode::Ping, "?")).await.unwrap();
    connection.send_frame(Frame::text("refused")).await.unwrap_err();
    other.send_frame(Frame::continuation("refused")).await.unwrap_err();
    assert_eq!(left_behind(other.send_frame(Frame::text("waits"))), 0);
    drop(other);
    settle().await;
    assert!(connection.is_open());
    connection.send_frame(Frame::continuation("lo")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_finished_its_message_may_go() {
    let (connection, far) = connect(Role::Server, &config());
    let other = connection.sender();
    other.send_frame(Frame::text("Hel").fin(false)).await.unwrap();
    other.send_frame(Frame::continuation("lo")).await.unwrap();
    drop(other);
    connection.send("more").await.unwrap();
    settle().await;
    assert!(connection.is_open());
    assert_eq!(far.hears().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn how_it_ended_is_known_where_receiving_ends() {
    let (mut connection, far) = connect(Role::Server, &config());
    far.stalls_behind(&connection.sender()).await;
    connection.send(Message::binary(vec![0; 10 * MARK])).await.unwrap();
    far.says(frame().close(1000, "bye"));
    let receiving = tokio::spawn(async move {
        assert_eq!(connection.recv().await.unwrap(), None);
        connection.closed().unwrap()
    });
    settle().await;
    far.flows();
    let closed = receiving.await.unwrap();
    assert!(closed.is_clean());
    assert_eq!(closed.reason(), "bye");
}

/// One sends, and the stream panics. Another one receives, and nothing else ever happens.
#[tokio::test(start_paused = true)]
async fn a_receiver_hears_of_a_stream_that_panicked_elsewhere() {
    let (connection, far) = connect(Role::Server, &config());
    let (sender, mut receiver) = connection.split();
    let receiving = tokio::spawn(async move { receiver.recv().await });
    settle().await;
    far.panics();
    let other = sender.clone();
    let sending = tokio::spawn(async move { other.send("something").await });
    assert!(sending.await.unwrap_err().is_panic());
    settle().await;
    assert!(receiving.is_finished());
    receiving.await.unwrap().unwrap_err();
    drop(sender);
}
