//! Frames to messages: all of fragmentation, reserved bits, UTF-8 and limits.
//!
//! ```text
//!   bytes ─▶ header ─▶ check ─▶ payload ─▶ unmask ─▶ ┬─ whole in the input ──▶ borrowed message
//!                        │                           ├─ in pieces ─▶ open ───▶ owned message
//!                        ▼                           └─ control ─────────────▶ ping, pong, close
//!                      fault
//! ```
//!
//! A connection at rest holds no buffer here: what is open exists from the first byte that can't
//! be lent out of the input to the message's end.

mod started;

mod open;

use std::borrow::Cow;

use bytes::Bytes;
use bytes::buf::Limit;

use crate::compression::{Inflating, Negotiated};
use crate::config::Config;
use crate::fault::{Fault, LimitExceeded, Violation};
use crate::incoming::{Incoming, Input};
use crate::message::MessageRef;
use crate::role::Role;
use crate::text::validate;
use crate::whole::{WholeMessage, is_ping, unfinished};
use crate::wire::close::CloseFrame;
use crate::wire::header::{Header, Rsv};
use crate::wire::mask;
use crate::wire::opcode::{MAX_CONTROL_PAYLOAD, Opcode};
use open::{Open, Piece};
use started::StartedHeader;

/// A compressed message may come in so many bytes, and twice as many as it may inflate to: senders
/// that flush after every few bytes make it longer than it was. Blocks that hold nothing could go
/// on for ever.
const COMPRESSED_MIN: usize = 64 << 10;

