//! Requests and connections on their way to the program: none is lost, none waits in vain.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::StatusCode;
use socket2::SockRef;
use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use towline::{
    Client, CloseCause, CloseCode, Config, Connection, ErrorKind, Request, Role, Server,
    ServerEvent, Upgraded,
};

use crate::http::{answer, arrives, head, header, http_request, request, says, status};
use crate::wire::settle;

/// Polled once, and then dropped.
async fn begun<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn accepts(server: &mut Server) -> Connection {
    server.next_request().await.unwrap().accept().await.unwrap()
}

async fn shut_down(server: &Server) {
    server.shutdown(CloseCode::GOING_AWAY, Duration::from_secs(1)).await.unwrap();
}

/// The two ends of a TCP connection.
async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (near, listener.accept().await.unwrap().0)
}

/// A request on a stream that takes no more than a few bytes until they are read.
async fn arrives_over_a_narrow_stream(server: &mut Server) -> (Request, DuplexStream) {
    let far = says_over_a_narrow_stream(server).await;
    (server.next_request().await.unwrap(), far)
}

async fn says_over_a_narrow_stream(server: &Server) -> DuplexStream {
    let (near, mut far) = duplex(16);
    server.serve(near, None);
    far.write_all(request("/", &[]).as_bytes()).await.unwrap();
    far
}

/// More than a task may take in one go.
#[tokio::test(start_paused = true)]
async fn all_requests_that_came_are_taken_after_a_shutdown() {
    let mut server = Server::builder().build();
    let mut clients = Vec::new();
    for _ in 0..300 {
        clients.push(says(&server, request("/", &[]).as_bytes()).await);
    }
    settle().await;
    shut_down(&server).await;
    let mut requests = Vec::new();
    while let Some(request) = server.next_request().await {
        requests.push(request);
    }
    assert_eq!(requests.len(), clients.len());
}

