//! Promise 11: an idle connection keeps no buffer, and has no task.
//!
//! A binary of its own, since it counts what is allocated. Over TCP, where what is in transit is
//! the kernel's.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Handle, Runtime};
use towline::{Config, Connection, Frame, Keepalive, Message, Request, Role};

/// What an idle connection may have on the heap, tokio's part of its socket included.
const BUDGET: i64 = 1536;

const PAIRS: usize = 50;

/// Each pair is two connections.
const ENDS: i64 = 2 * PAIRS as i64;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

async fn pairs(count: usize) -> Vec<[Connection; 2]> {
    let config = Config::client().keepalive(Keepalive::every(Duration::from_secs(1000)));
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        let (near, far) = sockets().await;
        let end = |stream, role| Connection::from_stream(stream, role, &config, Bytes::new());
        pairs.push([end(near, Role::Server), end(far, Role::Client)]);
    }
    pairs
}

async fn echo(pair: &mut [Connection; 2], message: Message) {
    let [server, client] = pair;
    let echoing = async {
        let received = server.recv().await.unwrap().unwrap();
        server.send(received).await.unwrap();
        server.flushed().await;
    };
    let asking = async {
        client.send(message.clone()).await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Some(message));
    };
    tokio::join!(echoing, asking);
}

/// All that a connection can be through.
async fn exchange(pairs: &mut [[Connection; 2]]) {
    for pair in pairs {
        echo(pair, Message::binary(vec![7; 64 << 10])).await;
        echo(pair, Message::text("x".repeat(64 << 10))).await;
        for _ in 0..100 {
            pair[0].send("burst").await.unwrap();
        }
        for _ in 0..100 {
            pair[1].recv().await.unwrap().unwrap();
        }
        pair[0].send_frame(Frame::text("in").fin(false)).await.unwrap();
        pair[0].send("behind it").await.unwrap();
        pair[0].send_frame(Frame::continuation("pieces")).await.unwrap();
        for _ in 0..2 {
            pair[1].recv().await.unwrap().unwrap();
        }
        pair[1].ping("?").await.unwrap();
        echo(pair, Message::text("hi")).await;
    }
    settle().await;
}

async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Whatever it has been through: after that, it has hardly more than a new one has.
#[test]
fn an_idle_connection_holds_no_buffer() {
    let runtime = runtime();
    // What the thread keeps for all connections is there then.
    runtime.block_on(async { exchange(&mut pairs(PAIRS).await).await });
    runtime.block_on(settle());
    let mut idle = Vec::new();
    let new = allocation_counter::measure(|| idle = runtime.block_on(pairs(PAIRS)));
    let used = allocation_counter::measure(|| runtime.block_on(exchange(&mut idle)));
    let (new, used) = (new.bytes_current / ENDS, used.bytes_current / ENDS);
    println!("{new} bytes each, {used} more after use");
    assert!(new + used <= BUDGET, "{new} bytes each, and {used} more after use");
}

/// A request that comes by itself is not a server each.
#[test]
fn an_idle_connection_of_a_request_by_itself_holds_no_buffer() {
    let runtime = runtime();
    let connect = async |count: usize| {
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            let (near, far) = sockets().await;
            let request = http::Request::get("/")
                .header("host", "example.com")
                .header("upgrade", "websocket")
                .header("connection", "upgrade")
                .header("sec-websocket-version", "13")
                .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
                .body(())
                .unwrap();
            let request =
                Request::from_http(request, near, Bytes::new(), Config::server()).unwrap();
            all.push((request.accept().await.unwrap(), far));
        }
        all
    };
    drop(runtime.block_on(connect(2)));
    // They are closed in the background, and what the thread keeps for that is there then.
    runtime.block_on(settle());
    let mut idle = Vec::new();
    let new = allocation_counter::measure(|| idle = runtime.block_on(connect(PAIRS)));
    let each = new.bytes_current / (ENDS / 2);
    println!("{each} bytes each");
    assert!(each <= 3400, "{each} bytes each");
}

#[test]
fn idle_connections_have_no_tasks() {
    runtime().block_on(async {
        let mut pairs = pairs(PAIRS).await;
        exchange(&mut pairs).await;
        // That of the timekeeper, for all of them.
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 1);
    });
}

/// A message that was lent and is too long for the buffer is freed when the next one is awaited, by
/// whatever call.
#[test]
fn a_message_that_was_lent_is_not_held_while_another_is_awaited() {
    const LEN: i64 = 1 << 20;
    let runtime = runtime();
    for way in 0..4 {
        let (_client, _sender, mut receiver) = runtime.block_on(async {
            let [server, client] = pairs(1).await.remove(0);
            let (sender, mut receiver) = server.split();
            client.send(vec![7; 1 << 20]).await.unwrap();
            assert_eq!(receiver.recv_ref().await.unwrap().unwrap().len(), 1 << 20);
            (client, sender, receiver)
        });
        let freed = allocation_counter::measure(|| {
            runtime.block_on(async {
                let waits = async {
                    match way {
                        0 => drop(receiver.recv().await),
                        1 => drop(receiver.recv_ref().await),
                        2 => drop(receiver.next_event().await),
                        _ => drop(receiver.recv_reader().await),
                    }
                };
                tokio::select! {
                    () = waits => panic!("there is no other message"),
                    () = settle() => {}
                }
            });
        });
        assert!(freed.bytes_current < -LEN / 2, "way {way}: {} bytes", freed.bytes_current);
    }
}