/// The decoder: bytes in, [`Incoming`] out.
///
/// It knows nothing of sending or of time, so that a receiving half can own it alone.
/// [`Connection`](crate::connection::Connection) puts it together with the rest.
#[derive(Debug)]
pub struct Inbound {
    role: Role,
    limits: Limits,
    /// The longest message in a single frame.
    most_whole: usize,
    /// Whether nothing has been begun: what comes next may be a message in a single frame.
    is_between_messages: bool,
    /// The first bytes of a header whose rest has not come.
    started: StartedHeader,
    /// What has begun and not ended.
    open: Option<Box<Open>>,
    /// There if compression was negotiated, and no compressed message is open.
    inflating: Option<Box<dyn Inflating>>,
    /// What was inflated of messages that are not open any more.
    inflated: u64,
    /// How many frames came that were no message in the input by themselves.
    frames: u32,
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
    /// A decoder for the end with this role.
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
            end: None,
        }
    }

    /// The same, with compression as the handshake agreed on it.
    ///
    /// It is not for a decoder without [`assemble_fragments`](Config::assemble_fragments), whose
    /// configuration [negotiates none](Config::negotiable_compression).
    #[must_use]
    pub fn with_compression(mut self, compression: Option<&Negotiated>) -> Self {
        self.inflating = compression
            .filter(|_| self.limits.assemble)
            .map(|negotiated| negotiated.method.inflating(negotiated));
        self
    }

    /// What comes next, of what was put into the [`payload_room`](Self::payload_room) and of `input`.
    ///
    /// [`Incoming::More`] asks for a read: into that room, if there is any, or behind what is left
    /// of the input. That is nothing, unless the input is a
    /// [`ReadBuffer`](crate::read_buffer::ReadBuffer)'s, which keeps the beginning of a frame. After a
    /// close frame, [`Incoming::End`] is all that comes, and after a fault that fault: what there is
    /// is consumed then.
    #[inline(always)]
    pub fn poll<'b>(&mut self, input: &mut Input<'b>) -> Incoming<'b> {
        match self.poll_whole(input) {
            Some(message) => message.into(),
            None => self.poll_any(input),
        }
    }

    /// The short way of [`poll`](Self::poll), which a host can do without: what comes next, if that
    /// is a message which lies whole in front of `input`. Everything else is for `poll`.
    #[inline(always)]
    pub fn poll_whole<'b>(&mut self, input: &mut Input<'b>) -> Option<MessageRef<'b>> {
        let whole = self.find_whole(input.as_slice())?;
        let payload = whole.take(input);
        if !whole.is_text {
            return Some(MessageRef::binary(payload));
        }
        match validate(payload) {
            Ok(text) => Some(MessageRef::text(text)),
            Err(invalid) => {
                self.finish(End::Failed(invalid.into()));
                None
            }
        }
    }

    /// Whether a message lies whole in front of `input`: [`poll_whole`](Self::poll_whole) takes it, or
    /// finds that its text is no UTF-8. For a host that waits first and takes it later.
    #[inline]
    pub fn has_whole(&self, input: &[u8]) -> bool {
        self.find_whole(input).is_some()
    }

    /// Whether a ping lies whole in front of `input`, and nothing is open: [`poll`](Self::poll) gives
    /// it. For a host that answers it before its program comes back from the message before it.
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

    /// Whatever comes next, whole or in pieces.
    #[inline(never)]
    fn poll_any<'b>(&mut self, input: &mut Input<'b>) -> Incoming<'b> {
        if let Some(end) = &self.end {
            input.discard();
            return match end {
                End::Closed => Incoming::End,
                End::Failed(fault) => Incoming::Fault(*fault),
            };
        }
        if self.is_between_messages && (input.is_empty() || is_gathering(input)) {
            return Incoming::More;
        }
        let result = self.decode(input);
        self.note_between_messages();
        match result {
            Ok(Some(incoming)) => incoming,
            Ok(None) => Incoming::More,
            Err(fault) => {
                self.finish(End::Failed(fault));
                input.discard();
                Incoming::Fault(fault)
            }
        }
    }

    fn note_between_messages(&mut self) {
        if self.open.as_ref().is_some_and(|open| open.is_over())
            && let Some(mut open) = self.open.take()
        {
            self.inflated += open.inflated;
            if let Some(inflating) = open.inflating.take() {
                self.inflating = Some(inflating);
            }
        }
        self.is_between_messages = self.limits.assemble
            && self.started.is_empty()
            && self.open.is_none()
            && self.end.is_none();
    }

    /// Where the payload that comes next belongs, if so much of it is missing that it is better
    /// read straight to there: ask when [`poll`](Self::poll) has said [`Incoming::More`], and poll
    /// again. A host may leave it alone, and read all of its input.
    pub fn payload_room(&mut self) -> Option<Limit<&mut Vec<u8>>> {
        self.open.as_mut()?.payload_room()
    }

    /// Whether there may have been work since that was last taken.
    #[inline]
    pub fn has_worked(&self) -> bool {
        self.frames > 0 || self.inflated > 0 || self.open.is_some()
    }

    /// How many bytes compressed messages have been inflated to since this was last asked, and six for
    /// each that they came in: a measure of the work that was done.
    pub fn take_inflated(&mut self) -> u64 {
        let open = self.open.as_mut().map_or(0, |open| std::mem::take(&mut open.inflated));
        std::mem::take(&mut self.inflated) + open
    }

    /// How many frames have come since this was last asked that were no message in the input by
    /// themselves, as control frames and fragments are: a measure of work as well.
    pub fn take_frames(&mut self) -> u32 {
        std::mem::take(&mut self.frames)
    }

    /// Whether the next byte is the first of a frame.
    pub fn is_between_frames(&self) -> bool {
        self.started.is_empty() && !self.open.as_ref().is_some_and(|open| open.is_at_work())
    }

    /// Whether a close frame or a fault has ended this: nothing is decoded any more.
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
                    Some(Piece::Control(opcode, payload)) => {
                        return self.control(opcode, &payload).map(Some);
                    }
                    Some(Piece::Incoming(incoming)) => return Ok(Some(incoming)),
                    None if open.is_at_work() => return Ok(None),
                    None => {}
                }
            }
            let Some(header) = self.started.complete(input)? else { return Ok(None) };
            self.check(&header)?;
            self.frames = self.frames.saturating_add(1);
            // Checked against a limit that is a usize.
            let payload_len = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
            if payload_len > input.len() {
                self.open_for(&header).begin(header);
            } else if let Some(incoming) = self.whole_frame(header, input.take(payload_len))? {
                return Ok(Some(incoming));
            }
        }
    }

    /// What is open, or is as of now.
    fn open_for(&mut self, header: &Header) -> &mut Open {
        let Limits { message, assemble, .. } = self.limits;
        let open = self.open.get_or_insert_with(|| Box::new(Open::new(message, assemble)));
        if header.rsv != Rsv::NONE {
            open.inflating = self.inflating.take();
        }
        open.note(header);
        open
    }

    /// Everything that can be told from a header and the frames before it.
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
            _ => self.check_limits(header),
        }
    }

    /// Whether RSV1 says that a message is compressed. It stands in the first frame of it, with no
    /// other bit (RFC 7692, section 6).
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
        // A frame that may be as large as a message is bound by the message's limit, which is the
        // one that has to be raised.
        let is_bound_by_message = assemble && !is_compressed && frame >= message;
        if header.payload_len > frame as u64 && !is_bound_by_message {
            return Err(LimitExceeded::Frame { size: header.payload_len, limit: frame }.into());
        }
        if is_compressed {
            // The message is counted while it inflates, which it need not do.
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

    /// A frame that lies whole in the input.
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

/// Whether the input begins with a frame that goes on after it, and is to stay for that.
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
