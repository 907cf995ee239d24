//! Promise 11: an idle connection keeps no buffer, and has no task.
//!
//! A binary of its own, since it counts what is allocated.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{Handle, Runtime};
use towline::{Config, Connection, Keepalive, Message, Role};

/// What an idle connection may have on the heap, buffers of the pipe aside: the state that its
/// halves share, the halves of its transport, its entry with the timekeeper.
const BUDGET: u64 = 1280;

const PAIRS: u64 = 50;

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap()
}

/// Pairs of connections, over pipes that hold a kilobyte.
fn pairs() -> Vec<[Connection; 2]> {
    let config = Config::client().keepalive(Keepalive::every(Duration::from_secs(1000)));
    let pair = |_| {
        let (near, far) = tokio::io::duplex(1 << 10);
        let end = |stream, role| Connection::from_stream(stream, role, &config, Bytes::new());
        [end(near, Role::Server), end(far, Role::Client)]
    };
    (0..PAIRS).map(pair).collect()
}

/// The pipes and the halves of them, which are not this crate's.
fn pipes() -> Vec<impl Sized> {
    let pipe = |_| {
        let (near, far) = tokio::io::duplex(1 << 10);
        let fill = |pipe: tokio::io::DuplexStream| tokio::io::split(Box::new(pipe));
        (fill(near), fill(far))
    };
    (0..PAIRS).map(pipe).collect()
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

/// Whatever it has been through: after that, it has nothing that a new one has not.
#[test]
fn an_idle_connection_holds_no_buffer() {
    let runtime = runtime();
    let exchange = async |pairs: &mut Vec<[Connection; 2]>| {
        for pair in pairs {
            echo(pair, Message::binary(vec![7; 64 << 10])).await;
            for _ in 0..100 {
                pair[0].send("burst").await.unwrap();
            }
            for _ in 0..100 {
                pair[1].recv().await.unwrap().unwrap();
            }
            pair[0].send_frame(towline::Frame::text("in").fin(false)).await.unwrap();
            pair[0].send_frame(towline::Frame::continuation("pieces")).await.unwrap();
            pair[1].recv().await.unwrap().unwrap();
            pair[1].ping("?").await.unwrap();
            pair[1].flushed().await;
            echo(pair, Message::text("hi")).await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    };
    // What the thread keeps for all connections is there after the first.
    runtime.block_on(async { exchange(&mut pairs()).await });
    runtime.block_on(async { tokio::time::sleep(Duration::from_secs(10)).await });
    let mut fresh = None;
    let new = allocation_counter::measure(|| {
        fresh = Some(runtime.block_on(async { pairs() }));
    });
    let mut fresh = fresh.unwrap();
    let used = allocation_counter::measure(|| runtime.block_on(exchange(&mut fresh)));
    let mut held = None;
    let pipes = allocation_counter::measure(|| held = Some(pipes()));
    drop((held, fresh));

    let grown = used.bytes_current / i64::try_from(2 * PAIRS).unwrap();
    let each = (new.bytes_current - pipes.bytes_current) / i64::try_from(2 * PAIRS).unwrap();
    println!("{each} bytes each, {grown} more after use");
    assert!(each + grown <= i64::try_from(BUDGET).unwrap(), "{each} bytes, and {grown} after use");
    // The first use of a list of wakers, a duplex's own ring and the like; not a buffer.
    assert!(grown < 1 << 10, "{grown} bytes more than a new connection has");
}

#[test]
fn idle_connections_have_no_tasks() {
    runtime().block_on(async {
        let mut pairs = pairs();
        for pair in &mut pairs {
            echo(pair, Message::binary(vec![7; 64 << 10])).await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        // That of the timekeeper, for all of them.
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 1);
    });
}
