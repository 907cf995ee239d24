//! What opens a WebSocket over HTTP/2 (RFC 8441, sections 4 and 5), and what does not.

use towline::Server;

use crate::raw_http2::{
    ACK, DATA, END_HEADERS, EXTENDED, HEADERS, PROTOCOL_ERROR, RST_STREAM, RawHttp2, SETTINGS,
    block, frame, status,
};
use crate::support::{Front, echo, serve};

/// The server's answer to a request with these headers, as the kind of its frame and the status or
/// the error code. The stream after it is served as before.
async fn answer(headers: &[(&str, &str)]) -> (u8, u32) {
    let server = Server::builder().build();
    let address = serve(&server, Front::HttpServer).await;
    echo(server);
    let mut client = RawHttp2::connect(address).await;
    client.send(&frame(HEADERS, END_HEADERS, 1, &block(headers))).await;
    let answer = loop {
        let frame = client.next().await.unwrap();
        match frame.kind {
            HEADERS => break (HEADERS, u32::from(status(&frame))),
            RST_STREAM => break (RST_STREAM, frame.error_code()),
            _ => {}
        }
    };
    client.open(3).await;
    answer
}

fn without(name: &str) -> Vec<(&'static str, &'static str)> {
    EXTENDED.into_iter().filter(|(other, _)| *other != name).collect()
}

fn with(name: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    let other = |(n, v)| if n == name { (n, value) } else { (n, v) };
    EXTENDED.into_iter().map(other).collect()
}

#[tokio::test]
async fn an_extended_connect_needs_no_key() {
    assert!(!EXTENDED.iter().any(|(name, _)| *name == "sec-websocket-key"));
    assert_eq!(answer(&EXTENDED).await, (HEADERS, 200));
}

/// RFC 9113, section 8.1.1: malformed requests "MUST be treated as a stream error … of type
/// PROTOCOL_ERROR".
#[tokio::test]
async fn a_malformed_extended_connect_resets_its_stream_only() {
    for malformed in [
        // RFC 8441, section 4: "the :scheme and :path pseudo-header fields … MUST also be included".
        without(":path"),
        without(":scheme"),
        with(":path", ""),
        with(":method", "GET"),
        // RFC 9113, section 8.5: without :protocol, a CONNECT has no path and no scheme.
        without(":protocol"),
        // RFC 9113, section 8.2.2, and RFC 8441, section 5.
        [&EXTENDED[..], &[("upgrade", "websocket")]].concat(),
        [&EXTENDED[..], &[("connection", "Upgrade")]].concat(),
    ] {
        assert_eq!(answer(&malformed).await, (RST_STREAM, PROTOCOL_ERROR), "{malformed:?}");
    }
}

#[tokio::test]
async fn an_invalid_handshake_is_a_bad_request() {
    for invalid in [
        without("sec-websocket-version"),
        with("sec-websocket-version", "12"),
        without(":authority"),
        [&EXTENDED[..], &[("sec-websocket-protocol", "a b")]].concat(),
    ] {
        assert_eq!(answer(&invalid).await, (HEADERS, 400), "{invalid:?}");
    }
}

#[tokio::test]
async fn other_requests_are_for_the_inner_service() {
    let plain = [(":method", "CONNECT"), (":authority", "example.com")];
    let get = [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/"),
        (":authority", "example.com"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    for other in [&plain[..], &get, &with(":protocol", "connect-udp")] {
        // The service answers every request with a page.
        assert_eq!(answer(other).await, (HEADERS, 200), "{other:?}");
    }
    // A protocol's name is compared without regard to case, as that of an upgrade.
    assert_eq!(answer(&with(":protocol", "WebSocket")).await, (HEADERS, 200));
}

#[tokio::test]
async fn settings_announce_extended_connect_and_are_acknowledged() {
    let server = Server::builder().build();
    let address = serve(&server, Front::HttpServer).await;
    echo(server);
    let mut client = RawHttp2::connect(address).await;
    let settings = client.until(SETTINGS).await;
    assert_eq!(settings.flags & ACK, 0);
    // SETTINGS_ENABLE_CONNECT_PROTOCOL = 1.
    assert!(settings.payload.chunks(6).any(|entry| entry == [0, 8, 0, 0, 0, 1]), "{settings:?}");
    assert_eq!(client.until(SETTINGS).await.flags & ACK, ACK);
    client.open(1).await;
    client.send(&frame(DATA, 0, 1, &[0x82, 0x81, 0, 0, 0, 0, 7])).await;
    assert_eq!(client.until(DATA).await.payload, [0x82, 1, 7]);
}
