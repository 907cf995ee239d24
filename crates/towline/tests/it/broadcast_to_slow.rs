//! Broadcasts to connections that can't keep up, that are closing, and that others send to.

use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::time::timeout;
use towline::{
    CloseCause, CloseCode, Config, Connection, Keepalive, Message, Role, Server, WhenFull,
};

use crate::http::{arrives, head};
use crate::wire::settle;

const MARK: usize = 1000;
const NEWEST: WhenFull = WhenFull::KeepNewest(NonZeroUsize::MIN);
const POLICIES: [WhenFull; 3] = [WhenFull::Skip, NEWEST, WhenFull::Close];

fn quiet(config: Config) -> Config {
    config.keepalive(None::<Keepalive>).send_timeout(None)
}

/// A server with so many connections, and the clients at their other ends.
async fn connected(count: usize) -> (Server, Vec<Connection>, Vec<Connection>) {
    let config = quiet(Config::server()).send_high_water_mark(MARK);
    let mut server = Server::builder().config(config).build();
    let (mut connections, mut clients) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (request, mut far) = arrives(&mut server, &[]).await;
        connections.push(request.accept().await.unwrap());
        head(&mut far).await;
        let config = quiet(Config::client());
        clients.push(Connection::from_stream(far, Role::Client, &config, Bytes::new()));
    }
    (server, connections, clients)
}

/// More than the pipe holds and the mark allows.
fn long() -> Message {
    Message::binary(vec![0; 300_000])
}

async fn hears(client: &mut Connection) -> Option<Message> {
    timeout(Duration::from_secs(1), client.recv()).await.ok().map(|it| it.unwrap().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_passes_over_connections_that_are_closing() {
    for when_full in POLICIES {
        let (server, mut connections, mut clients) = connected(4).await;
        let all = server.connections();
        connections[0].send(long()).await.unwrap();
        connections[0].start_close(CloseCode::NORMAL, "").unwrap();
        connections[1].start_close(CloseCode::NORMAL, "").unwrap();
        connections[2].send(long()).await.unwrap();
        for round in 0..3 {
            let delivery = all.broadcast("news").when_full(when_full).await;
            let full = usize::from(round == 0 || when_full != WhenFull::Close);
            assert_eq!((delivery.sent, delivery.full.len()), (1, full), "{when_full:?}");
            assert_eq!(hears(&mut clients[3]).await, Some("news".into()));
        }
        // What was begun is ended as it would have been.
        assert_eq!(hears(&mut clients[0]).await, Some(long()));
        assert_eq!(clients[0].recv().await.unwrap(), None);
        assert_eq!(clients[1].recv().await.unwrap(), None);
        for connection in &mut connections[..2] {
            let closed = connection.wait_closed().await;
            assert_eq!((closed.cause(), closed.code()), (CloseCause::Handshake, CloseCode::NORMAL));
        }
        if when_full == WhenFull::Close {
            assert_eq!(connections[2].closed().unwrap().code(), CloseCode::TRY_AGAIN_LATER);
        } else {
            assert_eq!(hears(&mut clients[2]).await, Some(long()));
            let kept = (when_full == NEWEST).then(|| "news".into());
            assert_eq!(hears(&mut clients[2]).await, kept);
        }
        assert_eq!(all.len(), if when_full == WhenFull::Close { 1 } else { 2 });
    }
}

#[tokio::test(start_paused = true)]
async fn many_that_are_full_hold_up_nobody() {
    for when_full in POLICIES {
        let (server, connections, mut clients) = connected(60).await;
        let all = server.connections();
        for connection in &connections[..50] {
            connection.send(long()).await.unwrap();
        }
        for round in 0..5 {
            let message = format!("{round}");
            let delivery = all.broadcast(message.as_str()).when_full(when_full).await;
            let full = if round > 0 && when_full == WhenFull::Close { 0 } else { 50 };
            assert_eq!((delivery.sent, delivery.full.len()), (10, full), "{when_full:?}");
            let mut ids: Vec<_> = delivery.full.iter().map(|info| info.id).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), full);
            for client in &mut clients[50..] {
                assert_eq!(hears(client).await, Some(message.as_str().into()));
            }
        }
        if when_full == WhenFull::Close {
            assert_eq!(all.len(), 10);
            continue;
        }
        for client in &mut clients[..50] {
            assert_eq!(hears(client).await, Some(long()));
            let kept = (when_full == NEWEST).then(|| "4".into());
            assert_eq!(hears(client).await, kept, "{when_full:?}");
        }
    }
}

/// Broadcasts come without a pause, and so do those who wait in line: both get their turn.
#[tokio::test(start_paused = true)]
async fn the_newest_that_is_kept_and_those_who_wait_in_line_starve_neither() {
    let (server, connections, mut clients) = connected(1).await;
    let all = server.connections();
    connections[0].send(long()).await.unwrap();
    let tasks: Vec<_> = (0..20u8)
        .map(|index| {
            let sender = connections[0].sender();
            tokio::spawn(async move { sender.send(vec![index; MARK]).await.unwrap() })
        })
        .collect();
    settle().await;
    let broadcasting = tokio::spawn(async move {
        for round in 0..2000 {
            let broadcast = all.broadcast(format!("{round:0MARK$}"));
            let _ = broadcast.when_full(NEWEST).await;
            tokio::task::yield_now().await;
        }
    });
    let (mut next, mut newest) = (0, -1);
    assert_eq!(hears(&mut clients[0]).await, Some(long()));
    while let Some(message) = hears(&mut clients[0]).await {
        match message {
            Message::Binary(bytes) => {
                assert_eq!(bytes[0], next, "in the order of coming");
                next += 1;
            }
            Message::Text(text) => {
                let round: i64 = text.parse().unwrap();
                assert!(round > newest, "older after newer");
                newest = round;
            }
        }
    }
    assert_eq!((next, newest), (20, 1999));
    for task in tasks {
        task.now_or_never().expect("sent").unwrap();
    }
    broadcasting.await.unwrap();
}

/// They come in order, although there is room for one of them at a time.
#[tokio::test(start_paused = true)]
async fn as_many_of_the_newest_are_kept_as_are_asked_for() {
    let (server, connections, mut clients) = connected(1).await;
    let all = server.connections();
    let newest = WhenFull::KeepNewest(NonZeroUsize::new(3).unwrap());
    connections[0].send(long()).await.unwrap();
    for round in 0..10 {
        let delivery = all.broadcast(format!("{round:0MARK$}")).when_full(newest).await;
        assert_eq!((delivery.sent, delivery.full.len()), (0, 1));
    }
    assert_eq!(hears(&mut clients[0]).await, Some(long()));
    for round in 7..10 {
        assert_eq!(hears(&mut clients[0]).await, Some(format!("{round:0MARK$}").into()));
    }
    assert_eq!(all.broadcast("now").when_full(newest).await.sent, 1);
    assert_eq!(hears(&mut clients[0]).await, Some("now".into()));
    assert_eq!(hears(&mut clients[0]).await, None);
}
