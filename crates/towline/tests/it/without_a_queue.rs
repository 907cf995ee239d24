//! Requests that an HTTP library's handler takes itself: `ServerHandle::request`.

use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::TcpListener;
use towline::{
    Accept, CloseCode, Config, Connection, ErrorKind, Events, Message, OriginPolicy, Request,
    Responding, Role, Server, ServerEvent, ServerHandle, Upgraded,
};

use crate::http::{answer, http_request, request, status};
use crate::wire::settle;

const SECOND: Duration = Duration::from_secs(1);

/// Whatever happens without a deadline passing.
async fn promptly<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(SECOND / 2, future).await.expect("something holds it up")
}

/// A request whose stream is there at once, and its other end.
fn taken(server: &ServerHandle) -> (Request, Responding, DuplexStream) {
    let (near, far) = duplex(64 << 10);
    let upgraded = async move { Ok(Upgraded::new(near, Vec::new())) };
    let (request, response) = server.request(http_request(), None, upgraded).unwrap();
    (request, response, far)
}

fn client(far: DuplexStream) -> Connection {
    Connection::from_stream(far, Role::Client, &Config::client(), Bytes::new())
}

/// The status that a request is refused with.
fn refused(server: &ServerHandle, request: http::Request<()>) -> u16 {
    server.request(request, None, pending()).unwrap_err().status().as_u16()
}

fn event(events: &mut Events) -> Option<ServerEvent> {
    events.next().now_or_never().flatten()
}

fn is_rejection(event: Option<ServerEvent>, code: u16) -> bool {
    matches!(event, Some(ServerEvent::Rejected { status, .. }) if status == code)
}

