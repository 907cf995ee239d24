//! A server's answer, as a client takes it.
//!
//! What is accepted is a 101 with this key's answer, a subprotocol that was offered, and no
//! extension that was not. `{ACCEPT}` in the input stands for the key's answer.

use http::StatusCode;
use towline_proto::handshake::{Connect, HeadLimits, parse_response};
use towline_proto::{Config, Deflate};

pub fn run(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else { return };
    let is_compressed = first & 1 == 1;
    let mut connect = Connect::new().protocols(["chat.v2", "chat.v1"]);
    if is_compressed {
        let config = Config::client().compression(Deflate::client());
        connect = connect.compression(config.negotiable_compression());
    }
    let opening = connect.open(&"ws://example.com/".parse().expect("a URI")).expect("a request");
    let bytes = replace(bytes, b"{ACCEPT}", opening.key().accept().as_bytes());
    let limits = HeadLimits::default();
    let Ok(Some((response, len))) = parse_response(&bytes, &limits) else { return };
    for cut in (0..len).rev().step_by(1 + usize::from(first >> 1)) {
        assert!(matches!(parse_response(&bytes[..cut], &limits), Ok(None)), "after {cut} bytes");
    }
    let Ok(agreed) = opening.verify(&response) else { return };
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let accept = response.headers().get("sec-websocket-accept").expect("the key's answer");
    assert_eq!(accept.as_bytes(), opening.key().accept().as_bytes());
    if let Some(protocol) = agreed.protocol {
        assert!(["chat.v2", "chat.v1"].iter().any(|name| protocol.matches(name)));
    }
    assert!(is_compressed || agreed.extensions.is_empty(), "{:?}", agreed.extensions);
    assert_eq!(agreed.compression.is_some(), !agreed.extensions.is_empty());
}

/// Puts `with` in the place of each `what`.
pub(crate) fn replace(bytes: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(what.len()).position(|window| window == what) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(with);
        rest = &rest[at + what.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}
