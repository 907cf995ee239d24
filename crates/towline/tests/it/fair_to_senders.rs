//! However much is sent, and to a peer that takes all of it at once: a task that sends lets others
//! run, and so does what writes for it.

use std::time::Duration;

use futures_util::SinkExt;
use towline::{Config, Connection, Frame, Keepalive, Message, Role, Sender};

use crate::endless::{Bystander, Count, Endless};

/// So much is done at the most before others have their turn.
const MESSAGES: usize = 10_000;
const BYTES: usize = 8 << 20;

fn connect(role: Role) -> Connection {
    let config = Config::server().keepalive(None::<Keepalive>);
    Connection::from_stream(Endless::mute(), role, &config, [].as_slice().into())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Send,
    SendFrame,
    Ping,
    Feed,
    SinkSend,
}

const ALL: [By; 5] = [By::Send, By::SendFrame, By::Ping, By::Feed, By::SinkSend];

async fn sends(mut sender: Sender, by: By, message: Message, times: usize, count: Count) {
    for _ in 0..times {
        let message = message.clone();
        count.add(1);
        match by {
            By::Send => sender.send(message).await.unwrap(),
            By::SendFrame => sender.send_frame(Frame::binary(message.into_bytes())).await.unwrap(),
            By::Ping => sender.ping(message.into_bytes()).await.unwrap(),
            By::Feed => sender.feed(message).await.unwrap(),
            By::SinkSend => SinkExt::send(&mut sender, message).await.unwrap(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_sends_without_end_lets_others_run() {
    for role in [Role::Server, Role::Client] {
        for by in ALL {
            for len in [0, 100] {
                let connection = connect(role);
                let count = Count::default();
                let bystander = Bystander::of(&count);
                let message = Message::binary(vec![1; len]);
                let sending = sends(connection.sender(), by, message, 50_000, count.clone());
                tokio::spawn(sending).await.unwrap();
                let most = bystander.most().await;
                assert!(most <= MESSAGES, "{role:?} by {by:?}: {most} messages of {len} bytes");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_sends_long_messages_without_end_lets_others_run() {
    for by in [By::Send, By::SendFrame, By::Feed, By::SinkSend] {
        let connection = connect(Role::Client);
        let count = Count::default();
        let bystander = Bystander::of(&count);
        let message = Message::binary(vec![1; 1 << 20]);
        let sending = sends(connection.sender(), by, message, 50, count.clone());
        tokio::spawn(sending).await.unwrap();
        let most = bystander.most().await << 20;
        assert!(most <= BYTES, "by {by:?}: {most} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn many_who_send_without_end_let_others_run() {
    let connection = connect(Role::Server);
    let count = Count::default();
    let bystander = Bystander::of(&count);
    let tasks: Vec<_> = ALL
        .into_iter()
        .map(|by| {
            let message = Message::binary("x");
            tokio::spawn(sends(connection.sender(), by, message, 20_000, count.clone()))
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let most = bystander.most().await;
    assert!(most <= ALL.len() * MESSAGES, "{most} messages");
}

/// All connections of a thread are looked after by one task.
#[tokio::test(start_paused = true)]
async fn thousands_of_deadlines_at_once_let_others_run() {
    let config = Config::server().keepalive(Keepalive::every(Duration::from_secs(20)));
    let pings = Count::default();
    let connections: Vec<_> = (0..5000)
        .map(|_| {
            let mut stream = Endless::mute();
            stream.written = pings.clone();
            Connection::from_stream(stream, Role::Server, &config, [].as_slice().into())
        })
        .collect();
    crate::wire::settle().await;
    tokio::time::advance(Duration::from_millis(19_999)).await;
    assert_eq!(pings.get(), 0);
    let bystander = Bystander::of(&pings);
    tokio::time::advance(Duration::from_secs(1)).await;
    while pings.get() < 2 * connections.len() {
        tokio::task::yield_now().await;
    }
    let turns = bystander.turns();
    let most = bystander.most().await / 2;
    assert!(most <= 200, "{most} pings, {turns} turns");
}