#[tokio::test(start_paused = true)]
async fn it_becomes_a_connection_like_any_other() {
    let config = Config::server().max_received_message_size(4);
    let server = Server::builder().config(config).build_handle();
    let mut events = server.events();
    let mut http = http_request();
    http.headers_mut().insert("sec-websocket-protocol", "chat.v1, chat.v2".parse().unwrap());
    http.headers_mut().insert("x-forwarded-for", "192.0.2.7".parse().unwrap());
    http.extensions_mut().insert("a sailor");
    let peer: SocketAddr = ([127, 0, 0, 1], 4711).into();
    let (near, far) = duplex(64 << 10);
    let upgraded = async move { Ok(Upgraded::new(near, Vec::new())) };
    let (request, response) = server.request(http, Some(peer), upgraded).unwrap();
    assert_eq!(request.peer_addr(), Some(peer));
    assert_eq!(request.remote_address(), Some(IpAddr::from([192, 0, 2, 7])));
    let accept = Accept::new().protocol("chat.v2").header("X-Ship", "Endurance");
    let (connection, response) = tokio::join!(request.accept_with(accept), response);
    let mut connection = connection.unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["x-ship"], "Endurance");
    assert_eq!(connection.data().get(), Some(&"a sailor"));
    assert_eq!((connection.protocol(), server.connections().len()), (Some("chat.v2"), 1));
    assert!(matches!(event(&mut events), Some(ServerEvent::Accepted(_))));
    assert!(matches!(event(&mut events), Some(ServerEvent::Connected(_))));

    let client = client(far);
    client.send("ahoy").await.unwrap();
    assert_eq!(connection.recv().await.unwrap(), Some(Message::text("ahoy")));
    client.send("ship ahoy").await.unwrap();
    assert_eq!(connection.recv().await.unwrap_err().kind(), ErrorKind::LimitExceeded);
    connection.wait_closed().await;
    assert!(matches!(event(&mut events), Some(ServerEvent::Closed(..))));
    assert!(server.connections().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_response_is_there_after_the_first_poll() {
    let server = Server::builder().build_handle();
    let (request, mut response) = server.request(http_request(), None, pending()).unwrap();
    assert!((&mut response).now_or_never().is_none());
    let mut accepting = pin!(request.accept());
    assert!(accepting.as_mut().now_or_never().is_none());
    assert_eq!(response.now_or_never().unwrap().status(), 101);

    let (request, response) = server.request(http_request(), None, pending()).unwrap();
    let rejecting = request.reject(http::StatusCode::NOT_FOUND, "no such room");
    assert!(rejecting.now_or_never().is_some());
    assert_eq!(response.now_or_never().unwrap().status(), 404);
}

#[tokio::test]
async fn a_request_that_is_dropped_is_answered_with_500() {
    let server = Server::builder().build_handle();
    let mut events = server.events();
    let (request, response, _far) = taken(&server);
    drop(request);
    assert_eq!(promptly(response).await.status(), 500);
    assert!(is_rejection(event(&mut events), 500));
}

#[tokio::test]
async fn a_handler_that_answers_in_another_way_reports_nothing() {
    let server = Server::builder().build_handle();
    let mut events = server.events();
    let (request, response, _far) = taken(&server);
    drop(response);
    drop(request);
    settle().await;
    assert!(event(&mut events).is_none());
}

#[tokio::test]
async fn without_its_response_a_request_is_gone() {
    let server = Server::builder().build_handle();
    let (request, response, _far) = taken(&server);
    drop(response);
    assert_eq!(promptly(request.accept()).await.unwrap_err().kind(), ErrorKind::RequestGone);
    let (request, response, _far) = taken(&server);
    drop(response);
    let rejecting = request.reject(http::StatusCode::NOT_FOUND, "");
    assert_eq!(promptly(rejecting).await.unwrap_err().kind(), ErrorKind::RequestGone);

    // Dropped later, the library gives no stream.
    let broken = async { Err(io::ErrorKind::BrokenPipe.into()) };
    let (request, response) = server.request(http_request(), None, broken).unwrap();
    let (accepted, _response) = tokio::join!(request.accept(), response);
    assert_eq!(accepted.unwrap_err().kind(), ErrorKind::RequestGone);
    assert!(server.connections().is_empty());
}

#[tokio::test]
async fn what_is_no_handshake_is_rejected_with_its_status() {
    let server = Server::builder().build_handle();
    let mut events = server.events();
    let plain = http::Request::get("/").header("Host", "h").body(()).unwrap();
    assert_eq!(refused(&server, plain), 426);
    let failed = event(&mut events);
    let Some(ServerEvent::HandshakeFailed { status, .. }) = failed else { panic!("{failed:?}") };
    assert_eq!(status.unwrap(), 426);
    let mut post = http_request();
    *post.method_mut() = http::Method::POST;
    assert_eq!(refused(&server, post), 405);
    let mut old = http_request();
    old.headers_mut().insert("sec-websocket-version", "7".parse().unwrap());
    let rejection = server.request(old, None, pending()).unwrap_err();
    assert_eq!(rejection.status(), 426);
    assert!(rejection.headers().iter().any(|(name, _)| name == "sec-websocket-version"));
    let mut keyless = http_request();
    keyless.headers_mut().remove("sec-websocket-key");
    assert_eq!(refused(&server, keyless), 400);
}

#[tokio::test]
async fn the_origin_policy_holds() {
    let server = Server::builder().build_handle();
    let foreign = || {
        let mut request = http_request();
        request.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
        request
    };
    let (request, response) = server.request(foreign(), None, pending()).unwrap();
    let (accepted, response) = tokio::join!(request.accept(), response);
    assert_eq!(accepted.unwrap_err().kind(), ErrorKind::OriginRefused);
    assert_eq!(response.status(), 403);
    let server = Server::builder().origins(OriginPolicy::Any).build_handle();
    let (request, response) = server.request(foreign(), None, pending()).unwrap();
    let mut accepting = pin!(request.accept());
    assert!(accepting.as_mut().now_or_never().is_none());
    assert_eq!(response.await.status(), 101);
}

#[tokio::test(start_paused = true)]
async fn unanswered_requests_count_among_the_handshakes() {
    let server = Server::builder().max_handshakes(3).build_handle();
    let one = taken(&server);
    let (two, two_response, _two_far) = taken(&server);
    let (three, three_response) = server.request(http_request(), None, pending()).unwrap();
    let rejection = server.request(http_request(), None, pending()).unwrap_err();
    assert_eq!(rejection.status(), 503);
    assert!(rejection.reason().contains("3 handshakes"), "{rejection}");
    assert!(rejection.reason().contains("max_handshakes"), "{rejection}");

    // Each end of a handshake frees its place: dropped, accepted, and given up.
    drop(one);
    let again = taken(&server);
    assert_eq!(refused(&server, http_request()), 503);
    let (connection, _) = tokio::join!(two.accept(), two_response);
    let connection = connection.unwrap();
    let once_more = taken(&server);
    assert_eq!(refused(&server, http_request()), 503);
    let (accepted, _) = tokio::join!(three.accept(), three_response);
    // Its stream does not come within the handshake timeout.
    assert_eq!(accepted.unwrap_err().kind(), ErrorKind::RequestGone);
    let last = taken(&server);
    assert_eq!(refused(&server, http_request()), 503);
    drop((again, once_more, last, connection));
}

#[tokio::test(start_paused = true)]
async fn while_unmounted_there_are_only_rejections() {
    let server = Server::builder().build();
    let handle = server.handle();
    let (request, response, far) = taken(&handle);
    handle.unmount();
    assert_eq!(refused(&handle, http_request()), 503);
    // What has arrived can be accepted.
    let (connection, response) = tokio::join!(request.accept(), response);
    assert!(connection.unwrap().is_open());
    assert_eq!(response.status(), 101);
    drop(far);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    handle.mount(listener).unwrap();
    let (request, response, _far) = taken(&handle);
    drop((request, response));
    // A `Server` is more than its handle.
    drop(server);
    assert_eq!(refused(&handle, http_request()), 503);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_closes_what_was_accepted_and_waits_for_what_was_not() {
    let server = Server::builder().build_handle();
    let (request, response, far) = taken(&server);
    let (connection, _) = tokio::join!(request.accept(), response);
    let mut connection = connection.unwrap();
    let receiving = tokio::spawn(async move { connection.recv().await });
    let mut client = client(far);
    let (undecided, undecided_response, mut undecided_far) = taken(&server);
    let (dropped, dropped_response, _far) = taken(&server);

    let mut shutdown = pin!(server.shutdown(CloseCode::GOING_AWAY, 60 * SECOND));
    assert!(shutdown.as_mut().now_or_never().is_none());
    assert_eq!(client.recv().await.unwrap(), None);
    assert_eq!(client.closed().unwrap().code(), CloseCode::GOING_AWAY);
    assert_eq!(receiving.await.unwrap().unwrap(), None);
    settle().await;
    assert!(shutdown.as_mut().now_or_never().is_none());
    assert_eq!(refused(&server, http_request()), 503);

    let (late, response) = tokio::join!(undecided.accept(), undecided_response);
    assert_eq!(response.status(), 101);
    let mut late = late.unwrap();
    let mut frame = [0; 4];
    undecided_far.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame, [0x88, 2, 0x03, 0xE9]);
    drop(undecided_far);
    late.wait_closed().await;
    drop(dropped);
    assert_eq!(dropped_response.await.status(), 500);
    assert_eq!(promptly(shutdown).await.unwrap().aborted, 0);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_beyond_its_deadline_for_a_handler() {
    let server = Server::builder().build_handle();
    let (request, response, _far) = taken(&server);
    let begun = tokio::time::Instant::now();
    server.shutdown(CloseCode::GOING_AWAY, 7 * SECOND).await.unwrap();
    assert_eq!(begun.elapsed(), 7 * SECOND);
    // It can still be answered; the connection is closed at once.
    let (connection, response) = tokio::join!(request.accept(), response);
    assert_eq!(response.status(), 101);
    assert!(!connection.unwrap().is_open());
}

#[tokio::test(start_paused = true)]
async fn a_handle_alone_has_no_queue() {
    let server = Server::builder().build_handle();
    assert!(server.is_mounted());
    // It takes what is handed to it directly, and nothing that would be queued.
    let response = promptly(server.upgrade(http_request(), None, pending())).await;
    assert_eq!(response.status(), 503);
    let (near, mut far) = duplex(4096);
    server.serve(near, None);
    far.write_all(request("/", &[]).as_bytes()).await.unwrap();
    assert_eq!(status(&promptly(answer(far)).await), 503);
    let error = server.mount(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerGone);
    assert!(error.to_string().contains("build_handle"), "{error}");
    drop(taken(&server));
    promptly(server.shutdown(CloseCode::GOING_AWAY, SECOND)).await.unwrap();
    assert_eq!(refused(&server, http_request()), 503);
}
