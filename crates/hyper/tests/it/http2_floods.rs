//! Clients that flood an HTTP/2 connection. Each is ended, at a bounded cost, and alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use towline::{CloseCode, Config, Connection, ErrorKind, Server};
use towline_hyper::{HttpServer, mount};

use crate::raw_http2::{
    CANCEL, CONTINUATION, DATA, ENHANCE_YOUR_CALM, EXTENDED, GOAWAY, HEADERS, PING, RST_STREAM,
    RawHttp2, SETTINGS, WINDOW_UPDATE, block, extended_connect, frame, neighbour_lives, reset,
    status,
};
use crate::support::{Front, echo_messages, page, serve, soon};

/// A client with a WebSocket on stream 1, and its connection at the server, which is not read.
async fn stalled(server: &mut Server) -> (std::net::SocketAddr, RawHttp2, Connection) {
    let address = serve(server, Front::HttpServer).await;
    let mut client = RawHttp2::connect(address).await;
    client.send(&extended_connect(1)).await;
    let connection = soon(server.next_request()).await.unwrap().accept().await.unwrap();
    assert_eq!(status(&client.until(HEADERS).await), 200);
    (address, client, connection)
}

/// Echoes for every client from now on.
fn echo_from_now_on(mut server: Server) {
    tokio::spawn(async move {
        while let Some(request) = server.next_request().await {
            tokio::spawn(async move {
                if let Ok(mut connection) = request.accept().await {
                    echo_messages(&mut connection).await;
                }
            });
        }
    });
}

