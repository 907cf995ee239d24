//! Clients of an HTTP server that come to no request: one event for each, with the reason and the
//! address.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::service::service_fn;
use tokio::net::TcpListener;
use towline::{ErrorKind, Events, Server, ServerEvent};
use towline_hyper::{HttpServer, mount};

use crate::support::{HANDSHAKE, LONG, Raw, page, request, soon};

/// A server that reports to this one.
async fn serve(server: &Server, header_timeout: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let http = HttpServer::new(mount(server.handle(), service_fn(page)))
        .report_to(server.handle())
        .header_timeout(header_timeout);
    http.listen(listener);
    // Dropped, it would stop listening.
    std::mem::forget(http);
    address
}

/// The next event, which must be a handshake that failed: its kind, status and reason.
async fn failed(events: &mut Events, client: &Raw) -> (ErrorKind, Option<u16>, String) {
    match tokio::time::timeout(LONG, events.next()).await.expect("an event") {
        Some(ServerEvent::HandshakeFailed { kind, status, reason, peer_addr, .. }) => {
            assert_eq!(peer_addr, Some(client.local_addr()));
            (kind, status.map(|status| status.as_u16()), reason)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_failure_is_one_event() {
    let server = Server::builder().build();
    let mut events = server.events();
    let address = serve(&server, LONG).await;
    // Those that only look whether somebody listens are not told of, nor those that only want a page.
    for _ in 0..3 {
        drop(Raw::connect(address).await);
    }
    let mut visitor = Raw::connect(address).await;
    visitor.request("GET /", &[]).await;
    assert_eq!(visitor.response().await.status(), 200);
    // Later requests are no handshakes that failed.
    visitor.send("GET / HTTP/1.1\r\nX: cut").await;
    drop(visitor);

    let large = request("GET /", &[&*format!("X: {}", "x".repeat(200_000))]);
    let many = request("GET /", &["A: b"; 101]);
    let version = request("GET /", &HANDSHAKE).replace("Version: 13", "Version: 7");
    let key = request("GET /", &HANDSHAKE).replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=");
    let cases: [(&[u8], ErrorKind, u16, &str); 8] = [
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", ErrorKind::NotHttp, 400, "malformed"),
        (b"\0\xff\0\xff\r\n\r\n", ErrorKind::NotHttp, 400, "malformed"),
        (b"GET / HTTP/3.0\r\n\r\n", ErrorKind::NotHttp, 400, "malformed"),
        (&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc], ErrorKind::IsTls, 400, "speaks TLS"),
        (large.as_bytes(), ErrorKind::LimitExceeded, 431, "65536 bytes"),
        (many.as_bytes(), ErrorKind::LimitExceeded, 431, "100 headers"),
        (version.as_bytes(), ErrorKind::Handshake, 426, "Sec-WebSocket-Version is \"7\""),
        (key.as_bytes(), ErrorKind::Handshake, 400, "Sec-WebSocket-Key"),
    ];
    for (said, expected, status, words) in cases {
        let mut client = Raw::connect(address).await;
        // The server may be done with it before it has read all.
        let _ = client.try_send(said).await;
        let (kind, answered, reason) = failed(&mut events, &client).await;
        assert_eq!((kind, answered), (expected, Some(status)), "{reason}");
        assert!(reason.contains(words), "{reason}");
    }
    // The end in the middle of a head.
    let mut cut = Raw::connect(address).await;
    cut.send("GET / HTTP/1.1\r\nUpgrade: webs").await;
    cut.shutdown().await;
    let (kind, answered, reason) = failed(&mut events, &cut).await;
    assert_eq!((kind, answered), (ErrorKind::ConnectionLost, None), "{reason}");
    // The same in the preface of HTTP/2.
    let mut cut = Raw::connect(address).await;
    cut.send("PRI * HTTP/2.0").await;
    cut.shutdown().await;
    let (kind, answered, reason) = failed(&mut events, &cut).await;
    assert_eq!((kind, answered), (ErrorKind::ConnectionLost, None), "{reason}");
    assert_eq!(cut.end().await, b"");
    // And after the first byte of TLS.
    let mut cut = Raw::connect(address).await;
    cut.send([0x16]).await;
    cut.shutdown().await;
    let (kind, answered, reason) = failed(&mut events, &cut).await;
    assert_eq!((kind, answered), (ErrorKind::ConnectionLost, None), "{reason}");
    // And something else after the preface of HTTP/2.
    let mut other = Raw::connect(address).await;
    other.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nwhat is this?").await;
    let (kind, answered, reason) = failed(&mut events, &other).await;
    assert_eq!((kind, answered), (ErrorKind::NotHttp, None), "{reason}");
    assert!(reason.contains("HTTP/2"), "{reason}");

    let counts = [
        (ErrorKind::ConnectionLost, 3),
        (ErrorKind::Handshake, 2),
        (ErrorKind::IsTls, 1),
        (ErrorKind::LimitExceeded, 2),
        (ErrorKind::NotHttp, 4),
    ];
    assert_eq!(server.handle().stats().failed, counts.into());
}

#[tokio::test]
async fn the_limit_of_a_head_is_exact() {
    const LIMIT: usize = 64 << 10;
    let server = Server::builder().build();
    let mut events = server.events();
    let address = serve(&server, LONG).await;
    let head = |len: usize| {
        let rest = request("GET /", &["X: "]).len();
        request("GET /", &[&*format!("X: {}", "x".repeat(len - rest))])
    };
    for len in [LIMIT - 1, LIMIT] {
        let mut client = Raw::connect(address).await;
        client.send(head(len)).await;
        assert_eq!(client.response().await.status(), 200, "{len}");
    }
    // One read can take more than the limit.
    for len in [LIMIT + 1, 70_042, 2 * LIMIT - 1, 2 * LIMIT] {
        let mut client = Raw::connect(address).await;
        // The server may be done with it before it has read all.
        let _ = client.try_send(head(len).as_bytes()).await;
        let (kind, status, reason) = failed(&mut events, &client).await;
        assert_eq!((kind, status), (ErrorKind::LimitExceeded, Some(431)), "{len}: {reason}");
    }
}

/// hyper has 414 for it, and no head of the limit has room for such a URI.
#[tokio::test]
async fn a_uri_that_is_too_long_is_a_head_that_is_too_large() {
    let server = Server::builder().build();
    let mut events = server.events();
    let address = serve(&server, LONG).await;
    let mut client = Raw::connect(address).await;
    let head = request(&format!("GET /{}", "a".repeat(65_534)), &HANDSHAKE);
    // The server may be done with it before it has read all.
    let _ = client.try_send(head).await;
    let (kind, status, reason) = failed(&mut events, &client).await;
    assert_eq!((kind, status), (ErrorKind::LimitExceeded, Some(431)), "{reason}");
}

#[tokio::test]
async fn who_is_too_slow_is_one_event() {
    let server = Server::builder().build();
    let mut events = server.events();
    let address = serve(&server, Duration::from_millis(100)).await;
    for said in ["", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nUpgrade: webs"] {
        let mut client = Raw::connect(address).await;
        client.send(said).await;
        let (kind, status, reason) = failed(&mut events, &client).await;
        assert_eq!((kind, status), (ErrorKind::HandshakeTimeout, None), "{said}");
        assert!(reason.contains("100ms (header_timeout)"), "{reason}");
        assert_eq!(client.end().await, b"");
    }
    // An idle connection that has had its request is closed without one. This server has time for it.
    let patient = serve(&server, Duration::from_secs(5)).await;
    let mut idle = Raw::connect(patient).await;
    idle.request("GET /", &[]).await;
    idle.end().await;
    assert_eq!(server.handle().stats().failed, [(ErrorKind::HandshakeTimeout, 3)].into());
}

/// The client's first byte of TLS may come alone.
#[tokio::test]
async fn tls_in_pieces_is_tls() {
    let server = Server::builder().build();
    let mut events = server.events();
    let address = serve(&server, LONG).await;
    let mut client = Raw::connect(address).await;
    client.send([0x16]).await;
    // So that the server sees it alone, if it looks at all.
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.send([3, 1, 2, 0, 1, 0, 1, 0xfc]).await;
    let (kind, answered, reason) = failed(&mut events, &client).await;
    assert_eq!((kind, answered), (ErrorKind::IsTls, Some(400)), "{reason}");
}

#[tokio::test]
async fn a_shutdown_fails_nobody() {
    let server = Server::builder().build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let http = HttpServer::new(mount(server.handle(), service_fn(page))).report_to(server.handle());
    http.listen(listener);
    let mut first = Raw::connect(address).await;
    first.send("GET / HTTP/1.1\r\nUpgrade: webs").await;
    let mut silent = Raw::connect(address).await;
    let mut visitor = Raw::connect(address).await;
    visitor.request("GET /", &[]).await;
    assert_eq!(visitor.response().await.status(), 200);
    soon(http.shutdown(Duration::ZERO)).await;
    for client in [&mut first, &mut silent] {
        client.end().await;
    }
    assert!(server.handle().stats().failed.is_empty());
}

/// Neither the clients of other addresses nor requests that are whole are kept out.
#[tokio::test]
async fn silent_streams_of_one_address_have_so_many_places_and_no_more() {
    let server = Server::builder().build();
    let mut events = server.events();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let http = HttpServer::new(mount(server.handle(), service_fn(page)))
        .max_handshakes_per_address(2)
        .max_handshakes(3)
        .report_to(server.handle())
        .header_timeout(LONG);
    http.listen(listener);
    let mut first = Raw::connect(address).await;
    let second = Raw::connect(address).await;

    let mut third = Raw::connect(address).await;
    let (kind, status, reason) = failed(&mut events, &third).await;
    assert_eq!((kind, status), (ErrorKind::LimitExceeded, None));
    assert!(reason.contains("max_handshakes_per_address"), "{reason}");
    assert_eq!(third.end().await, b"");

    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = Raw(socket.connect(address).await.unwrap());
    other.request("GET /", &[]).await;
    assert_eq!(other.response().await.status(), 200);

    first.request("GET /", &[]).await;
    assert_eq!(first.response().await.status(), 200);
    let mut next = Raw::connect(address).await;
    next.request("GET /", &[]).await;
    assert_eq!(next.response().await.status(), 200);
    drop(second);
}
