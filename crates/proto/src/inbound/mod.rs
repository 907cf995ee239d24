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
use crate::whole::{self, WholeMessage};
use crate::wire::close::CloseFrame;
use crate::wire::header::{Header, MAX_HEADER_LEN, Rsv};
use crate::wire::mask;
use crate::wire::opcode::{MAX_CONTROL_PAYLOAD, Opcode};
use open::{Open, Piece};

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
    end: Option<End>,
}

#[derive(Debug)]
struct Limits {
    frame: usize,
    message: usize,
    fragments: usize,
    assemble: bool,
}

#[derive(Debug, Default)]
struct StartedHeader {
    bytes: [u8; MAX_HEADER_LEN],
    len: u8,
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

    /// Decodes what comes next, and consumes what it takes from `input`.
    ///
    /// `None` says that more bytes are needed; all of `input` has been consumed then. After a
    /// close frame, everything is consumed and nothing decoded.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the peer. It is the end: every later call returns it again.
    #[inline]
    pub fn decode<'b>(&mut self, input: &mut Input<'b>) -> Result<Option<Incoming<'b>>, Fault> {
        match self.find_whole(input.as_slice()) {
            Some(whole) => self.take_whole(whole, input).map(|message| Some(message.into())),
            None => self.decode_any(input),
        }
    }

    /// What comes next, if that is a message in a single frame, all of which lies in `input`: the
    /// common case, to be had at the least expense by [`take_whole`](Self::take_whole). Else it is
    /// for [`decode`](Self::decode).
    #[inline]
    pub fn find_whole(&self, input: &[u8]) -> Option<WholeMessage> {
        if !self.is_between_messages {
            return None;
        }
        WholeMessage::find(input, self.role, self.most_whole)
    }

    /// Whether nothing has begun: without input, there is nothing to decode.
    #[inline]
    pub fn is_between_messages(&self) -> bool {
        self.is_between_messages
    }

    /// Takes the message that [`find_whole`](Self::find_whole) found in this input.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    #[inline(always)]
    pub fn take_whole<'b>(
        &mut self,
        whole: WholeMessage,
        input: &mut Input<'b>,
    ) -> Result<MessageRef<'b>, Fault> {
        let payload = whole.take(input);
        if !whole.is_text {
            return Ok(MessageRef::binary(payload));
        }
        match validate(payload) {
            Ok(text) => Ok(MessageRef::text(text)),
            Err(invalid) => Err(self.fail(invalid.into())),
        }
    }

    /// How long the frame is that begins `input` and does not end in it, header included; as long
    /// as the header is not there, the longest that one can be.
    ///
    /// Whoever has the room and can get the rest at once may put it behind, and spare the frame
    /// the way through a buffer of its own. [`decode`](Self::decode) takes it as it is.
    pub fn unfinished(&self, input: &[u8]) -> Option<usize> {
        if input.is_empty() || !self.is_between_messages {
            return None;
        }
        whole::unfinished(input)
    }

    /// Whatever comes next, whole or in pieces.
    fn decode_any<'b>(&mut self, input: &mut Input<'b>) -> Result<Option<Incoming<'b>>, Fault> {
        match self.end {
            None => {}
            Some(End::Closed) => {
                input.take(usize::MAX);
                return Ok(None);
            }
            Some(End::Failed(fault)) => return Err(fault),
        }
        let result = self.decode_open(input).map_err(|fault| self.fail(fault));
        self.note_between_messages();
        result
    }

    fn note_between_messages(&mut self) {
        if self.open.as_ref().is_some_and(|open| open.is_over())
            && let Some(mut open) = self.open.take()
            && let Some(inflating) = open.inflating.take()
        {
            self.inflating = Some(inflating);
        }
        self.is_between_messages = self.limits.assemble
            && self.started.len == 0
            && self.open.is_none()
            && self.end.is_none();
    }

    /// Where to put the payload that comes next, if so much of it is missing that it is better
    /// read straight to where it belongs: report with [`payload_received`](Self::payload_received)
    /// what was. Only when [`decode`](Self::decode) has consumed all of the input.
    pub fn payload_buffer(&mut self) -> Option<Limit<&mut Vec<u8>>> {
        self.open.as_mut()?.payload_buffer()
    }

    /// Takes note of `count` bytes that were put into the [`payload_buffer`](Self::payload_buffer).
    ///
    /// Where it returns a frame, ask [`decode`](Self::decode) too, though there is no more input:
    /// the message that consists of that frame follows.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn payload_received(&mut self, count: usize) -> Result<Option<Incoming<'static>>, Fault> {
        if let Some(End::Failed(fault)) = self.end {
            return Err(fault);
        }
        let Some(open) = &mut self.open else { return Ok(None) };
        let result = open.payload_received(count).map_err(|fault| self.fail(fault));
        self.note_between_messages();
        result
    }

    /// Whether a close frame or a fault has ended this: nothing is decoded any more.
    pub fn is_ended(&self) -> bool {
        self.end.is_some()
    }

    fn fail(&mut self, fault: Fault) -> Fault {
        self.finish(End::Failed(fault));
        fault
    }

    fn finish(&mut self, end: End) {
        self.end = Some(end);
        self.is_between_messages = false;
        self.open = None;
        self.inflating = None;
    }

    fn decode_open<'b>(&mut self, input: &mut Input<'b>) -> Result<Option<Incoming<'b>>, Fault> {
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
        if header.payload_len > frame as u64 {
            return Err(LimitExceeded::Frame { size: header.payload_len, limit: frame }.into());
        }
        let (before, frames_before) = self.open.as_ref().map_or((0, 0), |open| open.extent());
        let is_compressed = header.rsv != Rsv::NONE
            || self.open.as_ref().is_some_and(|open| open.inflating.is_some());
        let size = before.saturating_add(header.payload_len);
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

impl StartedHeader {
    /// The next header, once all of it has come.
    #[inline]
    fn complete(&mut self, input: &mut Input<'_>) -> Result<Option<Header>, Fault> {
        if self.len == 0
            && let Some((header, header_len)) = Header::decode(input.as_slice())?
        {
            input.take(header_len);
            return Ok(Some(header));
        }
        while let [byte] = input.take(1) {
            self.bytes[usize::from(self.len)] = *byte;
            self.len += 1;
            if let Some((header, _)) = Header::decode(&self.bytes[..usize::from(self.len)])? {
                self.len = 0;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }
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
