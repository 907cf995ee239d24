//! WebSockets over HTTP/2 that have ended, whose last bytes the client gives no window for.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http2;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use towline::{CloseCode, Connection, Server};
use towline_hyper::{Http2Executor, HttpServer, mount};

use crate::http2_floods::few_tasks;
use crate::raw_http2::{
    ACK, CANCEL, DATA, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, PING, RST_STREAM, RawHttp2,
    WINDOW_UPDATE, extended_connect, frame, status,
};
use crate::support::{LONG, echo_messages, page, soon};

/// How many WebSockets of a connection end.
const MANY: u32 = 100;

/// The length of the message that each sends before, in one frame.
const LEN: usize = 10_000;

/// How the WebSockets end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Closed,
    Aborted,
    Dropped,
    /// The client ends its side of the stream.
    ByTheClient,
}

/// Echoes if it is the first; otherwise sends a message, and ends.
async fn talk(mut connection: Connection, is_first: bool, ending: Ending) {
    if is_first {
        return echo_messages(&mut connection).await;
    }
    connection.send(vec![7; LEN]).await.unwrap();
    match ending {
        Ending::Closed => drop(connection.close(CloseCode::NORMAL, "bye").await),
        Ending::Aborted => connection.abort(CloseCode::POLICY, "spam"),
        Ending::Dropped => drop(connection),
        Ending::ByTheClient => drop(connection.recv().await.unwrap_err()),
    }
}

pub(crate) fn talk_to_all(mut server: Server, ending: Ending) {
    tokio::spawn(async move {
        let mut is_first = true;
        while let Some(request) = server.next_request().await {
            let is_first = std::mem::take(&mut is_first);
            tokio::spawn(async move {
                talk(request.accept().await.unwrap(), is_first, ending).await;
            });
        }
    });
}

/// Serves one connection with hyper, in memory, so that time can be virtual.
fn serve_in_memory<S, B>(service: S) -> DuplexStream
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let (at_server, at_client) = tokio::io::duplex(1 << 20);
    let mut builder = http2::Builder::new(Http2Executor::new());
    builder.enable_connect_protocol();
    tokio::spawn(builder.serve_connection(TokioIo::new(at_server), service));
    at_client
}

/// A client that gives each stream this window, and the connection enough for all.
async fn client<S: AsyncRead + AsyncWrite + Unpin>(stream: S, window: u32) -> RawHttp2<S> {
    let setting = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &window.to_be_bytes()].concat();
    let mut client = RawHttp2::over(stream, &setting).await;
    give(&mut client, 0, 16 << 20).await;
    client
}

async fn give<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut RawHttp2<S>,
    stream: u32,
    window: u32,
) {
    client.send(&frame(WINDOW_UPDATE, 0, stream, &window.to_be_bytes())).await;
}

const HI: [u8; 8] = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(client: &mut RawHttp2<S>) {
    client.send(&frame(DATA, 0, 1, &HI)).await;
    while client.until(DATA).await.stream != 1 {}
}

