//! Chunks of input in, tables of events out.

use std::borrow::Cow;
use std::time::Instant;

use bytes::Bytes;
use napi::Env;
use napi::bindgen_prelude::{Buffer, BufferSlice, Either, External, Latin1String};
use napi_derive::napi;
use towline_proto::{Fault, Frame, Incoming, Input, Rsv};

use crate::arrays::{BytesMut, WordsMut};
use crate::connection::{Connection, Owned};
use crate::hub::Hub;
use crate::table::{Kind, State, Writer};
use crate::words::describe;

/// The program answers pings itself.
const PINGS_BY_HAND: u32 = 1;
/// The program wants to see control frames.
const CONTROL_FRAMES: u32 = 2;

/// A payload up to this is copied into memory of JavaScript's; lending it memory of ours costs
/// more than that.
const COPY_MAX: usize = 16 << 10;

/// Decodes what is in `chunk` from `from` on, unmasks it where it lies, and writes `table`: see
/// `table.rs`. Returns how many events there are.
#[napi(catch_unwind)]
pub fn receive(
    hub: &mut External<Hub>,
    id: u32,
    chunk: BytesMut<'_>,
    from: u32,
    table: WordsMut<'_>,
    flags: u32,
) -> u32 {
    let mut writer = Writer::new(table);
    let len = chunk.len();
    let Some(connection) = hub.get(id) else { return writer.finish(len, State::default()) };
    let mut input = Input::new(chunk.get_mut(from as usize..).unwrap_or_default());
    let now = Instant::now();
    connection.session.handle_received(now);
    let is_whole = connection.decode(&mut input, len, now, flags, &mut writer);
    let state = State {
        is_full: !is_whole,
        has_output: !connection.session.outbound().is_empty(),
        // An answer to a ping, say, begins a new interval, which may end before the grace period.
        is_sooner: hub.schedule(id),
    };
    writer.finish(len - input.len(), state)
}

/// The text that the next event is about.
#[napi(catch_unwind)]
pub fn take_text(hub: &mut External<Hub>, id: u32) -> Either<Latin1String, String> {
    let text = match hub.get(id).and_then(Connection::take_owned) {
        Some(Owned::Text(text)) => text,
        _ => String::new(),
    };
    // Half the work, where it will do.
    if text.is_ascii() { Either::A(Latin1String::from(text)) } else { Either::B(text) }
}

/// The payload that the next event is about.
#[napi(catch_unwind)]
pub fn take_bytes<'env>(
    env: &'env Env,
    hub: &mut External<Hub>,
    id: u32,
) -> napi::Result<Either<BufferSlice<'env>, Buffer>> {
    let copied = |bytes: &[u8]| BufferSlice::copy_from(env, bytes).map(Either::A);
    match hub.get(id).and_then(Connection::take_owned) {
        Some(Owned::Binary(bytes)) if bytes.len() > COPY_MAX => Ok(Either::B(bytes.into())),
        Some(Owned::Binary(bytes)) => copied(&bytes),
        Some(Owned::Shared(bytes)) => copied(&bytes),
        Some(Owned::Text(text)) => copied(text.as_bytes()),
        None => copied(&[]),
    }
}

/// What the next event is about, as bytes. For tests, which have no JavaScript to take it.
pub fn taken(hub: &mut Hub, id: u32) -> Option<Vec<u8>> {
    Some(match hub.get(id)?.take_owned()? {
        Owned::Text(text) => text.into_bytes(),
        Owned::Binary(bytes) => bytes,
        Owned::Shared(bytes) => bytes.into(),
    })
}

impl Connection {
    /// Decodes until the input or the table ends; returns whether it was the input.
    pub(crate) fn decode(
        &mut self,
        input: &mut Input<'_>,
        len: usize,
        now: Instant,
        flags: u32,
        writer: &mut Writer<'_>,
    ) -> bool {
        while self.ending.is_none() {
            if !writer.has_room() {
                return false;
            }
            match self.inbound.poll(input) {
                Incoming::More | Incoming::End => return true,
                incoming => {
                    let end = len - input.len();
                    self.note(incoming, end, now, flags, writer);
                }
            }
        }
        // Nothing counts any more.
        *input = Input::new(&mut []);
        true
    }

