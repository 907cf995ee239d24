//! Promise 10: cross-origin requests are refused unless allowed; only offered subprotocols are
//! accepted; forwarded addresses are believed only from trusted proxies; masks differ; handshakes
//! have a deadline and limits.

use std::collections::HashSet;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;
use towline::{Accept, Config, ErrorKind, HeadLimits, OriginPolicy, Role, Server, TrustedProxies};

use crate::http::{accepted, answer, arrives, head, header, request, says, says_from, status};
use crate::wire::{connect, settle};

const EVIL: (&str, &str) = ("Origin", "https://evil.example");

#[tokio::test(start_paused = true)]
async fn a_page_of_another_origin_is_refused_with_403() {
    let mut server = Server::builder().build();
    let (refused, answer) = accepted(&mut server, &[EVIL]).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::OriginRefused);
    assert_eq!(status(&answer), 403);
    assert!(server.connections().is_empty());
    for origin in ["http://example.com.evil.example", "http://example.com:81", "null"] {
        let (refused, answer) = accepted(&mut server, &[("Origin", origin)]).await;
        assert_eq!((refused.is_err(), status(&answer)), (true, 403), "{origin}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_of_the_same_origin_and_no_page_at_all_are_accepted() {
    let mut server = Server::builder().build();
    for headers in [&[][..], &[("Origin", "http://example.com")]] {
        let (connection, answer) = accepted(&mut server, headers).await;
        assert_eq!((connection.is_ok(), status(&answer)), (true, 101), "{headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_origin_that_is_listed_or_confirmed_is_accepted() {
    let origins = OriginPolicy::list(["https://evil.example"]).unwrap();
    let mut server = Server::builder().origins(origins).build();
    let (connection, answer) = accepted(&mut server, &[EVIL]).await;
    assert_eq!((connection.is_ok(), status(&answer)), (true, 101));
    assert!(accepted(&mut server, &[("Origin", "https://other.example")]).await.0.is_err());

    let mut server = Server::builder().build();
    for (confirmed, expected) in [("https://evil.example", true), ("https://x.example", false)] {
        let (request, mut far) = arrives(&mut server, &[EVIL]).await;
        let accepted = request.accept_with(Accept::new().origin(confirmed)).await;
        assert_eq!(accepted.is_ok(), expected);
        assert_eq!(status(&head(&mut far).await), if expected { 101 } else { 403 });
    }
}

#[tokio::test(start_paused = true)]
async fn only_an_offered_subprotocol_is_accepted() {
    let mut server = Server::builder().build();
    let offer = [("Sec-WebSocket-Protocol", "Chat.v2, chat.v1")];
    for (name, expected) in
        [("chat.v2", Some("Chat.v2")), ("chat", None), ("CHAT.V1", Some("chat.v1"))]
    {
        let (request, mut far) = arrives(&mut server, &offer).await;
        let accepted = request.accept_with(Accept::new().protocol(name)).await;
        let head = head(&mut far).await;
        match accepted {
            Ok(connection) => assert_eq!(connection.protocol(), expected),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidHandshakeOption);
                assert_eq!((expected, status(&head)), (None, 500));
            }
        }
        assert_eq!(header(&head, "Sec-WebSocket-Protocol"), expected);
    }
    // Unasked, none is chosen.
    let (connection, head) = accepted(&mut server, &offer).await;
    assert_eq!(connection.unwrap().protocol(), None);
    assert_eq!(header(&head, "Sec-WebSocket-Protocol"), None);
}

#[tokio::test(start_paused = true)]
async fn forwarded_addresses_are_believed_only_from_trusted_proxies() {
    let forwarded = request("/", &[("X-Forwarded-For", "203.0.113.7, 198.51.100.1")]);
    let custom = TrustedProxies::new(["198.51.100.0/24"]).unwrap();
    for (trusted, peer, expected) in [
        (None, "198.51.100.9:1000", "198.51.100.9"),
        (None, "127.0.0.1:1000", "198.51.100.1"),
        (None, "10.1.2.3:1000", "198.51.100.1"),
        (Some(custom.clone()), "198.51.100.9:1000", "203.0.113.7"),
        (Some(custom), "127.0.0.1:1000", "127.0.0.1"),
        (Some(TrustedProxies::none()), "127.0.0.1:1000", "127.0.0.1"),
    ] {
        let mut builder = Server::builder();
        if let Some(trusted) = trusted {
            builder = builder.trusted_proxies(trusted);
        }
        let mut server = builder.build();
        let _far = says_from(&server, forwarded.as_bytes(), Some(peer)).await;
        let request = server.next_request().await.unwrap();
        assert_eq!(request.remote_address(), Some(expected.parse().unwrap()), "via {peer}");
        assert_eq!(request.peer_addr(), Some(peer.parse().unwrap()));
        let connection = request.accept().await.unwrap();
        assert_eq!(connection.remote_address(), Some(expected.parse().unwrap()));
        assert_eq!(connection.peer_addr(), Some(peer.parse().unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn each_frame_of_a_client_has_a_mask_of_its_own() {
    let mut masks = HashSet::new();
    for _ in 0..4 {
        let (connection, far) = connect(Role::Client, &Config::client());
        for _ in 0..250 {
            connection.send("the same").await.unwrap();
        }
        settle().await;
        masks.extend(far.hears().iter().map(|heard| heard.header.mask.unwrap()));
    }
    // Of a thousand random numbers of 32 bits, hardly ever are two the same.
    assert!(masks.len() >= 998, "{} of 1000", masks.len());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_come_is_answered_with_408_at_the_deadline() {
    for said in ["", "GET / HTTP/1.1\r\nHost: example.com\r\n"] {
        let server = Server::builder().build();
        let began = Instant::now();
        let far = says(&server, said.as_bytes()).await;
        assert_eq!(status(&answer(far).await), 408, "{said:?}");
        assert_eq!(began.elapsed().as_secs(), 10);
    }
}

/// A byte now and then does not put the deadline off.
#[tokio::test(start_paused = true)]
async fn a_request_that_drips_is_answered_with_408_at_the_deadline() {
    let timeout = Duration::from_secs(3);
    let server = Server::builder().handshake_timeout(timeout).build();
    let began = Instant::now();
    let mut far = says(&server, b"").await;
    let dripping = async {
        for byte in request("/", &[]).bytes() {
            tokio::time::sleep(Duration::from_millis(500)).await;
            if began.elapsed() > timeout {
                break;
            }
            far.write_u8(byte).await.unwrap();
        }
    };
    dripping.await;
    assert_eq!(status(&head(&mut far).await), 408);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_too_large_is_answered_with_431() {
    let long = "x".repeat(20_000);
    let many: Vec<_> = (0..150).map(|_| ("X-Header", "x")).collect();
    for headers in [&[("X-Header", &*long)][..], &many] {
        let server = Server::builder().build();
        let far = says(&server, request("/", headers).as_bytes()).await;
        assert_eq!(status(&answer(far).await), 431);
    }
    let limits = HeadLimits::default().max_headers(6);
    let mut server = Server::builder().head_limits(limits).build();
    assert!(accepted(&mut server, &[("X-One", "1")]).await.0.is_ok());
    let far = says(&server, request("/", &[("X-One", "1"), ("X-Two", "2")]).as_bytes()).await;
    assert_eq!(status(&answer(far).await), 431);
}

/// No extension is agreed on that the server was not set up for.
#[tokio::test(start_paused = true)]
async fn there_is_no_compression_unless_asked_for() {
    let mut server = Server::builder().build();
    let offer = [("Sec-WebSocket-Extensions", "permessage-deflate")];
    let (connection, head) = accepted(&mut server, &offer).await;
    assert!(connection.unwrap().extensions().is_empty());
    assert_eq!(header(&head, "Sec-WebSocket-Extensions"), None);
}
