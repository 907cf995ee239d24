//! Messages in, bytes to write out.

use bytes::{Buf, Bytes};
use napi::bindgen_prelude::{Buffer, External, Uint8Array};
use napi::{Error, Result, Status};
use napi_derive::napi;
use std::time::Instant;
use towline_proto::text::validate;
use towline_proto::wire::header::MAX_HEADER_LEN;
use towline_proto::wire::mask;
use towline_proto::{Frame, Header, Message, MessageRef, Opcode, Refused, Rsv, Session, Text};

use crate::arrays;
use crate::hub::Hub;

/// How many words an entry of staged messages has: the connection, whether it is text, where the
/// payload begins, how long it is.
const ENTRY_LEN: usize = 4;

/// Sends staged messages: `entries` says which parts of `staged` they are, and of which
/// connection. [`flush`] follows for each of those.
#[napi(catch_unwind)]
pub fn send_staged(
    hub: &mut External<Hub>,
    staged: arrays::Bytes<'_>,
    entries: arrays::Words<'_>,
    count: u32,
) {
    for entry in entries.chunks_exact(ENTRY_LEN).take(count as usize) {
        let &[id, is_text, offset, len] = entry else { continue };
        let range = offset as usize..(offset as usize).saturating_add(len as usize);
        if let (Some(payload), Some(session)) = (staged.get(range), hub.session(id)) {
            send_ref(session, is_text != 0, payload);
        }
    }
}

/// Writes what is to be written to `out`, from `from` on, and returns how many bytes that are. If
/// `out` is full, there may be more.
#[napi(catch_unwind)]
pub fn flush(hub: &mut External<Hub>, id: u32, out: arrays::BytesMut<'_>, from: u32) -> u32 {
    let Some(out) = out.get_mut(from as usize..) else { return 0 };
    let Some(connection) = hub.get(id) else { return 0 };
    let mut written = 0;
    while written < out.len()
        && let Some(outbound) = connection.session.poll_transmit()
    {
        let chunk = outbound.chunk();
        let len = chunk.len().min(out.len() - written);
        out[written..written + len].copy_from_slice(&chunk[..len]);
        outbound.advance(len);
        written += len;
    }
    hub.reclaim(id);
    u32::try_from(written).unwrap_or(u32::MAX)
}

/// The two in one, for the common case of one connection.
#[napi(catch_unwind)]
pub fn send_and_flush(
    hub: &mut External<Hub>,
    id: u32,
    staged: arrays::Bytes<'_>,
    entries: arrays::Words<'_>,
    count: u32,
    out: arrays::BytesMut<'_>,
    from: u32,
) -> u32 {
    send_staged(hub, staged, entries, count);
    flush(hub, id, out, from)
}

/// Sends a message that is too large to be staged. It is not copied: it must stay as it is until
/// [`flush`] has written all of it.
#[napi(catch_unwind)]
pub fn send_lent(hub: &mut External<Hub>, id: u32, is_text: bool, payload: Buffer) {
    queue_lent(hub, id, is_text, Bytes::from_owner(payload));
}

pub(crate) fn queue_lent(hub: &mut Hub, id: u32, is_text: bool, payload: Bytes) {
    let Some(session) = hub.session(id) else { return };
    // One that is held back behind a message made of frames is not written soon.
    if session.outbound().is_message_unfinished() {
        return send_ref(session, is_text, &payload);
    }
    let message = if is_text {
        Text::try_from(payload).map(Message::Text).ok()
    } else {
        Some(Message::Binary(payload))
    };
    if let Some(message) = message {
        // JavaScript asks before whether the connection is open.
        let _ = session.send(message);
    }
}

/// Sends a ping, or a pong that answers none or one that the program answers itself.
#[napi(catch_unwind)]
pub fn send_control(hub: &mut External<Hub>, id: u32, is_ping: bool, payload: arrays::Bytes<'_>) {
    let Some(session) = hub.session(id) else { return };
    let payload = Bytes::copy_from_slice(payload);
    let _ = if is_ping { session.ping(payload) } else { session.pong(payload) };
}

/// Sends a frame made by hand. `first_byte` is that of the wire.
///
/// # Errors
///
/// For a frame that can't stand here, why.
#[napi(catch_unwind)]
pub fn send_frame(
    hub: &mut External<Hub>,
    id: u32,
    first_byte: u32,
    payload: arrays::Bytes<'_>,
) -> Result<()> {
    let Some(session) = hub.session(id) else { return Ok(()) };
    let [.., first_byte] = first_byte.to_be_bytes();
    let Some(opcode) = Opcode::from_bits(first_byte & 0x0f) else {
        let message = format!("Cannot send a frame with the reserved opcode {}", first_byte & 0x0f);
        return Err(Error::new(Status::InvalidArg, message));
    };
    let frame = Frame::new(opcode, Bytes::copy_from_slice(payload))
        .fin(first_byte & 0x80 != 0)
        .rsv(reserved_bits(first_byte));
    let result = session.send_frame(Instant::now(), frame).map_err(|error| error.why());
    hub.schedule(id);
    result.map_err(|why: Refused| Error::new(Status::InvalidArg, why.to_string()))
}

/// A frame as it is on the wire, for a program that writes it itself. Masked with `mask`, or not if
/// that is absent.
#[napi(catch_unwind)]
pub fn encode_frame(first_byte: u32, payload: arrays::Bytes<'_>, mask: Option<u32>) -> Uint8Array {
    let [.., first_byte] = first_byte.to_be_bytes();
    let key = mask.map(u32::to_be_bytes);
    let header = Header {
        fin: first_byte & 0x80 != 0,
        rsv: reserved_bits(first_byte),
        opcode: Opcode::from_bits(first_byte & 0x0f).unwrap_or(Opcode::Continuation),
        mask: key,
        payload_len: payload.len() as u64,
    };
    let mut encoded = Vec::with_capacity(MAX_HEADER_LEN + payload.len());
    header.encode(&mut encoded);
    // The reserved opcodes too, which the core has no word for.
    encoded[0] = first_byte;
    match key {
        Some(key) => mask::extend(key, payload, &mut encoded),
        None => encoded.extend_from_slice(payload),
    }
    encoded.into()
}

/// A key to mask with, which nobody can foresee.
#[napi(catch_unwind)]
pub fn random_mask() -> u32 {
    u32::from_be_bytes(mask::random_key())
}

pub(crate) fn send_ref(session: &mut Session, is_text: bool, payload: &[u8]) {
    let message = if is_text {
        // JavaScript's encoder makes nothing else.
        validate(payload).ok().map(MessageRef::text)
    } else {
        Some(MessageRef::binary(payload))
    };
    if let Some(message) = message {
        // JavaScript asks before whether the connection is open.
        let _ = session.send(message);
    }
}

fn reserved_bits(first_byte: u8) -> Rsv {
    [Rsv::RSV1, Rsv::RSV2, Rsv::RSV3]
        .into_iter()
        .filter(|bit| first_byte & bit.bits() != 0)
        .fold(Rsv::NONE, Rsv::union)
}
