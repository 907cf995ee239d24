//! Promise 11 over HTTP/2: an idle WebSocket keeps no buffer, and has no task.
//!
//! A binary of its own, since it counts what is allocated. The server is on another thread, where
//! nothing is counted.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "http2/server.rs"]
#[allow(dead_code)]
mod server;

use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use towline::{Client, Config, Connection, HttpVersion, Keepalive, Message, Proxy};

use crate::server::Hub;

/// What an idle WebSocket may have on the heap, with its part of the shared connection.
const BUDGET: i64 = 3 << 10;

const COUNT: usize = 200;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The URL of a server that allows many streams.
fn hub() -> String {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let hub = Hub::new(10_000).await;
            tell.send(hub.url.clone()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    told.recv().unwrap()
}

async fn connections(client: &Client, url: &str, count: usize) -> Vec<Connection> {
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        all.push(client.connect(url).await.unwrap());
    }
    all
}

async fn exchange(connections: &mut [Connection]) {
    for connection in connections {
        for message in [Message::binary(vec![7; 64 << 10]), Message::text("hi")] {
            connection.send(message.clone()).await.unwrap();
            assert_eq!(connection.recv().await.unwrap(), Some(message));
        }
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn an_idle_websocket_holds_no_buffer_and_has_no_task() {
    let (runtime, url) = (runtime(), hub());
    let config = Config::client().keepalive(Keepalive::every(Duration::from_secs(1000)));
    let client = Client::new().config(config).proxy(Proxy::none());
    let client = client.http_version(HttpVersion::Http2);
    // The connection, and what the thread keeps for all of them.
    let mut first = runtime.block_on(connections(&client, &url, 1));
    runtime.block_on(exchange(&mut first));
    let tasks = runtime.block_on(async { Handle::current().metrics().num_alive_tasks() });
    let mut idle = Vec::new();
    let new = allocation_counter::measure(|| {
        idle = runtime.block_on(connections(&client, &url, COUNT));
    });
    let used = allocation_counter::measure(|| runtime.block_on(exchange(&mut idle)));
    let count = i64::try_from(COUNT).unwrap();
    let (new, used) = (new.bytes_current / count, used.bytes_current / count);
    println!("{new} bytes each, {used} more after use");
    assert!(new + used <= BUDGET, "{new} bytes each, and {used} more after use");
    let after = runtime.block_on(async { Handle::current().metrics().num_alive_tasks() });
    assert_eq!(after, tasks);
}
