//! Frames to messages: fragmentation, reserved bits, UTF-8 and limits.
//!
//! ```text
//!   bytes ─▶ header ─▶ check ─▶ payload ─▶ unmask ─▶ ┬─ whole in the input ──▶ borrowed message
//!                        │                           ├─ in pieces ─▶ open ───▶ owned message
//!                        ▼                           └─ control ─────────────▶ ping, pong, close
//!                      fault
//! ```
//!
//! An idle connection holds no buffer here. `open` exists from the first byte that cannot be
//! borrowed from the input to the end of the message.

mod started;

mod open;

mod piecewise;

use std::borrow::Cow;

use bytes::Bytes;
use bytes::buf::Limit;

use crate::compression::{Inflating, Negotiated};
use crate::config::Config;
use crate::fault::{Fault, LimitExceeded, Violation};
use crate::incoming::{Incoming, Input};
use crate::message::MessageRef;
use crate::role::Role;
use crate::stats::Counts;
use crate::text::validate;
use crate::whole::{WholeMessage, is_ping, unfinished};
use crate::wire::close::CloseFrame;
use crate::wire::header::{Header, Rsv};
use crate::wire::mask;
use crate::wire::opcode::{MAX_CONTROL_PAYLOAD, Opcode};
use open::{Open, Progress};
use started::StartedHeader;

/// A compressed message may take this many bytes, plus twice its inflated limit: senders that flush
/// after every few bytes make it longer than the original. Without a limit, empty blocks could go
/// on forever.
const COMPRESSED_MIN: usize = 64 << 10;

/// The work of a compressed byte, in inflated bytes: empty blocks take time too.
const COMPRESSED_BYTE: u64 = 6;

/// The decoder: bytes in, [`Incoming`] out.
///
/// It is independent of sending and of time, so that a receiving half can own it alone.
/// [`Connection`](crate::connection::Connection) combines it with the rest.
#[derive(Debug)]
pub struct Inbound {
    role: Role,
    limits: Limits,
    /// The longest message in a single frame.
    most_whole: usize,
    /// Whether the next item may be a message in a single frame.
    is_between_messages: bool,
    /// The first bytes of an incomplete header.
    started: StartedHeader,
    /// The incomplete frame or message.
    open: Option<Box<Open>>,
    /// Set if compression was negotiated and no compressed message is open.
    inflating: Option<Box<dyn Inflating>>,
    /// Bytes inflated for messages that are not open any more.
    inflated: u64,
    /// The number of frames received that were not complete messages in the input.
    frames: u32,
    /// What was received since this was last taken.
    counts: Counts,
    end: Option<End>,
}

#[derive(Debug)]
struct Limits {
    frame: usize,
    message: usize,
    fragments: usize,
    assemble: bool,
}

#[derive(Debug)]
enum End {
    Closed,
    Failed(Fault),
}

impl Inbound {
    /// Creates a decoder for the end with this role.
    pub fn new(role: Role, config: &Config) -> Self {
        let limits = Limits {
            frame: config.max_received_frame_size,
            message: config.max_received_message_size,
            fragments: config.max_received_fragments.get(),
            assemble: config.assemble_fragments,
        };
        Self {
            role,
            most_whole: limits.frame.min(limits.message),
            is_between_messages: limits.assemble,
            limits,
            started: StartedHeader::default(),
            open: None,
            inflating: None,
            inflated: 0,
            frames: 0,
            counts: Counts::default(),
            end: None,
        }
    }

    /// Sets the compression that the handshake negotiated.
    ///
    /// Not for a decoder without [`assemble_fragments`](Config::assemble_fragments), whose
    /// configuration [negotiates none](Config::negotiable_compression).
    #[must_use]
    pub fn with_compression(mut self, compression: Option<&Negotiated>) -> Self {
        self.inflating = compression
            .filter(|_| self.limits.assemble)
            .map(|negotiated| negotiated.method.inflating(negotiated));
        self
    }