/// Opens one WebSocket that lives, and many that end. The latter are reset, and leave no task; the
/// former echoes before that and after it.
pub(crate) async fn check<S>(stream: S, window: u32, ending: Ending)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut client = client(stream, window).await;
    client.open(1).await;
    give(&mut client, 1, 1 << 20).await;
    echo(&mut client).await;
    let before = Handle::current().metrics().num_alive_tasks();
    let streams: BTreeSet<u32> = (1..=MANY).map(|number| 2 * number + 1).collect();
    for stream in &streams {
        client.send(&extended_connect(*stream)).await;
        if ending == Ending::ByTheClient {
            client.send(&frame(DATA, END_STREAM, *stream, &[])).await;
        }
    }
    let (mut opened, mut reset, mut has_echoed) = (0, BTreeSet::new(), false);
    while reset.len() < streams.len() || !has_echoed {
        let received = client.next().await.expect("the connection ended");
        match received.kind {
            HEADERS => {
                assert_eq!(status(&received), 200);
                opened += 1;
                if opened == MANY {
                    client.send(&frame(DATA, 0, 1, &HI)).await;
                }
            }
            DATA if received.stream == 1 => has_echoed = true,
            RST_STREAM => {
                assert_eq!(received.error_code(), CANCEL);
                reset.insert(received.stream);
            }
            _ => {}
        }
    }
    assert_eq!(reset, streams);
    few_tasks(before).await;
    echo(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn streams_are_reset_in_an_accept_loop_of_ones_own() {
    for ending in [Ending::Closed, Ending::Aborted, Ending::Dropped, Ending::ByTheClient] {
        // None; one byte, for which h2 takes a whole write; and most of it.
        for window in [0, 1, 9_000] {
            let server = Server::builder().build();
            let service = mount(server.handle(), service_fn(page::<Incoming>));
            talk_to_all(server, ending);
            check(serve_in_memory(service), window, ending).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn streams_are_reset_in_a_handler_of_ones_own() {
    let server = Server::builder().build_handle();
    let is_first = Arc::new(AtomicBool::new(true));
    let handler = service_fn(move |request: Request<Incoming>| {
        let (server, is_first) = (server.clone(), is_first.clone());
        async move {
            let (request, response) = towline_hyper::request(&server, request, None).unwrap();
            tokio::spawn(async move {
                let connection = request.accept().await.unwrap();
                talk(connection, is_first.swap(false, Ordering::Relaxed), Ending::Aborted).await;
            });
            Ok::<_, Infallible>(response.await.map(Full::new))
        }
    });
    check(serve_in_memory(handler), 0, Ending::Aborted).await;
}

#[tokio::test]
async fn streams_are_reset_by_an_http_server() {
    let server = Server::builder().build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let http = HttpServer::new(mount(server.handle(), service_fn(page::<Incoming>)));
    http.listen(listener);
    talk_to_all(server, Ending::Aborted);
    check(TcpStream::connect(address).await.unwrap(), 0, Ending::Aborted).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_slow_and_in_time_gets_everything() {
    let mut server = Server::builder().build();
    let service = mount(server.handle(), service_fn(page::<Incoming>));
    let mut client = client(serve_in_memory(service), 0).await;
    client.send(&extended_connect(1)).await;
    let connection = soon(server.next_request()).await.unwrap().accept().await.unwrap();
    connection.send(vec![7; LEN]).await.unwrap();
    // hyper takes it.
    tokio::time::sleep(Duration::from_millis(10)).await;
    connection.abort(CloseCode::POLICY, "spam");
    drop(connection);
    // 4.4 s in all.
    for _ in 0..11 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        give(&mut client, 1, 1_000).await;
    }
    let mut got = Vec::new();
    loop {
        let data = client.until(DATA).await;
        got.extend(data.payload);
        if data.flags & END_STREAM != 0 {
            break;
        }
    }
    let expected = [&[0x82, 126, 0x27, 0x10][..], &[7; LEN], &[0x88, 6, 0x03, 0xF0], b"spam"];
    assert!(got == expected.concat(), "{} bytes", got.len());
    assert_eq!(client.until(RST_STREAM).await.error_code(), 0);
}

/// A server with WebSockets that have ended and linger, and the client that they linger for.
async fn lingering() -> (HttpServer<impl Sized>, RawHttp2) {
    let mut server = Server::builder().build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Its pings would end the connection.
    let http =
        HttpServer::new(mount(server.handle(), service_fn(page::<Incoming>))).header_timeout(LONG);
    http.listen(listener);
    let mut client = client(TcpStream::connect(address).await.unwrap(), 0).await;
    for number in 0..MANY {
        client.send(&extended_connect(2 * number + 1)).await;
        let connection = soon(server.next_request()).await.unwrap().accept().await.unwrap();
        talk(connection, false, Ending::Aborted).await;
    }
    (http, client)
}

#[tokio::test]
async fn a_shutdown_ends_when_the_streams_that_linger_do() {
    let (http, mut client) = lingering().await;
    let answering = tokio::spawn(async move {
        while let Some(received) = client.next().await {
            if received.kind == PING && received.flags & ACK == 0 {
                client.send(&frame(PING, ACK, 0, &received.payload)).await;
            }
        }
    });
    assert_eq!(soon(http.shutdown(LONG)).await, 0);
    soon(answering).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_ends_streams_that_linger_at_its_deadline() {
    let before = Handle::current().metrics().num_alive_tasks();
    let (http, client) = lingering().await;
    assert_eq!(soon(http.shutdown(Duration::from_millis(1))).await, 1);
    few_tasks(before).await;
    drop(client);
}