    /// Writes down an event. `end` is where in the chunk its frame ends.
    fn note(
        &mut self,
        incoming: Incoming<'_>,
        end: usize,
        now: Instant,
        flags: u32,
        writer: &mut Writer<'_>,
    ) {
        match incoming {
            Incoming::Binary(Cow::Borrowed(payload)) => {
                writer.push(Kind::Binary, end - payload.len(), payload.len());
            }
            Incoming::Text(Cow::Borrowed(text)) => {
                let kind = if text.is_ascii() { Kind::Ascii } else { Kind::Text };
                writer.push(kind, end - text.len(), text.len());
            }
            Incoming::Binary(Cow::Owned(bytes)) => {
                self.own(writer, Kind::OwnedBinary, 0, Owned::Binary(bytes));
            }
            Incoming::Text(Cow::Owned(text)) => {
                self.own(writer, Kind::OwnedText, 0, Owned::Text(text));
            }
            Incoming::Frame(frame) => {
                let masked = usize::from(frame.is_masked());
                writer.push(Kind::Frame, first_byte(&frame), masked);
                self.owned.push_back(Owned::Shared(frame.into_payload()));
            }
            Incoming::Ping(payload) if flags & PINGS_BY_HAND != 0 => {
                let noted = self.session.handle_unanswered_ping(now);
                self.note_control(noted, Some((Kind::Ping, 1, payload)), writer);
            }
            Incoming::Ping(payload) => {
                let noted = self.session.handle_incoming(now, &Incoming::Ping(payload.clone()));
                let event = (flags & CONTROL_FRAMES != 0).then_some((Kind::Ping, 0, payload));
                self.note_control(noted, event, writer);
            }
            Incoming::Pong(payload) => {
                let noted = self.session.handle_incoming(now, &Incoming::Pong(payload.clone()));
                let event = (flags & CONTROL_FRAMES != 0).then_some((Kind::Pong, 0, payload));
                self.note_control(noted, event, writer);
            }
            Incoming::Close(frame) => {
                let reason = Owned::Text(frame.reason().to_owned());
                self.own(writer, Kind::Close, frame.code().get().into(), reason);
                self.ending = Some(Incoming::Close(frame));
            }
            Incoming::Fault(fault) => self.note_fault(fault, writer),
            _ => {}
        }
    }

    /// Writes down a control frame that the session has taken note of, or that it was too much.
    fn note_control(
        &mut self,
        noted: Result<(), Fault>,
        event: Option<(Kind, usize, Bytes)>,
        writer: &mut Writer<'_>,
    ) {
        match (noted, event) {
            (Err(fault), _) => self.note_fault(fault, writer),
            (Ok(()), Some((kind, first, payload))) => {
                self.own(writer, kind, first, Owned::Shared(payload));
            }
            (Ok(()), None) => {}
        }
    }

    fn note_fault(&mut self, fault: Fault, writer: &mut Writer<'_>) {
        let code = usize::from(fault.close_code().get());
        self.own(writer, Kind::Fault, code, Owned::Text(describe(fault)));
        self.ending = Some(Incoming::Fault(fault));
    }

    fn own(&mut self, writer: &mut Writer<'_>, kind: Kind, first: usize, owned: Owned) {
        writer.push(kind, first, 0);
        self.owned.push_back(owned);
    }
}

/// The first byte of a frame as it was on the wire.
fn first_byte(frame: &Frame) -> usize {
    let fin = if frame.is_fin() { 0x80 } else { 0 };
    let rsv: Rsv = frame.reserved_bits();
    usize::from(fin | rsv.bits() | frame.opcode().bits())
}