    /// Returns the next item, from the bytes in the [`payload_room`](Self::payload_room) and then
    /// `input`.
    ///
    /// [`Incoming::More`] asks for a read: into that room, if there is any, otherwise after the
    /// rest of the input. The rest is empty unless the input comes from a
    /// [`ReadBuffer`](crate::read_buffer::ReadBuffer), which keeps the beginning of a frame. After
    /// a close frame, returns only [`Incoming::End`]; after a fault, that fault. Further input is
    /// then consumed and ignored.
    #[inline(always)]
    pub fn poll<'b>(&mut self, input: &mut Input<'b>) -> Incoming<'b> {
        match self.poll_whole(input) {
            Some(message) => message.into(),
            None => self.poll_any(input),
        }
    }

    /// The fast path of [`poll`](Self::poll), optional for hosts: returns the next item if it is a
    /// message that is complete at the beginning of `input`. Otherwise, use `poll`.
    #[inline(always)]
    pub fn poll_whole<'b>(&mut self, input: &mut Input<'b>) -> Option<MessageRef<'b>> {
        let whole = self.find_whole(input.as_slice())?;
        let payload = whole.take(input);
        let payload_len = payload.len();
        if !whole.is_text {
            self.count_whole(payload_len);
            return Some(MessageRef::binary(payload));
        }
        match validate(payload) {
            Ok(text) => {
                self.count_whole(payload_len);
                Some(MessageRef::text(text))
            }
            Err(invalid) => {
                self.finish(End::Failed(invalid.into()));
                None
            }
        }
    }

    /// Wraps around in a host that never takes the counts.
    #[inline(always)]
    fn count_whole(&mut self, payload_len: usize) {
        self.counts.whole = self.counts.whole.wrapping_add(1);
        self.counts.payload_bytes = self.counts.payload_bytes.wrapping_add(payload_len as u64);
    }

    /// Counts an item that was not complete in the input, when it is decoded. A message that follows
    /// its frame is counted with it.
    fn count_other(&mut self, incoming: &Incoming<'_>) {
        let (is_message, len) = match incoming {
            Incoming::Text(text) => (true, text.len()),
            Incoming::Binary(bytes) => (true, bytes.len()),
            Incoming::Frame(frame) => (frame.is_fin(), frame.len()),
            Incoming::Piece(piece) => (piece.is_last, piece.payload.len()),
            _ => return,
        };
        let counts = &mut self.counts;
        counts.others = counts.others.wrapping_add(is_message.into());
        counts.payload_bytes = counts.payload_bytes.wrapping_add(len as u64);
    }

    /// Counts bytes that the host has read from the transport.
    #[inline]
    pub fn handle_read(&mut self, count: usize) {
        // A read is shorter than that.
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.counts.wire_bytes = self.counts.wire_bytes.wrapping_add(count);
    }

    /// Returns what was received since [`take_counts`](Self::take_counts).
    pub fn counts(&self) -> Counts {
        let mut counts = self.counts;
        if let Some(open) = &self.open {
            counts.add_inflated(open.compressed, open.inflated);
        }
        counts
    }

    /// Returns what was received since the last call. The
    /// [session](crate::session::Session::handle_counts) adds it up: call it before each read.
    #[inline]
    pub fn take_counts(&mut self) -> Counts {
        self.settle_inflated();
        std::mem::take(&mut self.counts)
    }

    /// Returns whether `input` begins with a complete message: [`poll_whole`](Self::poll_whole)
    /// returns it, or finds that its text is not UTF-8. For a host that waits first and takes the
    /// message later.
    #[inline]
    pub fn has_whole(&self, input: &[u8]) -> bool {
        self.find_whole(input).is_some()
    }

    /// Returns whether `input` begins with a complete ping and nothing is open, so that
    /// [`poll`](Self::poll) returns it. For a host that answers it while its program handles the
    /// previous message.
    #[inline]
    pub fn has_ping(&self, input: &[u8]) -> bool {
        self.is_between_messages && is_ping(input, self.role)
    }

    #[inline]
    fn find_whole(&self, input: &[u8]) -> Option<WholeMessage> {
        if !self.is_between_messages {
            return None;
        }
        WholeMessage::find(input, self.role, self.most_whole)
    }

    /// Returns the next item, complete or assembled.
    #[inline(never)]
    fn poll_any<'b>(&mut self, input: &mut Input<'b>) -> Incoming<'b> {
        if let Some(incoming) = self.poll_end(input).or_else(|| self.poll_skipped(input)) {
            return incoming;
        }
        if let Some(message) = self.take_message_of_frame() {
            return message;
        }
        if self.is_between_messages && (input.is_empty() || is_gathering(input)) {
            return Incoming::More;
        }
        let result = self.decode(input);
        self.conclude(input, result)
    }

    /// Takes the message whose single frame was returned before.
    fn take_message_of_frame(&mut self) -> Option<Incoming<'static>> {
        let message = self.open.as_mut()?.take_message_of_frame()?;
        self.note_between_messages();
        Some(message)
    }

    /// Returns the last item again, after the end.
    fn poll_end(&self, input: &mut Input<'_>) -> Option<Incoming<'static>> {
        let end = self.end.as_ref()?;
        input.discard();
        Some(match end {
            End::Closed => Incoming::End,
            End::Failed(fault) => Incoming::Fault(*fault),
        })
    }

    /// Notes what decoding has led to, and returns it as an item.
    fn conclude<'b>(
        &mut self,
        input: &mut Input<'_>,
        result: Result<Option<Incoming<'b>>, Fault>,
    ) -> Incoming<'b> {
        self.note_between_messages();
        match result {
            Ok(Some(incoming)) => {
                self.count_other(&incoming);
                incoming
            }
            Ok(None) => Incoming::More,
            Err(fault) => {
                self.finish(End::Failed(fault));
                input.discard();
                Incoming::Fault(fault)
            }
        }
    }

    fn note_between_messages(&mut self) {
        if self.open.as_ref().is_some_and(|open| open.is_over()) {
            self.settle_inflated();
            if let Some(mut open) = self.open.take()
                && let Some(inflating) = open.inflating.take()
            {
                self.inflating = Some(inflating);
            }
        }
        self.is_between_messages = self.limits.assemble
            && self.started.is_empty()
            && self.open.is_none()
            && self.end.is_none();
    }

    /// Returns the memory for the next part of the payload, if enough of it is missing to be worth
    /// a direct read. Call it after [`poll`](Self::poll) has returned [`Incoming::More`], then poll
    /// again. Optional: a host may read everything into its input.
    pub fn payload_room(&mut self) -> Option<Limit<&mut Vec<u8>>> {
        self.open.as_mut()?.payload_room()
    }

    /// Returns whether there may have been work since the counters were last taken.
    #[inline]
    pub fn has_worked(&self) -> bool {
        self.frames > 0 || self.inflated > 0 || self.open.is_some()
    }

    /// Returns the number of bytes inflated since the last call, plus six for each compressed byte:
    /// a measure of the work done.
    pub fn take_inflated(&mut self) -> u64 {
        self.settle_inflated();
        std::mem::take(&mut self.inflated)
    }

    /// Counts what was inflated for the open message so far.
    #[inline]
    fn settle_inflated(&mut self) {
        if let Some(open) = &mut self.open {
            let compressed = std::mem::take(&mut open.compressed);
            let inflated = std::mem::take(&mut open.inflated);
            self.inflated += inflated + COMPRESSED_BYTE * compressed;
            self.counts.add_inflated(compressed, inflated);
        }
    }

    /// Returns the number of frames received since the last call that were not complete messages in
    /// the input, such as control frames and fragments: another measure of work.
    pub fn take_frames(&mut self) -> u32 {
        std::mem::take(&mut self.frames)
    }

    /// Returns whether the next byte is the first of a frame.
    pub fn is_between_frames(&self) -> bool {
        self.started.is_empty() && !self.open.as_ref().is_some_and(|open| open.is_at_work())
    }

    /// Returns whether decoding has ended after a close frame or a fault.
    pub fn is_ended(&self) -> bool {
        self.end.is_some()
    }

    #[cold]
    fn finish(&mut self, end: End) {
        self.end = Some(end);
        self.is_between_messages = false;
        self.inflated = self.take_inflated();
        self.open = None;
        self.inflating = None;
    }

    fn decode<'b>(&mut self, input: &mut Input<'b>) -> Result<Option<Incoming<'b>>, Fault> {
        loop {
            if let Some(open) = &mut self.open
                && open.is_at_work()
            {
                match open.go_on(input)? {
                    Some(Progress::Control(opcode, payload)) => {
                        return self.control(opcode, &payload).map(Some);
                    }
                    Some(Progress::Incoming(incoming)) => return Ok(Some(incoming)),
                    None if open.is_at_work() => return Ok(None),
                    None => {}
                }
            }
            let Some(header) = self.started.complete(input)? else { return Ok(None) };
            self.check(&header)?;
            if !header.opcode.is_control() {
                self.check_limits(&header)?;
            }
            self.frames = self.frames.saturating_add(1);
            self.counts.frames = self.counts.frames.wrapping_add(1);
            // The check compared it to a `usize`.
            let payload_len = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
            if payload_len > input.len() {
                self.open_for(&header).begin(header);
            } else if let Some(incoming) = self.whole_frame(header, input.take(payload_len))? {
                return Ok(Some(incoming));
            }
        }
    }

    /// Returns the open state, creating it if needed.
    fn open_for(&mut self, header: &Header) -> &mut Open {
        let Limits { message, assemble, .. } = self.limits;
        let open = self.open.get_or_insert_with(|| Box::new(Open::new(message, assemble)));
        if header.rsv != Rsv::NONE {
            open.inflating = self.inflating.take();
        }
        open.note(header);
        open
    }

    /// Checks everything that a header and the frames before it determine, except the limits for
    /// frames and messages.
    #[inline]
    fn check(&mut self, header: &Header) -> Result<(), Fault> {
        // "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values"
        if header.rsv != Rsv::NONE && !self.begins_compressed(header) {
            return Err(Violation::ReservedBits(header.rsv).into());
        }
        match (self.role, header.mask) {
            // "The server MUST close the connection upon receiving a frame that is not masked."
            (Role::Server, None) => return Err(Violation::Unmasked.into()),
            // "A client MUST close a connection if it detects a masked frame."
            (Role::Client, Some(_)) => return Err(Violation::Masked.into()),
            _ => {}
        }
        let is_message_open = self.open.as_ref().is_some_and(|open| open.has_message());
        match header.opcode {
            Opcode::Close | Opcode::Ping | Opcode::Pong => check_control(header),
            Opcode::Text | Opcode::Binary if is_message_open => {
                Err(Violation::ExpectedContinuation(header.opcode).into())
            }
            Opcode::Continuation if !is_message_open => {
                Err(Violation::UnexpectedContinuation.into())
            }
            _ => Ok(()),
        }
    }

    /// Returns whether RSV1 marks a compressed message. It is set in the first frame of the
    /// message, without other bits (RFC 7692, section 6).
    fn begins_compressed(&self, header: &Header) -> bool {
        self.inflating.is_some()
            && header.rsv == Rsv::RSV1
            && matches!(header.opcode, Opcode::Text | Opcode::Binary)
    }

    #[inline]
    fn check_limits(&mut self, header: &Header) -> Result<(), Fault> {
        let Limits { frame, message, fragments, assemble } = self.limits;
        let (before, frames_before) = self.open.as_ref().map_or((0, 0), |open| open.extent());
        let is_compressed = header.rsv != Rsv::NONE
            || self.open.as_ref().is_some_and(|open| open.inflating.is_some());
        let size = before.saturating_add(header.payload_len);
        // If a frame may be as large as a message, report the limit for messages, which is the one
        // to raise.
        let is_bound_by_message = assemble && !is_compressed && frame >= message;
        if header.payload_len > frame as u64 && !is_bound_by_message {
            return Err(LimitExceeded::Frame { size: header.payload_len, limit: frame }.into());
        }
        if is_compressed {
            // The size of a compressed message is counted while it is inflated.
            let limit = message.saturating_mul(2).saturating_add(COMPRESSED_MIN);
            if size > limit as u64 {
                return Err(LimitExceeded::Compressed { size, limit }.into());
            }
        } else if assemble && size > message as u64 {
            return Err(LimitExceeded::Message { size, limit: message }.into());
        }
        if assemble && frames_before >= fragments {
            return Err(LimitExceeded::Fragments { limit: fragments }.into());
        }
        Ok(())
    }

    /// Handles a frame that is complete in the input.
    #[inline]
    fn whole_frame<'b>(
        &mut self,
        header: Header,
        payload: &'b mut [u8],
    ) -> Result<Option<Incoming<'b>>, Fault> {
        if let Some(key) = header.mask {
            mask::apply(key, 0, payload);
        }
        if header.opcode.is_control() {
            return self.control(header.opcode, payload).map(Some);
        }
        let is_plain = header.rsv == Rsv::NONE && self.limits.assemble;
        if header.fin && self.open.is_none() && is_plain {
            return Ok(Some(match header.opcode {
                Opcode::Text => Incoming::Text(Cow::Borrowed(validate(payload)?)),
                _ => Incoming::Binary(Cow::Borrowed(payload)),
            }));
        }
        self.open_for(&header).whole_frame(header, payload)
    }

    fn control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<Incoming<'static>, Fault> {
        Ok(match opcode {
            Opcode::Ping => Incoming::Ping(Bytes::copy_from_slice(payload)),
            Opcode::Pong => Incoming::Pong(Bytes::copy_from_slice(payload)),
            _ => {
                let close = CloseFrame::decode(payload)?;
                // "After receiving a control frame indicating the connection should be closed, a
                // peer discards any further data received."
                self.finish(End::Closed);
                Incoming::Close(close)
            }
        })
    }
}

/// Returns whether the input begins with an incomplete frame that stays in the buffer.
fn is_gathering(input: &Input<'_>) -> bool {
    input.gathers() > 0
        && unfinished(input.as_slice()).is_some_and(|frame_len| frame_len <= input.gathers())
}

/// "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be
/// fragmented."
fn check_control(header: &Header) -> Result<(), Fault> {
    if !header.fin {
        return Err(Violation::FragmentedControl(header.opcode).into());
    }
    if header.payload_len > MAX_CONTROL_PAYLOAD as u64 {
        return Err(Violation::ControlTooLong(header.opcode, header.payload_len).into());
    }
    Ok(())
}
