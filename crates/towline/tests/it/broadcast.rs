//! One message to all connections of a server, none of which holds up another.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::io::DuplexStream;
use towline::{
    CloseCause, CloseCode, Config, Connection, Keepalive, Message, Role, Server, WhenFull,
};

use crate::http::{arrives, head, request};
use crate::wire::{settle, wire};

const MARK: usize = 1000;
const NEWEST: WhenFull = WhenFull::KeepNewest(NonZeroUsize::MIN);

/// A server with so many connections, and the clients at their other ends.
async fn connected(count: usize) -> (Server, Vec<Connection>, Vec<Connection>) {
    let config = Config::server().send_high_water_mark(MARK).keepalive(None::<Keepalive>);
    let mut server = Server::builder().config(config).build();
    let (mut connections, mut clients) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (request, mut far): (_, DuplexStream) = arrives(&mut server, &[]).await;
        connections.push(request.accept().await.unwrap());
        head(&mut far).await;
        let config = Config::client().keepalive(None::<Keepalive>);
        clients.push(Connection::from_stream(far, Role::Client, &config, Bytes::new()));
    }
    (server, connections, clients)
}

/// More than the pipe holds and the mark allows.
fn long() -> Message {
    Message::binary(vec![0; 300_000])
}

async fn hears(client: &mut Connection) -> Message {
    client.recv().await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_reaches_all_that_have_room_and_waits_for_nobody() {
    let (server, connections, mut clients) = connected(3).await;
    let all = server.connections();
    let delivery = all.broadcast("ship ahoy").await;
    assert_eq!((delivery.sent, delivery.full.len()), (3, 0));
    for client in &mut clients {
        assert_eq!(hears(client).await, Message::text("ship ahoy"));
    }
    // The first one stops reading, for ever.
    connections[0].send(long()).await.unwrap();
    for round in 0..1000 {
        let delivery = all.broadcast(format!("{round}")).into_future();
        let delivery = delivery.now_or_never().expect("nobody is waited for");
        assert_eq!((delivery.sent, delivery.full.len()), (2, 1), "round {round}");
        assert_eq!(delivery.full[0].id, connections[0].id());
        for client in &mut clients[1..] {
            assert_eq!(hears(client).await, Message::text(format!("{round}")));
        }
    }
    assert_eq!(hears(&mut clients[0]).await, long());
    assert!(clients[0].recv().now_or_never().is_none(), "it was left out");
}

#[tokio::test(start_paused = true)]
async fn the_newest_of_the_broadcasts_that_found_no_room_comes_when_there_is_some() {
    let (server, connections, mut clients) = connected(2).await;
    let all = server.connections();
    connections[0].send(long()).await.unwrap();
    for round in 0..100 {
        let broadcast = all.broadcast(format!("{round}")).when_full(NEWEST);
        let delivery = broadcast.await;
        assert_eq!((delivery.sent, delivery.full.len()), (1, 1));
        assert_eq!(hears(&mut clients[1]).await, Message::text(format!("{round}")));
    }
    assert_eq!(hears(&mut clients[0]).await, long());
    assert_eq!(hears(&mut clients[0]).await, Message::text("99"));
    // Nothing is kept that is older than what was sent.
    connections[0].send(long()).await.unwrap();
    let _ = all.broadcast("older").when_full(NEWEST).await;
    assert_eq!(hears(&mut clients[0]).await, long());
    assert_eq!(hears(&mut clients[0]).await, Message::text("older"));
    let _ = all.broadcast("newer").await;
    assert_eq!(hears(&mut clients[0]).await, Message::text("newer"));
    assert!(clients[0].recv().now_or_never().is_none());
}

/// There is room again, and nobody has seen that yet.
#[tokio::test(start_paused = true)]
async fn what_waits_for_room_comes_before_another_broadcast_that_finds_some() {
    for (when_full, expected) in [(WhenFull::Skip, 2), (WhenFull::Close, 2), (NEWEST, 1)] {
        let config = Config::server().send_high_water_mark(MARK).keepalive(None::<Keepalive>);
        let mut server = Server::builder().config(config).auto_accept(true).build();
        let (near, far) = wire();
        far.says_bytes(request("/", &[]).into_bytes());
        server.serve(near, None);
        let connection = server.next_connection().await.unwrap();
        far.forgets_what_it_heard();
        settle().await;
        far.stalls();
        connection.send(vec![0; 5 * MARK]).await.unwrap();
        let all = server.connections();
        let kept = all.broadcast("price").when_full(NEWEST).await;
        assert_eq!((kept.sent, kept.full.len()), (0, 1));
        far.flows();
        let chat = all.broadcast("chat").when_full(when_full).await;
        assert_eq!((chat.sent, chat.full.len()), (1, 0), "{when_full:?}");
        settle().await;
        let heard = far.hears();
        let heard: Vec<_> = heard[1..].iter().map(|heard| heard.text()).collect();
        // One that is kept instead is newer, and all that there is to say.
        assert_eq!(heard, ["price", "chat"][2 - expected..], "{when_full:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_can_not_keep_up_is_closed_where_that_is_asked_for() {
    let (server, mut connections, mut clients) = connected(2).await;
    let all = server.connections();
    connections[0].send(long()).await.unwrap();
    let delivery = all.broadcast("all of it").when_full(WhenFull::Close).await;
    assert_eq!((delivery.sent, delivery.full.len()), (1, 1));
    assert_eq!(hears(&mut clients[1]).await, Message::text("all of it"));
    let closed = connections[0].closed().expect("at once");
    assert_eq!((closed.code(), closed.cause()), (CloseCode::TRY_AGAIN_LATER, CloseCause::Aborted));
    assert_eq!(connections[0].recv().await.unwrap(), None);
    assert_eq!(all.len(), 1);
}

/// The connections' tasks are told nothing by it, and others run in between.
#[tokio::test(start_paused = true)]
async fn a_broadcast_to_many_lets_others_run() {
    let (server, _connections, _clients) = connected(1000).await;
    let turns = Arc::new(AtomicUsize::new(0));
    let counting = tokio::spawn({
        let turns = turns.clone();
        async move {
            loop {
                turns.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        }
    });
    settle().await;
    let before = turns.load(Ordering::Relaxed);
    assert_eq!(server.connections().broadcast("ship ahoy").await.sent, 1000);
    let turns = turns.load(Ordering::Relaxed) - before;
    assert!(turns >= 3, "{turns} turns");
    counting.abort();
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_does_not_keep_a_connection_that_the_program_has_dropped() {
    let (server, mut connections, mut clients) = connected(1).await;
    let all = server.connections();
    connections[0].send(long()).await.unwrap();
    let _ = all.broadcast("kept").when_full(NEWEST).await;
    connections.clear();
    // The close timeout passes, in virtual time.
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    assert!(all.is_empty());
    clients.clear();
}
