//! Bytes of a peer, under every configuration.
//!
//! - However they are split, the events and the fault are the same.
//! - A fault repeats for ever.
//! - No message is longer than its limit, and nothing is allocated for lengths that are announced
//!   (the fuzzer's bound on allocations).
//! - What a connection answers is frames.

use arbitrary::{Result, Unstructured};
use bytes::{Buf as _, BufMut as _};
use towline_kit::{Event, Heard, negotiate};
use towline_proto::{Config, Connection, Fault, Inbound, Incoming, Input, Negotiated, Role};

use crate::settings;
use crate::wire::{other, role, said};

pub fn run(data: &[u8]) {
    let _ = check(&mut Unstructured::new(data));
}

fn check(input: &mut Unstructured<'_>) -> Result<()> {
    let role = role(input)?;
    let config = settings::config(input)?;
    let compression = agreed(role, input)?;
    let pieces = settings::pieces(input)?;
    let bytes = said(other(role), true, input)?;
    let compression = compression.as_ref();

    let at_once = decoded(role, &config, compression, &bytes, &[usize::MAX]);
    assert_eq!(decoded(role, &config, compression, &bytes, &pieces), at_once);
    assert_eq!(decoded(role, &config, compression, &bytes, &[1]), at_once);
    for event in &at_once.0 {
        let len = match event {
            Incoming::Text(text) => text.len(),
            Incoming::Binary(bytes) => bytes.len(),
            _ => 0,
        };
        let is_within = len <= config.max_received_message_size || !config.assemble_fragments;
        assert!(is_within, "{len} bytes of message");
    }
    answers(role, &config, compression, &bytes, &pieces);
    Ok(())
}

/// The compression that a handshake with these settings comes to, at one of its ends.
pub(crate) fn agreed(role: Role, input: &mut Unstructured<'_>) -> Result<Option<Negotiated>> {
    let client = Config::client().compression(settings::deflate(input)?.map(Into::into));
    let server = Config::server().compression(settings::deflate(input)?.map(Into::into));
    let [at_client, at_server] = negotiate(&client, &server);
    Ok(if role == Role::Client { at_client } else { at_server })
}

/// What a decoder makes of the bytes in these pieces.
pub(crate) fn decoded(
    role: Role,
    config: &Config,
    compression: Option<&Negotiated>,
    mut bytes: &[u8],
    pieces: &[usize],
) -> (Vec<Event>, Option<Fault>) {
    let mut inbound = Inbound::new(role, config).with_compression(compression);
    let mut events = Vec::new();
    for piece in pieces.iter().cycle() {
        let is_end = bytes.is_empty();
        let piece = (*piece).min(bytes.len());
        let mut chunk = Vec::new();
        if let Some(mut room) = inbound.payload_room() {
            let piece = piece.min(room.remaining_mut());
            room.put_slice(&bytes[..piece]);
            bytes.advance(piece);
        } else {
            chunk.extend_from_slice(&bytes[..piece]);
            bytes.advance(piece);
        }
        let mut input = Input::new(&mut chunk);
        loop {
            match inbound.poll(&mut input) {
                Incoming::More | Incoming::End => break,
                Incoming::Fault(fault) => {
                    repeats(&mut inbound, fault, bytes);
                    return (events, Some(fault));
                }
                incoming => events.push(incoming.into_owned()),
            }
        }
        if is_end {
            break;
        }
    }
    (events, None)
}

fn repeats(inbound: &mut Inbound, fault: Fault, more: &[u8]) {
    for more in [more, &[0x81, 0], more, &[]] {
        let mut more = more.to_vec();
        assert_eq!(inbound.poll(&mut Input::new(&mut more)), Incoming::Fault(fault));
        assert!(inbound.payload_room().is_none());
    }
}

/// A whole connection takes the bytes, and what it answers is frames of its role.
fn answers(
    role: Role,
    config: &Config,
    compression: Option<&Negotiated>,
    mut bytes: &[u8],
    pieces: &[usize],
) {
    let now = towline_kit::start();
    let mut connection = Connection::new(role, config, now).with_compression(compression);
    let mut written = Vec::new();
    for piece in pieces.iter().cycle() {
        let mut chunk = bytes[..(*piece).min(bytes.len())].to_vec();
        bytes.advance(chunk.len());
        let mut input = Input::new(&mut chunk);
        while !matches!(
            connection.poll(now, &mut input),
            Incoming::More | Incoming::End | Incoming::Fault(_)
        ) {}
        assert!(input.is_empty(), "{} bytes were left", input.len());
        while let Some(out) = connection.session().poll_transmit() {
            written.extend_from_slice(out.chunk());
            out.advance(out.chunk().len());
        }
        if bytes.is_empty() {
            break;
        }
    }
    let mut at = 0;
    while let Some((heard, len)) = Heard::first_of(&written[at..]) {
        assert_eq!(heard.header.mask.is_some(), role == Role::Client);
        at += len;
    }
    assert_eq!(at, written.len(), "a frame is incomplete");
}
