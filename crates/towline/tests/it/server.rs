//! A server: what it does with requests, and with connections when they are accepted.

use std::time::Duration;

use http::StatusCode;
use tokio::net::TcpListener;
use tokio::time::Instant;
use towline::{
    Accept, Client, CloseCause, CloseCode, Config, ErrorKind, Message, Rejection, Server,
    ServerEvent, SetCookie, Version,
};
use towline_kit::frame;

use crate::http::{accepted, answer, arrives, head, header, request, says, status};
use crate::wire::settle;

const SECOND: Duration = Duration::from_secs(1);

async fn bind() -> (Server, String) {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", server.local_addr().unwrap());
    (server, url)
}

#[tokio::test(start_paused = true)]
async fn a_request_tells_all_that_the_client_said() {
    let mut server = Server::builder().build();
    let said = request(
        "/chat/a%20b?room=7&x",
        &[
            ("Origin", "https://App.example"),
            ("Cookie", "session=31d4; theme=dark"),
            ("Sec-WebSocket-Protocol", "chat.v2"),
            ("Sec-WebSocket-Protocol", "Chat.v1"),
            ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits, x-other"),
            ("User-Agent", "test"),
        ],
    );
    let _far = says(&server, said.as_bytes()).await;
    let request = server.next_request().await.unwrap();
    assert_eq!(request.host(), "example.com");
    assert_eq!(request.resource(), "/chat/a%20b?room=7&x");
    assert_eq!((request.path(), request.query()), ("/chat/a%20b", Some("room=7&x")));
    assert_eq!(request.uri().path(), "/chat/a%20b");
    assert_eq!(request.origin(), Some("https://App.example"));
    assert_eq!(request.version(), Version::Rfc6455);
    assert_eq!((request.remote_address(), request.peer_addr()), (None, None));
    assert_eq!(request.http().headers()["user-agent"], "test");
    assert_eq!(request.headers(), request.http().headers());
    let protocols: Vec<_> = request.protocols().iter().map(|name| name.as_str()).collect();
    assert_eq!(protocols, ["chat.v2", "Chat.v1"]);
    assert_eq!(request.choose_protocol(["chat.v1", "chat.v2"]).unwrap().as_str(), "Chat.v1");
    assert!(request.choose_protocol(["other"]).is_none());
    assert_eq!(request.extensions().len(), 2);
    assert_eq!(request.cookies().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn accepting_sets_protocol_cookies_and_headers() {
    let mut server = Server::builder().build();
    let (request, mut far) = arrives(&mut server, &[("Sec-WebSocket-Protocol", "chat")]).await;
    let cookie = SetCookie::new("session", "1").unwrap();
    let accept = Accept::new().protocol("CHAT").cookie(cookie).header("x-served-by", "berth 7");
    let connection = request.accept_with(accept).await.unwrap();
    let head = head(&mut far).await;
    assert_eq!(status(&head), 101);
    assert_eq!(header(&head, "sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(header(&head, "x-served-by"), Some("berth 7"));
    assert!(header(&head, "set-cookie").unwrap().starts_with("session=1"));
    assert_eq!(connection.protocol(), Some("chat"));
    assert_eq!(server.connections().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_says_why() {
    let mut server = Server::builder().build();
    let (request, far) = arrives(&mut server, &[]).await;
    request.reject(StatusCode::NOT_FOUND, "no such room").await.unwrap();
    let answer = answer(far).await;
    assert_eq!(status(&answer), 404);
    assert_eq!(header(&answer, "X-WebSocket-Reject-Reason"), Some("no such room"));
    assert!(answer.ends_with("\r\n\r\nno such room\n"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_rejection_goes_out_without_a_header_that_cannot_be_added_and_says_so() {
    let mut server = Server::builder().build();
    let (request, far) = arrives(&mut server, &[]).await;
    let rejection = Rejection::new(StatusCode::UNAUTHORIZED, "who are you?")
        .header("WWW-Authenticate", "Basic")
        .header("X-Note", "two\r\nlines");
    let error = request.reject_with(rejection).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidHandshakeOption);
    let answer = answer(far).await;
    assert_eq!(status(&answer), 401);
    assert_eq!(header(&answer, "WWW-Authenticate"), Some("Basic"));
    assert_eq!(header(&answer, "X-Note"), None);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_is_answered_with_500() {
    let mut server = Server::builder().build();
    let (request, far) = arrives(&mut server, &[]).await;
    drop(request);
    assert_eq!(status(&answer(far).await), 500);
    // So is one that nobody takes before the server is gone.
    let far = says(&server, crate::http::request("/", &[]).as_bytes()).await;
    settle().await;
    drop(server);
    assert_eq!(status(&answer(far).await), 500);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_handshake_gets_a_correct_answer() {
    let valid = request("/", &[]);
    let without = |line: &str| {
        assert!(valid.contains(line), "{line}");
        valid.replace(line, "")
    };
    for (said, expected) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), 426),
        (valid.replace("GET", "POST"), 405),
        (valid.replace("HTTP/1.1", "HTTP/1.0"), 400),
        (valid.replace("Version: 13", "Version: 12"), 426),
        (without("Upgrade: websocket\r\n"), 426),
        (without("Host: example.com\r\n"), 400),
        (without("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 400),
        (valid.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), 400),
        (request("/", &[("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]), 400),
        (request("/", &[("Host", "other")]), 400),
        (request("/", &[("Content-Length", "5")]), 400),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned(), 400),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n".to_owned(), 400),
    ] {
        let mut server = Server::builder().build();
        let far = says(&server, said.as_bytes()).await;
        let answer = answer(far).await;
        assert_eq!(status(&answer), expected, "to {said:?}");
        if expected == 426 {
            assert!(header(&answer, "Upgrade").is_some(), "{said:?}: {answer}");
        }
        server.shutdown(CloseCode::GOING_AWAY, SECOND).await.unwrap();
        assert!(server.next_request().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn frames_behind_the_request_are_delivered() {
    let mut server = Server::builder().build();
    let said = request("/", &[]).into_bytes();
    let behind = frame().text("early").by(towline::Role::Client).bytes();
    let mut far = says(&server, &[said, behind].concat()).await;
    let mut connection = server.next_request().await.unwrap().accept().await.unwrap();
    assert_eq!(status(&head(&mut far).await), 101);
    assert_eq!(connection.recv().await.unwrap(), Some(Message::text("early")));
}

#[tokio::test(start_paused = true)]
async fn events_tell_of_requests_and_connections() {
    let mut server = Server::builder().build();
    let mut events = server.events();
    let (connection, _) = accepted(&mut server, &[]).await;
    let connection = connection.unwrap();
    let id = connection.id();
    assert!(matches!(events.next().await, Some(ServerEvent::Accepted(info)) if info.id == id));
    assert!(matches!(events.next().await, Some(ServerEvent::Connected(info)) if info.id == id));
    connection.abort(CloseCode::POLICY, "spam");
    let Some(ServerEvent::Closed(info, closed)) = events.next().await else { panic!("closed") };
    assert_eq!((info.id, closed.cause()), (id, CloseCause::Aborted));
    assert_eq!((closed.code(), closed.reason()), (CloseCode::POLICY, "spam"));
    let (request, _far) = arrives(&mut server, &[]).await;
    request.reject(StatusCode::FORBIDDEN, "no").await.unwrap();
    let Some(ServerEvent::Rejected { status, reason, .. }) = events.next().await else {
        panic!("rejected")
    };
    assert_eq!((status, &*reason), (StatusCode::FORBIDDEN, "no"));
    drop((server, connection));
    settle().await;
    tokio::time::sleep(60 * SECOND).await;
    assert!(events.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn auto_accept_takes_the_first_protocol() {
    let mut server = Server::builder().auto_accept(true).build();
    let headers = [("Origin", "https://example.com"), ("Sec-WebSocket-Protocol", "one, two")];
    let _far = says(&server, request("/", &headers).as_bytes()).await;
    let connection = server.next_connection().await.unwrap();
    assert_eq!(connection.protocol(), Some("one"));
}

#[tokio::test(start_paused = true)]
async fn next_connection_passes_over_what_does_not_become_one() {
    let mut server = Server::builder().auto_accept(true).build();
    let refused = says(&server, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    drop(says(&server, request("/", &[]).as_bytes()).await);
    let _far = says(&server, request("/", &[]).as_bytes()).await;
    assert!(server.next_connection().await.unwrap().is_open());
    assert_eq!(status(&answer(refused).await), 426);
}

#[tokio::test]
async fn several_listeners_are_mounted_and_unmounted_without_harm_to_connections() {
    let (mut server, first) = bind().await;
    server.mount(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    let addresses = server.handle().local_addrs();
    assert_eq!(addresses.len(), 2);
    let second = format!("ws://{}/", addresses[1]);
    let mut pairs = Vec::new();
    for url in [&first, &second] {
        let client = Client::new();
        let (connection, request) = tokio::join!(client.connect(url), async {
            server.next_request().await.unwrap().accept().await.unwrap()
        });
        pairs.push((connection.unwrap(), request));
    }
    server.unmount();
    assert!(!server.handle().is_mounted() && server.handle().local_addrs().is_empty());
    for url in [&first, &second] {
        let error = Client::new().connect(url).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Connect | ErrorKind::Handshake), "{error}");
    }
    for (client, server) in &mut pairs {
        client.send("still here").await.unwrap();
        assert_eq!(server.recv().await.unwrap(), Some(Message::text("still here")));
    }
}

/// One moment after the other: what was unmounted stays so.
#[tokio::test]
async fn mounting_anew_does_not_bring_the_old_listener_back() {
    let (mut server, old) = bind().await;
    tokio::task::yield_now().await;
    server.unmount();
    server.mount(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    let new = format!("ws://{}/", server.local_addr().unwrap());
    settle().await;
    let client = Client::new().connect_timeout(SECOND);
    assert_eq!(client.connect(&old).await.unwrap_err().kind(), ErrorKind::Connect);
    let (connection, _request) = tokio::join!(client.connect(&new), async {
        server.next_request().await.unwrap().accept().await.unwrap()
    });
    connection.unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_says_so() {
    let (server, _) = bind().await;
    let address = server.local_addr().unwrap();
    let error = Server::bind(address).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Listen);
    assert!(error.to_string().contains(&address.port().to_string()), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_port_is_shared_by_those_who_say_so() {
    let builder = || Server::builder().reuse_port(true).auto_accept(true);
    let mut first = builder().bind("127.0.0.1:0").await.unwrap();
    let address = first.local_addr().unwrap();
    let mut second = builder().bind(address).await.unwrap();
    assert_eq!(second.local_addr().unwrap(), address);
    let error = Server::bind(address).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Listen);

    let url = format!("ws://{address}/");
    let (mut at_first, mut at_second) = (0, 0);
    // On which of them a connection ends up is up to the kernel; on Linux, to chance.
    while cfg!(target_os = "linux") && (at_first == 0 || at_second == 0) {
        let _connection = Client::new().connect(&url).await.unwrap();
        tokio::select! {
            connection = first.next_connection() => at_first += usize::from(connection.is_some()),
            connection = second.next_connection() => at_second += usize::from(connection.is_some()),
        }
        assert!(at_first + at_second < 200, "{at_first} and {at_second}");
    }
}

async fn connected(
    server: &mut Server,
    count: usize,
) -> Vec<(towline::Connection, towline::Connection)> {
    let mut pairs = Vec::new();
    for _ in 0..count {
        let (near, far) = tokio::io::duplex(1 << 10);
        server.serve(far, None);
        let client = Client::new();
        let (client, server) = tokio::join!(client.connect_over(near, "ws://h/"), async {
            server.next_request().await.unwrap().accept().await.unwrap()
        });
        pairs.push((client.unwrap(), server));
    }
    pairs
}

#[tokio::test(start_paused = true)]
async fn close_all_closes_all_and_waits_for_their_ends() {
    let mut server = Server::builder().build();
    let pairs = connected(&mut server, 3).await;
    let clients: Vec<_> = pairs
        .into_iter()
        .map(|(mut client, server)| {
            tokio::spawn(async move {
                drop(server);
                assert_eq!(client.recv().await.unwrap_err().kind(), ErrorKind::ClosedByPeer);
                client.closed().unwrap()
            })
        })
        .collect();
    let handle = server.handle();
    assert_eq!(handle.close_all(CloseCode::new(4009), "that was it").await.unwrap(), 3);
    assert!(server.handle().is_mounted() && server.connections().is_empty());
    for client in clients {
        let closed = client.await.unwrap();
        assert_eq!((closed.code(), closed.reason()), (CloseCode::new(4009), "that was it"));
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_aborts_what_has_not_ended_by_the_deadline() {
    let config = Config::server().close_timeout(60 * SECOND);
    let mut server = Server::builder().config(config).build();
    let mut pairs = connected(&mut server, 5).await;
    for (mut client, server) in pairs.drain(..3) {
        tokio::spawn(async move { client.recv().await.map(drop) });
        tokio::spawn(async move {
            let mut server = server;
            server.recv().await.map(drop)
        });
    }
    let began = Instant::now();
    let shutdown = server.shutdown(CloseCode::GOING_AWAY, 2 * SECOND).await.unwrap();
    assert_eq!((shutdown.connections, shutdown.aborted), (5, 2));
    assert_eq!(began.elapsed().as_secs(), 2);
    assert!(server.connections().is_empty() && !server.handle().is_mounted());
    for (_, server) in &pairs {
        assert!(!server.is_open());
    }
    assert!(server.next_request().await.is_none());
}