#[tokio::test(start_paused = true)]
async fn a_handshake_counts_from_the_moment_it_is_handed_over() {
    let mut server = Server::builder().build();
    let (near, mut far) = duplex(1 << 10);
    far.write_all(request("/", &[]).as_bytes()).await.unwrap();
    server.serve(near, None);
    shut_down(&server).await;
    server.next_request().await.expect("what was served");
    assert!(server.next_request().await.is_none());

    let mut server = Server::builder().build();
    let handle = server.handle();
    let mut upgrade = pin!(handle.upgrade(http_request(), None, std::future::pending()));
    assert!(upgrade.as_mut().now_or_never().is_none());
    shut_down(&server).await;
    server.next_request().await.expect("what was to be upgraded");
    assert!(server.next_request().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn no_more_connections_are_accepted_unasked_than_may_be_pending() {
    let mut server = Server::builder().auto_accept(true).max_pending_requests(2).build();
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(says(&server, request("/", &[]).as_bytes()).await);
    }
    settle().await;
    let all = server.connections();
    assert_eq!(all.len(), 2);
    let mut connections = Vec::new();
    for _ in &clients {
        connections.push(server.next_connection().await.unwrap());
        settle().await;
        assert_eq!(all.len(), 5.min(connections.len() + 2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_mounted_answers_with_503() {
    let mut server = Server::builder().build();
    let mut events = server.events();
    server.unmount();
    let far = says(&server, request("/", &[]).as_bytes()).await;
    let answer = answer(far).await;
    assert_eq!(status(&answer), 503);
    assert_eq!(header(&answer, "x-websocket-reject-reason"), Some("the server takes no requests"));
    let response = server.handle().upgrade(http_request(), None, std::future::pending()).await;
    assert_eq!(response.status(), 503);
    for _ in 0..2 {
        let event = events.next().await;
        assert!(matches!(event, Some(ServerEvent::Rejected { status, .. }) if status == 503));
    }
    assert!(begun(server.next_request()).await.is_none());
}

/// Its place is for those who are here.
#[tokio::test]
async fn a_listener_without_clients_takes_no_place_among_the_handshakes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let mut server = Server::builder().max_handshakes(1).listen(listener);
    server.mount(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    settle().await;
    let arrives = tokio::time::timeout(Duration::from_secs(10), arrives(&mut server, &[]));
    let (_request, _far) = arrives.await.expect("a place");
    let client = Client::new();
    let (client, connection) = tokio::join!(client.connect(url), accepts(&mut server));
    assert!(client.unwrap().is_open() && connection.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_stream_waits_for_a_place_in_the_background() {
    let mut server = Server::builder().max_handshakes(1).build();
    let mut slow = says(&server, b"GET / HTTP/1.1\r\n").await;
    settle().await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(says(&server, request("/", &[]).as_bytes()).await);
    }
    settle().await;
    assert!(begun(server.next_request()).await.is_none());
    let rest = request("/", &[]);
    slow.write_all(rest.split_once("\r\n").unwrap().1.as_bytes()).await.unwrap();
    for _ in 0..4 {
        server.next_request().await.unwrap();
    }
}

fn is_known_tcp(connection: &Connection, far: Option<&TcpStream>) {
    assert!(connection.tcp_stream().unwrap().nodelay().unwrap(), "{connection:?}");
    if let Some(far) = far {
        let address = far.local_addr().unwrap();
        assert_eq!(connection.peer_addr(), Some(address));
        assert_eq!(connection.remote_address(), Some(address.ip()));
    }
}

#[tokio::test]
async fn a_tcp_stream_is_treated_alike_wherever_it_comes_from() {
    let mut server = Server::builder().build();

    let (near, far) = tcp().await;
    server.serve(near, None);
    let far_address = far.local_addr().unwrap();
    let client = Client::new();
    let (client, connection) =
        tokio::join!(client.connect_over(far, "ws://h/"), accepts(&mut server));
    let client = client.unwrap();
    is_known_tcp(&connection, None);
    assert_eq!(connection.peer_addr(), Some(far_address));
    is_known_tcp(&client, None);
    assert_eq!(client.peer_addr(), Some(connection.tcp_stream().unwrap().local_addr().unwrap()));

    let (near, far) = tcp().await;
    let request = Request::from_http(http_request(), near, Bytes::new(), Config::server()).unwrap();
    is_known_tcp(&request.accept().await.unwrap(), Some(&far));

    let (near, _far) = tcp().await;
    let upgraded = async { Ok(Upgraded::new(near, Vec::new())) };
    let handle = server.handle();
    let (response, connection) =
        tokio::join!(handle.upgrade(http_request(), None, upgraded), accepts(&mut server));
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    is_known_tcp(&connection, None);

    let (near, far) = tcp().await;
    near.set_nodelay(true).unwrap();
    let config = Config::server();
    let connection = Connection::from_stream(near, Role::Server, &config, Bytes::new());
    is_known_tcp(&connection, Some(&far));

    // Unless it is not wanted.
    let (near, far) = tcp().await;
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    let mut server = Server::builder().nodelay(false).build();
    server.serve(near, None);
    let client = Client::new().nodelay(false);
    let (client, connection) =
        tokio::join!(client.connect_over(far, "ws://h/"), accepts(&mut server));
    for connection in [client.unwrap(), connection] {
        assert!(!connection.tcp_stream().unwrap().nodelay().unwrap());
    }
}

/// Whatever the socket was set to that they were accepted on, and the first of them as the others.
#[tokio::test]
async fn accepted_sockets_write_at_once_or_not_as_the_builder_says() {
    for on in [true, false] {
        for before in [true, false] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            SockRef::from(&listener).set_tcp_nodelay(before).unwrap();
            let mut server = Server::builder().nodelay(on).listen(listener);
            let url = format!("ws://{}/", server.local_addr().unwrap());
            for _ in 0..3 {
                let client = Client::new();
                let (client, connection) = tokio::join!(client.connect(&url), accepts(&mut server));
                assert!(client.unwrap().is_open());
                assert_eq!(connection.tcp_stream().unwrap().nodelay().unwrap(), on);
            }
        }
    }
}

/// On a thread that knows nothing of tokio.
fn elsewhere<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::spawn(what).join().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_request_is_answered_outside_of_the_runtime_too() {
    let mut server = Server::builder().build();
    let (request, far) = arrives(&mut server, &[]).await;
    elsewhere(|| drop(request));
    assert_eq!(status(&answer(far).await), 500);
    let (request, far) = arrives(&mut server, &[]).await;
    elsewhere(|| request.reject(StatusCode::NOT_FOUND, "").now_or_never().unwrap()).unwrap();
    assert_eq!(status(&answer(far).await), 404);
    let (request, mut far) = arrives(&mut server, &[]).await;
    let connection = elsewhere(|| request.accept().now_or_never().unwrap()).unwrap();
    assert_eq!(status(&head(&mut far).await), 101);
    connection.send("ship ahoy").await.unwrap();
    // So is one that nobody has taken.
    let far = says(&server, crate::http::request("/", &[]).as_bytes()).await;
    settle().await;
    elsewhere(|| drop(server));
    assert_eq!(status(&answer(far).await), 500);
}

#[tokio::test(start_paused = true)]
async fn a_connection_being_accepted_is_handed_out_later() {
    let mut server = Server::builder().auto_accept(true).build();
    let mut far = says_over_a_narrow_stream(&server).await;
    for _ in 0..3 {
        let waiting = tokio::time::timeout(Duration::from_millis(20), server.next_connection());
        assert!(waiting.await.is_err());
    }
    // It holds up no other.
    let _other = says(&server, request("/", &[]).as_bytes()).await;
    let other = server.next_connection().await.unwrap();
    assert_eq!(status(&head(&mut far).await), 101);
    let connection = server.next_connection().await.unwrap();
    assert!(other.is_open() && connection.is_open() && other.id() != connection.id());
}

/// The client gets the whole answer, and a connection that is closed as any that is dropped.
#[tokio::test(start_paused = true)]
async fn an_accept_that_is_dropped_goes_on() {
    let mut server = Server::builder().build();
    let mut events = server.events();
    let (request, mut far) = arrives_over_a_narrow_stream(&mut server).await;
    assert!(begun(request.accept()).await.is_none());
    assert_eq!(status(&head(&mut far).await), 101);
    let config = Config::client();
    let mut client = Connection::from_stream(far, Role::Client, &config, Bytes::new());
    assert_eq!(client.recv().await.unwrap(), None);
    assert_eq!(client.closed().unwrap().code(), CloseCode::GOING_AWAY);
    assert!(matches!(events.next().await, Some(ServerEvent::Accepted(_))));
    assert!(matches!(events.next().await, Some(ServerEvent::Connected(_))));
    let Some(ServerEvent::Closed(_, closed)) = events.next().await else { panic!("closed") };
    assert_eq!(closed.cause(), CloseCause::Handshake);
    assert!(server.connections().is_empty());
    // One that was never polled is a request that was dropped.
    let (request, far) = arrives(&mut server, &[]).await;
    drop(request.accept());
    assert_eq!(status(&answer(far).await), 500);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_that_is_dropped_goes_on() {
    let mut server = Server::builder().build();
    let (request, far) = arrives_over_a_narrow_stream(&mut server).await;
    assert!(begun(request.reject(StatusCode::NOT_FOUND, "no such room")).await.is_none());
    let answer = answer(far).await;
    assert_eq!(status(&answer), 404);
    assert!(answer.ends_with("no such room\n"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_take_the_answer_is_given_up() {
    let mut server = Server::builder().build();
    let (request, _far) = arrives_over_a_narrow_stream(&mut server).await;
    let accepted = request.accept().await.map(drop);
    let (request, _far) = arrives_over_a_narrow_stream(&mut server).await;
    let rejected = request.reject(StatusCode::NOT_FOUND, "").await;
    for error in [accepted.unwrap_err(), rejected.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::RequestGone);
        assert!(error.to_string().ends_with("within 10s (handshake_timeout)"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_follows_where_the_client_has_gone_before_the_answer() {
    let mut server = Server::builder().build();
    let mut events = server.events();
    let (request, far) = arrives(&mut server, &[]).await;
    drop(far);
    assert_eq!(request.accept().await.unwrap_err().kind(), ErrorKind::RequestGone);
    assert!(matches!(events.next().await, Some(ServerEvent::Accepted(_))));
    drop(server);
    assert!(events.next().await.is_none());
}
