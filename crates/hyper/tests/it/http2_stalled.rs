//! A WebSocket over HTTP/2 that nobody reads, beside one that is read, on one connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use h2::SendStream;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use towline::{Connection, Message, Server};
use towline_hyper::{HttpServer, mount};

use crate::http2::{connect, extended, open};
use crate::raw_http2::{DATA, RawHttp2, extended_connect, frame};
use crate::support::{echo_messages, page, soon};

/// The smallest message that is not empty: a byte, masked with zeros.
const TINY: [u8; 7] = [0x82, 0x81, 0, 0, 0, 0, 7];

/// How many of them are sent.
const MANY: usize = 60_000;

/// The server of one test: the first WebSocket does not receive before `wake`, and then counts. All
/// others echo.
struct Rooms {
    wake: Arc<Notify>,
    received: Arc<AtomicUsize>,
}

impl Rooms {
    fn open(mut server: Server) -> Self {
        let rooms = Self { wake: Arc::default(), received: Arc::default() };
        let (wake, received) = (rooms.wake.clone(), rooms.received.clone());
        tokio::spawn(async move {
            let mut stalled = server.next_request().await.unwrap().accept().await.unwrap();
            tokio::spawn(async move {
                wake.notified().await;
                while let Ok(Some(message)) = stalled.recv().await {
                    assert_eq!(message, Message::binary(vec![7]));
                    received.fetch_add(1, Ordering::Relaxed);
                }
            });
            while let Some(request) = server.next_request().await {
                let mut connection = request.accept().await.unwrap();
                tokio::spawn(async move { echo_messages(&mut connection).await });
            }
        });
        rooms
    }

