//! `axum::serve(…).with_graceful_shutdown(towline_axum::shutdown_on(…))`, on real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use towline::{CloseCode, Config, Connection, ErrorKind, Server, ServerHandle};
use towline_axum::{Upgrade, layer, shutdown_on};

use crate::support::{LONG, app, client, connect, soon};

/// An app that is served until it is told to stop.
struct Serving {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Serving {
    async fn start(app: Router, server: ServerHandle, deadline: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let app = app.layer(layer(server.clone()));
        let signal = shutdown_on(server, async { drop(stopped.await) }).deadline(deadline);
        let task =
            tokio::spawn(async { axum::serve(listener, app).with_graceful_shutdown(signal).await });
        Self { address, stop: Some(stop), task }
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    async fn end(self) {
        soon(self.task).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn sockets_end_with_1001_and_serving_waits_for_them() {
    let server = Server::builder().build_handle();
    let mut serving = Serving::start(app(), server.clone(), LONG).await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(connect(serving.address, "/ws").await);
    }
    // A client that does not answer yet.
    let mut slow = connect(serving.address, "/ws").await;
    while server.connections().len() < 51 {
        tokio::task::yield_now().await;
    }
    serving.stop();
    for client in &mut clients {
        assert_eq!(soon(client.recv()).await.unwrap(), None);
        assert_eq!(client.closed().unwrap().code(), CloseCode::GOING_AWAY);
    }
    assert!(!serving.task.is_finished());
    assert!(soon(slow.recv()).await.unwrap().is_none());
    serving.end().await;
    assert!(server.connections().is_empty());
}

#[tokio::test]
async fn pages_are_served_until_the_sockets_have_ended_and_new_sockets_get_503() {
    let [arrived, release] = [(); 2].map(|()| Arc::new(Notify::new()));
    let server = Server::builder().build_handle();
    let (here, held) = (arrived.clone(), release.clone());
    let undecided = async move |upgrade: Upgrade| {
        here.notify_one();
        held.notified().await;
        upgrade.on_connection(async |mut connection: Connection| connection.recv().await.map(drop))
    };
    let app = app().route("/later", any(undecided));
    let mut serving = Serving::start(app, server.clone(), LONG).await;
    let address = serving.address;
    let mut open = connect(address, "/ws").await;
    let later = tokio::spawn(async move { connect(address, "/later").await });
    // A handler has the request, and has not decided.
    soon(arrived.notified()).await;
    serving.stop();
    assert_eq!(soon(open.recv()).await.unwrap(), None);
    drop(open);
    let error = soon(client().connect(format!("ws://{address}/ws"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HttpResponse);
    assert_eq!(error.response().unwrap().status(), 503);
    let mut page = TcpStream::connect(address).await.unwrap();
    page.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    soon(page.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(!serving.task.is_finished());
    // It decides: the connection is made, and closed at once.
    release.notify_one();
    let mut later = soon(later).await.unwrap();
    assert_eq!(soon(later.recv()).await.unwrap(), None);
    assert_eq!(later.closed().unwrap().code(), CloseCode::GOING_AWAY);
    serving.end().await;
}

#[tokio::test]
async fn whoever_does_not_end_in_time_is_aborted() {
    let config = Config::server().close_timeout(LONG);
    let server = Server::builder().config(config).build_handle();
    let mut serving = Serving::start(app(), server.clone(), Duration::from_millis(100)).await;
    // It never reads.
    let mut tcp = TcpStream::connect(serving.address).await.unwrap();
    tcp.write_all(
        b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )
    .await
    .unwrap();
    while server.connections().is_empty() {
        tokio::task::yield_now().await;
    }
    serving.stop();
    serving.end().await;
    assert!(server.connections().is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_sockets_it_is_ready_with_its_signal() {
    let server = Server::builder().build_handle();
    let (stop, stopped) = oneshot::channel::<()>();
    let mut shutdown = shutdown_on(server.clone(), async { drop(stopped.await) });
    tokio::select! {
        biased;
        () = &mut shutdown => panic!("it was not told"),
        () = tokio::task::yield_now() => {}
    }
    assert!(server.is_mounted());
    stop.send(()).unwrap();
    soon(shutdown).await;
    assert!(!server.is_mounted());
}
