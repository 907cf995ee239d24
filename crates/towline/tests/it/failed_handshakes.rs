//! What comes to no request: one event for each, with the reason and the address.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use towline::{ErrorKind, Events, Server, ServerEvent};

use crate::http::{answer, http_request, request, says, status};
use crate::loopback::until_end;

const LONG: Duration = Duration::from_secs(60);

/// The next event, which must be a handshake that failed: its kind, status and reason.
async fn failed(events: &mut Events, client: &TcpStream) -> (ErrorKind, Option<u16>, String) {
    match timeout(LONG, events.next()).await.expect("an event") {
        Some(ServerEvent::HandshakeFailed { kind, status, reason, peer_addr, .. }) => {
            assert_eq!(peer_addr, client.local_addr().ok());
            (kind, status.map(|status| status.as_u16()), reason)
        }
        other => panic!("{other:?}"),
    }
}

/// Says this to the server, and nothing more.
async fn stranger(server: &Server, says: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.local_addr().unwrap()).await.unwrap();
    stream.write_all(says).await.unwrap();
    stream
}

#[tokio::test]
async fn each_failure_is_one_event() {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let mut events = server.events();
    // Those that only look whether somebody listens are not told of.
    for _ in 0..3 {
        drop(stranger(&server, b"").await);
    }
    let valid = request("/", &[]);
    let large = request("/", &[("x", &"x".repeat(20_000))]);
    let many = request("/", &[("a", "b"); 101]);
    let version = valid.replace("Version: 13", "Version: 7");
    let key = valid.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=");
    let ordinary = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let cases: [(&[u8], ErrorKind, u16, &str); 9] = [
        (b"SSH-2.0-OpenSSH_9.6\r\n", ErrorKind::NotHttp, 400, "malformed"),
        (b"\0\xff\0\xff", ErrorKind::NotHttp, 400, "malformed"),
        (b"GET / HTTP/3.0\r\n\r\n", ErrorKind::NotHttp, 505, "HTTP/3.0"),
        (&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc], ErrorKind::IsTls, 400, "speaks TLS"),
        (large.as_bytes(), ErrorKind::LimitExceeded, 431, "16384 bytes (max_head_size)"),
        (many.as_bytes(), ErrorKind::LimitExceeded, 431, "100 headers (max_headers)"),
        (ordinary.as_bytes(), ErrorKind::Handshake, 426, "only WebSockets are served here"),
        (version.as_bytes(), ErrorKind::Handshake, 426, "Sec-WebSocket-Version is \"7\""),
        (key.as_bytes(), ErrorKind::Handshake, 400, "Sec-WebSocket-Key"),
    ];
    for (said, expected, status, words) in cases {
        let mut stream = stranger(&server, said).await;
        let (kind, answered, reason) = failed(&mut events, &stream).await;
        assert_eq!((kind, answered), (expected, Some(status)), "{reason}");
        assert!(reason.contains(words), "{reason}");
        let answer = until_end(&mut stream).await;
        let line = format!("HTTP/1.1 {status} ");
        assert!(answer.is_empty() || answer.starts_with(line.as_bytes()), "{answer:?}");
    }
    // The end in the middle of a head.
    let mut cut = stranger(&server, &valid.as_bytes()[..99]).await;
    cut.shutdown().await.unwrap();
    let (kind, answered, reason) = failed(&mut events, &cut).await;
    assert_eq!((kind, answered), (ErrorKind::ConnectionLost, None), "{reason}");
    assert!(reason.contains("before its request was complete"), "{reason}");

    let stats = server.handle().stats();
    let counts = [
        (ErrorKind::ConnectionLost, 1),
        (ErrorKind::Handshake, 3),
        (ErrorKind::IsTls, 1),
        (ErrorKind::LimitExceeded, 2),
        (ErrorKind::NotHttp, 3),
    ];
    assert_eq!(stats.failed, counts.into());
    assert_eq!(stats.rejected.values().sum::<u64>(), 9);
    assert_eq!((stats.tls_failed, stats.requests), (0, 0));
}

#[tokio::test]
async fn who_is_too_slow_is_one_event() {
    let builder = Server::builder().handshake_timeout(Duration::from_millis(100));
    let server = builder.bind("127.0.0.1:0").await.unwrap();
    let mut events = server.events();
    for said in ["", "GET / HTTP/1.1\r\nUpgrade: webs"] {
        let mut stream = stranger(&server, said.as_bytes()).await;
        let (kind, status, reason) = failed(&mut events, &stream).await;
        assert_eq!((kind, status), (ErrorKind::HandshakeTimeout, Some(408)), "{said}");
        assert!(reason.contains("100ms (handshake_timeout)"), "{reason}");
        assert!(until_end(&mut stream).await.starts_with(b"HTTP/1.1 408 "));
    }
    assert_eq!(server.handle().stats().failed, [(ErrorKind::HandshakeTimeout, 2)].into());
}

#[tokio::test]
async fn a_request_of_an_http_library_that_is_no_handshake_is_one_event() {
    let server = Server::builder().build();
    let mut events = server.events();
    let handle = server.handle();
    let mut http = http_request();
    http.headers_mut().remove("sec-websocket-key");
    let response = handle.upgrade(http.clone(), None, std::future::pending()).await;
    assert_eq!(response.status(), 400);
    handle.request(http, None, std::future::pending()).unwrap_err();
    for _ in 0..2 {
        let event = timeout(LONG, events.next()).await.unwrap();
        let Some(ServerEvent::HandshakeFailed { kind, status, .. }) = event else {
            panic!("{event:?}");
        };
        assert_eq!((kind, status.unwrap().as_u16()), (ErrorKind::Handshake, 400));
    }
    assert_eq!(handle.stats().failed, [(ErrorKind::Handshake, 2)].into());
}

/// A valid request that is refused is a rejection, and no failure.
#[tokio::test]
async fn what_is_refused_is_not_failed() {
    let server = Server::builder().build();
    let mut events = server.events();
    server.unmount();
    let far = says(&server, request("/", &[]).as_bytes()).await;
    assert_eq!(status(&answer(far).await), 503);
    let event = timeout(LONG, events.next()).await.unwrap();
    assert!(matches!(event, Some(ServerEvent::Rejected { status, .. }) if status == 503));
    assert!(server.handle().stats().failed.is_empty());
}