    async fn check(&self, address: SocketAddr, window: usize) {
        let mut requests = connect(address).await;
        let (response, stalled) = extended(&mut requests, "websocket");
        // The response's stream has to stay.
        let _response = soon(response).await.unwrap();
        let mut live = open(&mut requests).await;
        let sent = Arc::new(AtomicUsize::new(0));
        let sending = tokio::spawn(send_many(stalled, sent.clone()));
        let full = window / TINY.len();
        soon(async {
            while sent.load(Ordering::Relaxed) < full {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        echoes(&mut live, 100).await;
        // Flow control holds the rest. The server has read 64 KiB ahead, and possibly 16 KiB more, for
        // a ping.
        let held = sent.load(Ordering::Relaxed);
        assert!(held <= full + ((64 + 16) << 10) / TINY.len() + 1_000, "{held} were sent");
        self.wake.notify_one();
        soon(async {
            while self.received.load(Ordering::Relaxed) < MANY {
                assert!(!sending.is_finished() || sent.load(Ordering::Relaxed) == MANY);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        echoes(&mut live, 1).await;
        drop(soon(sending).await.unwrap());
    }
}

/// Sends each message in a DATA frame, once flow control has room for it.
async fn send_many(mut stalled: SendStream<Bytes>, sent: Arc<AtomicUsize>) -> SendStream<Bytes> {
    for _ in 0..MANY {
        stalled.reserve_capacity(TINY.len());
        while stalled.capacity() < TINY.len() {
            let capacity = std::future::poll_fn(|cx| stalled.poll_capacity(cx)).await;
            if !matches!(capacity, Some(Ok(_))) {
                return stalled;
            }
        }
        stalled.send_data(Bytes::from_static(&TINY), false).unwrap();
        sent.fetch_add(1, Ordering::Relaxed);
    }
    stalled
}

async fn echoes(live: &mut Connection, count: usize) {
    for round in 0..count {
        let message = Message::text(format!("round {round}"));
        live.send(message.clone()).await.unwrap();
        assert_eq!(soon(live.recv()).await.unwrap(), Some(message));
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_room_does_not_end_a_live_one() {
    let server = Server::builder().build();
    let (listener, address) = listener().await;
    let http = HttpServer::new(mount(server.handle(), service_fn(page::<Incoming>)));
    http.listen(listener);
    Rooms::open(server).check(address, 65_536).await;
}

#[tokio::test]
async fn the_window_of_a_stream_is_an_option() {
    for window in [8 << 10, 192 << 10] {
        let server = Server::builder().build();
        let (listener, address) = listener().await;
        let http = HttpServer::new(mount(server.handle(), service_fn(page::<Incoming>)))
            .http2_stream_window(window)
            .http2_connection_window(u32::MAX);
        http.listen(listener);
        Rooms::open(server).check(address, window as usize).await;
    }
}

/// As [`a_stalled_room_does_not_end_a_live_one`], on a hyper server of one's own: the documentation
/// of the crate has these two lines.
#[tokio::test]
async fn two_lines_keep_a_stalled_room_from_ending_a_live_one() {
    let server = Server::builder().build();
    let (listener, address) = listener().await;
    let service = mount(server.handle(), service_fn(page::<Incoming>));
    let rooms = Rooms::open(server);
    tokio::spawn(async move {
        let (stream, peer) = listener.accept().await.unwrap();
        let service = service.peer_addr(peer);
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http2().enable_connect_protocol();
        builder.http2().initial_connection_window_size(16 << 20);
        builder.http2().initial_stream_window_size(64 << 10);
        builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await
    });
    rooms.check(address, 65_536).await;
}

#[test]
fn the_documentation_has_the_two_lines_that_are_tested() {
    let test = include_str!("http2_stalled.rs");
    let lines: Vec<_> =
        test.lines().filter(|line| line.trim().starts_with("builder.http2().initial_")).collect();
    assert_eq!(lines.len(), 2);
    for (name, page) in [
        ("lib.rs", include_str!("../../src/lib.rs")),
        ("docs/http2.md", include_str!("../../../../docs/http2.md")),
    ] {
        for line in &lines {
            assert!(page.contains(line.trim()), "{name} lacks {line:?}");
        }
    }
}

/// As many as the documentation says.
#[tokio::test]
async fn three_stalled_rooms_with_the_smallest_messages_leave_a_live_one_alone() {
    let mut server = Server::builder().build();
    let (listener, address) = listener().await;
    let http = HttpServer::new(mount(server.handle(), service_fn(page::<Incoming>)));
    http.listen(listener);
    let mut client = RawHttp2::connect(address).await;
    let mut rooms = Vec::new();
    for stream in [1, 3, 5, 7] {
        client.send(&extended_connect(stream)).await;
        rooms.push(soon(server.next_request()).await.unwrap().accept().await.unwrap());
    }
    for stream in [1, 3, 5] {
        client.send(&frame(DATA, 0, stream, &TINY).repeat(65_536 / TINY.len())).await;
    }
    client.send(&frame(DATA, 0, 7, &TINY)).await;
    for mut room in rooms.into_iter().rev() {
        assert_eq!(soon(room.recv()).await.unwrap(), Some(Message::binary(vec![7])));
    }
}

/// What a program leaves unread while it is busy is read ahead, up to 64 KiB for each WebSocket, as
/// the kernel does for a socket. Left in h2, a third of it would end the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_rooms_can_be_busy_for_a_while() {
    const ROOMS: u32 = 100;
    let mut server = Server::builder().build();
    let (listener, address) = listener().await;
    let http = HttpServer::new(mount(server.handle(), service_fn(page::<Incoming>)));
    http.listen(listener);
    let mut client = RawHttp2::connect(address).await;
    let mut rooms = Vec::new();
    for stream in (0..ROOMS).map(|room| 2 * room + 1) {
        client.send(&extended_connect(stream)).await;
        let mut room = soon(server.next_request()).await.unwrap().accept().await.unwrap();
        // Every other one has begun to wait for a message, and waits for something else now.
        if stream % 4 == 1 {
            assert!(room.recv().now_or_never().is_none());
        }
        rooms.push(room);
    }
    for _ in 0..10 {
        for stream in (0..ROOMS).map(|room| 2 * room + 1) {
            client.send(&frame(DATA, 0, stream, &TINY).repeat(100)).await;
        }
        client.sync().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for mut room in rooms {
        for _ in 0..1_000 {
            assert_eq!(soon(room.recv()).await.unwrap(), Some(Message::binary(vec![7])));
        }
    }
}
