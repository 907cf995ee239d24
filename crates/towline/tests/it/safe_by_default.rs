//! Promise 10: cross-origin requests are refused unless allowed; only offered subprotocols are
//! accepted; forwarded addresses are believed only from trusted proxies; masks differ; handshakes
//! have a deadline and limits.

use std::collections::HashSet;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;
use towline::{
    Accept, Config, ErrorKind, ForwardedHeader, HeadLimits, OriginPolicy, Role, Server,
    TrustedProxies, Version,
};

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

/// Nobody asks the program, which makes the policy all the more needed.
#[tokio::test(start_paused = true)]
async fn auto_accept_keeps_to_the_policy_for_origins() {
    let list = || OriginPolicy::list(["https://app.example"]).unwrap();
    for (origins, origin, expected) in [
        (None, "https://evil.example", 403),
        (None, "null", 403),
        (None, "https://example.com", 101),
        (Some(list()), "https://evil.example", 403),
        (Some(list()), "https://example.com", 403),
        (Some(list()), "https://app.example", 101),
        (Some(OriginPolicy::Any), "https://evil.example", 101),
    ] {
        let mut builder = Server::builder().auto_accept(true);
        if let Some(origins) = origins {
            builder = builder.origins(origins);
        }
        let mut server = builder.build();
        let mut far = says(&server, request("/", &[("Origin", origin)]).as_bytes()).await;
        assert_eq!(status(&head(&mut far).await), expected, "{origin}");
        assert_eq!(server.connections().len(), usize::from(expected == 101));
        // No page at all is welcome under any policy.
        let _program = says(&server, request("/", &[]).as_bytes()).await;
        assert!(server.next_connection().await.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_origin_is_one_of_https_where_a_trusted_proxy_has_taken_tls_off() {
    let forwarded = TrustedProxies::default().header(ForwardedHeader::Forwarded);
    let (page, secure_page) = ("http://example.com", "https://example.com");
    let x = ("X-Forwarded-Proto", "https");
    let f = ("Forwarded", "for=203.0.113.7;proto=https");
    for (trusted, peer, said, origin, expected) in [
        (None, "127.0.0.1:1000", x, page, 403),
        (None, "127.0.0.1:1000", x, secure_page, 101),
        (None, "127.0.0.1:1000", ("X-Forwarded-Proto", "http"), page, 101),
        (None, "127.0.0.1:1000", f, page, 101),
        // Nobody believes these.
        (None, "198.51.100.9:1000", x, page, 101),
        (None, "10.1.2.3:1000", x, page, 101),
        (Some(forwarded.clone()), "127.0.0.1:1000", f, page, 403),
        (Some(forwarded.clone()), "127.0.0.1:1000", f, secure_page, 101),
        (Some(forwarded), "127.0.0.1:1000", x, page, 101),
    ] {
        let mut builder = Server::builder();
        if let Some(trusted) = trusted {
            builder = builder.trusted_proxies(trusted);
        }
        let mut server = builder.build();
        let request = request("/", &[said, ("Origin", origin)]);
        let mut far = says_from(&server, request.as_bytes(), Some(peer)).await;
        let accepted = server.next_request().await.unwrap().accept().await;
        assert_eq!(accepted.is_ok(), expected == 101, "{origin} via {peer}: {said:?}");
        assert_eq!(status(&head(&mut far).await), expected, "{origin} via {peer}: {said:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn draft_8_is_accepted_unless_it_is_switched_off() {
    for auto_accept in [false, true] {
        for (oldest, version, expected) in [
            (None, "8", 101),
            (Some(Version::Draft8), "8", 101),
            (Some(Version::Rfc6455), "8", 426),
            (Some(Version::Rfc6455), "13", 101),
        ] {
            let mut builder = Server::builder().auto_accept(auto_accept);
            if let Some(oldest) = oldest {
                builder = builder.oldest_version(oldest);
            }
            let mut server = builder.build();
            let lines = [("Sec-WebSocket-Origin", "https://example.com")];
            let request = request("/", &lines)
                .replace("Sec-WebSocket-Version: 13", &format!("Sec-WebSocket-Version: {version}"));
            let mut far = says(&server, request.as_bytes()).await;
            let head = if expected == 101 && !auto_accept {
                let request = server.next_request().await.unwrap();
                let connection = request.accept().await.unwrap();
                assert_eq!(connection.version().number().to_string(), version);
                head(&mut far).await
            } else {
                head(&mut far).await
            };
            assert_eq!(status(&head), expected, "{version}");
            let supported = (expected == 426).then_some("13");
            assert_eq!(header(&head, "Sec-WebSocket-Version"), supported);
        }
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
    let named = TrustedProxies::default().and("10.1.0.0/16").unwrap();
    for (trusted, peer, expected) in [
        (None, "198.51.100.9:1000", "198.51.100.9"),
        (None, "127.0.0.1:1000", "198.51.100.1"),
        (None, "[::1]:1000", "198.51.100.1"),
        // Anybody may be in a private network.
        (None, "10.1.2.3:1000", "10.1.2.3"),
        (None, "172.16.0.1:1000", "172.16.0.1"),
        (None, "192.168.1.1:1000", "192.168.1.1"),
        (None, "[fd00::1]:1000", "fd00::1"),
        (Some(named.clone()), "10.1.2.3:1000", "198.51.100.1"),
        (Some(named.clone()), "127.0.0.1:1000", "198.51.100.1"),
        (Some(named), "10.2.2.3:1000", "10.2.2.3"),
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