/// Waits until no more tasks are left than this.
pub(crate) async fn few_tasks(most: usize) {
    let metrics = Handle::current().metrics();
    soon(async {
        while metrics.num_alive_tasks() > most {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn ends_with_calm(client: &mut RawHttp2, debug_data: &str) {
    let end = client.until(GOAWAY).await;
    assert_eq!((end.error_code(), end.debug_data()), (ENHANCE_YOUR_CALM, debug_data));
    // Nothing but the rest of what was on its way.
    while client.next().await.is_some() {}
}

#[tokio::test]
async fn a_flood_of_empty_data_ends_the_connection() {
    let mut server = Server::builder().build();
    let (address, mut client, mut connection) = stalled(&mut server).await;
    echo_from_now_on(server);
    client.send(&frame(DATA, 0, 1, &[]).repeat(101)).await;
    ends_with_calm(&mut client, "too_many_data_frames").await;
    let error = soon(connection.recv()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost);
    let cause = "this end ended the HTTP/2 connection: ENHANCE_YOUR_CALM (too_many_data_frames)";
    assert!(error.to_string().ends_with(cause), "{error}");
    neighbour_lives(address).await;
}

#[tokio::test]
async fn a_flood_of_small_data_ends_the_connection() {
    let mut server = Server::builder().build();
    let (address, mut client, mut connection) = stalled(&mut server).await;
    echo_from_now_on(server);
    // 64 KiB are read ahead. Then each costs 255, of half the window of 16 MiB.
    const MOST: u32 = (64 << 10) + (8 << 20) / 255 + 1;
    let byte = frame(DATA, 0, 1, &[0]);
    let mut sent = 0;
    while sent < MOST {
        let count = (65_536 + client.more_window - sent).min(MOST - sent).min(1_000);
        client.send(&byte.repeat(count as usize)).await;
        sent += count;
        if sent < MOST {
            client.sync().await;
        }
    }
    // Those which are read ahead by the thousand, beyond that.
    let _ = soon(client.try_send(&byte.repeat(5_000))).await;
    ends_with_calm(&mut client, "too_many_data_frames").await;
    assert_eq!(soon(connection.recv()).await.unwrap_err().kind(), ErrorKind::PeerViolation);
    neighbour_lives(address).await;
}

/// hyper has no option for it. If this fails, h2 does not count them any more, and docs/http2.md need not say so.
#[tokio::test]
async fn small_data_for_websockets_that_were_aborted_counts_for_good() {
    const EACH: usize = 4_000;
    // Of half the window of 16 MiB, each costs 255.
    const MOST: usize = (8 << 20) / 255 + 1;
    let mut server = Server::builder().build();
    let address = serve(&server, Front::HttpServer).await;
    let mut client = RawHttp2::connect(address).await;
    let mut sent = 0;
    let mut stream = 1;
    while sent < MOST {
        client.send(&extended_connect(stream)).await;
        let connection = soon(server.next_request()).await.unwrap().accept().await.unwrap();
        connection.abort(CloseCode::POLICY, "spam");
        drop(connection);
        while client.until(RST_STREAM).await.stream != stream {}
        let count = EACH.min(MOST - sent);
        client.send(&frame(DATA, 0, stream, &[0]).repeat(count)).await;
        sent += count;
        stream += 2;
    }
    ends_with_calm(&mut client, "too_many_data_frames").await;
}

#[tokio::test]
async fn a_rapid_reset_ends_the_connection() {
    let server = Server::builder().build();
    let address = serve(&server, Front::HttpServer).await;
    echo_from_now_on(server);
    let before = Handle::current().metrics().num_alive_tasks();
    let mut client = RawHttp2::connect(address).await;
    let pairs = (0..10_000).flat_map(|index| {
        let stream = 2 * index + 1;
        [extended_connect(stream), reset(stream, CANCEL)].concat()
    });
    let pairs: Vec<u8> = pairs.collect();
    // The server is possibly gone before it has taken all.
    let _ = soon(client.try_send(&pairs)).await;
    while client.next().await.is_some_and(|frame| frame.kind != GOAWAY) {}
    drop(client);
    few_tasks(before).await;
    neighbour_lives(address).await;
}

#[tokio::test]
async fn requests_reset_one_by_one_leave_nothing_behind() {
    let server = Server::builder().max_pending_requests(8).build();
    let address = serve(&server, Front::HttpServer).await;
    // Nobody takes the requests.
    let mut client = RawHttp2::connect(address).await;
    client.sync().await;
    let before = Handle::current().metrics().num_alive_tasks();
    for index in 0..500 {
        let stream = 2 * index + 1;
        client.send(&extended_connect(stream)).await;
        client.sync().await;
        client.send(&reset(stream, CANCEL)).await;
        client.sync().await;
    }
    // Requests that wait for the program, at most.
    few_tasks(before + 16).await;
    drop(client);
    echo_from_now_on(server);
    neighbour_lives(address).await;
}

#[tokio::test]
async fn open_streams_are_limited() {
    let server = Server::builder().build();
    let address = serve(&server, Front::HttpServer).await;
    let mut client = RawHttp2::connect(address).await;
    let settings = client.until(SETTINGS).await.payload;
    let value = |id: u8| {
        let entry = settings.chunks(6).find(|entry| entry[..2] == [0, id]).unwrap();
        u32::from_be_bytes(entry[2..].try_into().unwrap())
    };
    // SETTINGS_MAX_CONCURRENT_STREAMS, SETTINGS_INITIAL_WINDOW_SIZE, and
    // SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441, section 3).
    assert_eq!((value(3), value(4), value(8)), (200, 65_536, 1));
    for index in 0..201 {
        client.send(&extended_connect(2 * index + 1)).await;
    }
    let refused = client.until(RST_STREAM).await;
    assert_eq!((refused.stream, refused.error_code()), (401, 7));
    echo_from_now_on(server);
    neighbour_lives(address).await;
}

#[tokio::test]
async fn a_flood_of_continuations_ends_the_connection() {
    let server = Server::builder().build();
    let address = serve(&server, Front::HttpServer).await;
    echo_from_now_on(server);
    let before = Handle::current().metrics().num_alive_tasks();
    for payload in [&[][..], &block(&[("x-sailor", "ahoy")])] {
        let mut client = RawHttp2::connect(address).await;
        client.send(&frame(HEADERS, 0, 1, &block(&EXTENDED))).await;
        let flood = frame(CONTINUATION, 0, 1, payload).repeat(20_000);
        let _ = soon(client.try_send(&flood)).await;
        while client.next().await.is_some_and(|frame| frame.kind != GOAWAY) {}
        drop(client);
    }
    few_tasks(before).await;
    neighbour_lives(address).await;
}

/// A client that reads no answers. The server then reads no more either, so the flood waits in the
/// client, and disconnects it once it has taken no bytes for too long.
async fn is_held_and_ended(flood: &[u8]) {
    const DEADLINE: Duration = Duration::from_secs(1);
    let server = Server::builder().build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let http = HttpServer::new(mount(server.handle(), service_fn(page::<Incoming>)))
        .header_timeout(DEADLINE);
    http.listen(listener);
    echo_from_now_on(server);
    let before = Handle::current().metrics().num_alive_tasks();
    let mut client = RawHttp2::connect(address).await;
    let chunk = flood.repeat((1 << 20) / flood.len());
    soon(async { while client.try_send(&chunk).await.is_ok() {} }).await;
    few_tasks(before).await;
    neighbour_lives(address).await;
}

#[tokio::test]
async fn a_flood_of_pings_whose_answers_are_not_read_is_ended() {
    is_held_and_ended(&frame(PING, 0, 0, b"12345678")).await;
}

#[tokio::test]
async fn a_flood_of_settings_whose_answers_are_not_read_is_ended() {
    is_held_and_ended(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255])).await;
}

/// It opens all windows, and takes nothing from the socket.
#[tokio::test]
async fn a_client_that_takes_nothing_fills_little_memory() {
    const STREAMS: u32 = 100;
    const MESSAGE: usize = 16 << 10;
    // h2 takes 64 KiB of each stream and one write, hyper three writes, and the queue two messages.
    const EACH: usize = (64 << 10) + 6 * MESSAGE;
    // What the kernel has for the socket.
    const KERNEL: usize = 16 << 20;

    let config = Config::server().send_high_water_mark(1);
    let mut server = Server::builder().config(config).build();
    let address = serve(&server, Front::HttpServer).await;
    let mut client = RawHttp2::connect(address).await;
    let window = (1u32 << 30).to_be_bytes();
    client.send(&frame(WINDOW_UPDATE, 0, 0, &window)).await;
    let taken = Arc::new(AtomicUsize::new(0));
    for stream in (0..STREAMS).map(|number| 2 * number + 1) {
        client.send(&extended_connect(stream)).await;
        client.send(&frame(WINDOW_UPDATE, 0, stream, &window)).await;
        let connection = soon(server.next_request()).await.unwrap().accept().await.unwrap();
        let taken = taken.clone();
        tokio::spawn(async move {
            while connection.send(vec![7; MESSAGE]).await.is_ok() {
                taken.fetch_add(MESSAGE, Ordering::Relaxed);
            }
        });
    }
    // As much as h2 takes of each stream at least, before nothing moves any more.
    let least = STREAMS as usize * (64 << 10);
    soon(async {
        while taken.load(Ordering::Relaxed) < least {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let mut before = usize::MAX;
    while before != taken.load(Ordering::Relaxed) {
        before = taken.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(before <= STREAMS as usize * EACH + KERNEL, "{before} bytes");
    drop(client);
}
