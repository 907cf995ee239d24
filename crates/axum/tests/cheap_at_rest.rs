//! An idle connection under axum costs what one on a listening socket of Towline costs.
//!
//! A binary of its own, since it counts what is allocated on the server's thread.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use axum::Router;
use axum::routing::any;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use towline::{Connection, Server};
use towline_axum::Upgrade;

const CONNECTIONS: usize = 50;

/// What the extensions that axum puts into a request may cost.
const EXTENSIONS: i64 = 600;

/// What the way through axum may cost apart from them: the path for the log.
const SLACK: i64 = 200;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn idle(mut connection: Connection) -> towline::Result<()> {
    while connection.recv().await?.is_some() {}
    Ok(())
}

/// Serves as many programs do that have no framework.
async fn bare() -> SocketAddr {
    let mut server = Server::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(async move {
        while let Some(request) = server.next_request().await {
            tokio::spawn(async move { idle(request.accept().await?).await });
        }
    });
    address
}

async fn under_axum(clears: bool) -> SocketAddr {
    let handle = move |mut upgrade: Upgrade| async move {
        if clears {
            upgrade.request_mut().data_mut().clear();
        }
        upgrade.on_connection(idle)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/", any(handle));
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Connects from a thread of its own, whose memory is not counted.
async fn connect(address: SocketAddr) -> Vec<TcpStream> {
    let (done, connected) = oneshot::channel();
    thread::spawn(move || {
        let clients = (0..CONNECTIONS).map(|_| {
            let mut tcp = TcpStream::connect(address).unwrap();
            let request = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\
                           Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
            tcp.write_all(request.as_bytes()).unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                tcp.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            tcp
        });
        done.send(clients.collect()).unwrap();
    });
    let clients = connected.await.unwrap();
    for _ in 0..500 {
        tokio::task::yield_now().await;
    }
    clients
}

/// The bytes on the heap for one idle connection.
fn each(serve: impl AsyncFnOnce() -> SocketAddr) -> i64 {
    let runtime = runtime();
    let address = runtime.block_on(serve());
    // What the thread and the server keep for all connections is there then.
    let first = runtime.block_on(connect(address));
    let mut more = Vec::new();
    let used = allocation_counter::measure(|| more = runtime.block_on(connect(address)));
    drop((first, more));
    used.bytes_current / CONNECTIONS as i64
}

#[test]
fn an_idle_connection_costs_what_it_costs_on_a_bare_listener() {
    let bare = each(bare);
    let axum = each(async || under_axum(false).await);
    let cleared = each(async || under_axum(true).await);
    println!("{bare} bytes each, {axum} under axum, {cleared} without extensions");
    assert!(axum <= bare + EXTENSIONS, "{axum} bytes each, {bare} on a bare listener");
    assert!(cleared <= bare + SLACK, "{cleared} bytes each, {bare} on a bare listener");
}
