//! Compressed messages that inflate to a lot, and parameters of compression out of range.

use towline::{CloseCode, Config, Deflate, ErrorKind, Server};
use towline_kit::{FrameBytes, frame};

use crate::attacker::{Attacker, echo, neighbour_is_served, receive_all};
use crate::memory::peak;

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// Appends the lowest bits of a value, the lowest first (RFC 1951, section 3.1.1).
fn push_bits(bytes: &mut Vec<u8>, at: &mut usize, value: u32, count: usize) {
    for bit in 0..count {
        if at.is_multiple_of(8) {
            bytes.push(0);
        }
        *bytes.last_mut().unwrap() |= u8::from(value >> bit & 1 == 1) << (*at % 8);
        *at += 1;
    }
}

/// Returns a compressed message of 258 bytes for each count, and one more: a block of fixed codes with
/// matches of the greatest length (RFC 1951, section 3.2.6). The end is a block of a reserved type
/// if it is to be malformed.
fn bomb(count: usize, malformed: bool) -> Vec<u8> {
    let (mut bytes, mut at) = (Vec::new(), 0);
    push_bits(&mut bytes, &mut at, 0b010, 3);
    // The literal `x` is 0x78, with the code 0x30 + 0x78, the highest bit first.
    push_bits(&mut bytes, &mut at, u32::from(0xA8_u8.reverse_bits()), 8);
    for _ in 0..count {
        // 258 bytes, from one byte before.
        push_bits(&mut bytes, &mut at, u32::from(0b1100_0101_u8.reverse_bits()), 8);
        push_bits(&mut bytes, &mut at, 0, 5);
    }
    push_bits(&mut bytes, &mut at, 0, 7);
    push_bits(&mut bytes, &mut at, if malformed { 0b110 } else { 0b000 }, 3);
    bytes
}

fn compressed(payload: Vec<u8>) -> FrameBytes {
    frame().binary(payload).rsv(0b100)
}

fn server() -> towline::ServerBuilder {
    Server::builder().config(Config::server().compression(Deflate::server()))
}

async fn closes_server(frames: impl IntoIterator<Item = FrameBytes>) {
    let server = echo(server());
    let mut attacker = Attacker::client_offering(&server, OFFER).await;
    for frame in frames {
        attacker.says(frame).await;
    }
    assert_eq!(attacker.is_closed_with().await, CloseCode::MESSAGE_TOO_BIG);
    neighbour_is_served(&server).await;
}

async fn closes_client(frame: FrameBytes) {
    let answer = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
                  client_no_context_takeover\r\n";
    let config = Config::client().compression(Deflate::client());
    let (mut attacker, victim) = Attacker::server_answering(config, answer).await;
    let victim = tokio::spawn(receive_all(victim.await.unwrap().unwrap()));
    attacker.says(frame).await;
    assert_eq!(attacker.is_closed_with().await, CloseCode::MESSAGE_TOO_BIG);
    assert_eq!(victim.await.unwrap().unwrap_err().kind(), ErrorKind::LimitExceeded);
}

#[test]
fn cve_2018_1000518_a_bomb_at_a_server() {
    let most = peak(closes_server([compressed(bomb(30_000, false))]));
    assert!(most < 4 << 20, "{most} bytes");
}

/// Each fragment is within the limit, and so is the compressed message.
#[test]
fn cve_2016_10544_a_message_that_is_within_the_limit_while_compressed() {
    let bytes = bomb(30_000, false);
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let frames = [compressed(first.to_vec()).fin(false), frame().continuation(second)];
    let most = peak(closes_server(frames));
    assert!(most < 4 << 20, "{most} bytes");
}

#[test]
fn cve_2026_1526_a_bomb_at_a_client() {
    let most = peak(closes_client(compressed(bomb(200_000, false))));
    assert!(most < 24 << 20, "{most} bytes");
}

#[test]
fn cve_2026_85024_a_bomb_that_is_malformed_behind_the_limit() {
    peak(closes_client(compressed(bomb(200_000, true))));
    peak(closes_server([compressed(bomb(30_000, true))]));
}

#[tokio::test(start_paused = true)]
async fn cve_2026_2229_a_window_out_of_range() {
    for name in ["server_max_window_bits", "client_max_window_bits"] {
        for bits in ["0", "7", "16", "99", "-1", "1e1", "08", "4294967305", "\"\"", ""] {
            let answer = format!("Sec-WebSocket-Extensions: permessage-deflate; {name}={bits}\r\n");
            let config = Config::client().compression(Deflate::client());
            let (_attacker, victim) = Attacker::server_answering(config, &answer).await;
            let error = victim.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Handshake, "{name}={bits}: {error}");
        }
    }
}
