//! Frames to messages: all of fragmentation, reserved bits, UTF-8 and limits.
//!
//! ```text
//!   bytes ─▶ header ─▶ check ─▶ payload ─▶ unmask ─▶ ┬─ whole in the input ──▶ borrowed message
//!                        │                           ├─ in pieces ─▶ body ───▶ owned message
//!                        ▼                           └─ control ─────────────▶ ping, pong, close
//!                      fault
//! ```
//!
//! A connection at rest holds no buffer here: the body of a message exists from the first byte
//! that can't be lent out of the input to the message's end.

use std::borrow::Cow;

use bytes::buf::Limit;
use bytes::{BufMut, Bytes};

use crate::body::Body;
use crate::config::Config;
use crate::fault::{Fault, LimitExceeded, Violation};
use crate::incoming::{Incoming, Input};
use crate::role::Role;
use crate::text::{Text, Utf8Validator, validate};
use crate::whole::{self, WholeMessage};
use crate::wire::close::CloseFrame;
use crate::wire::frame::Frame;
use crate::wire::header::{Header, MAX_HEADER_LEN, Rsv};
use crate::wire::mask;
use crate::wire::opcode::{MAX_CONTROL_PAYLOAD, Opcode};

/// The most that is allocated for a payload on its header's word. The rest follows when as much
/// has come: a peer that only announces a large frame gets little memory for it.
const FIRST_RESERVE: usize = 128 << 10;

/// How many times as much as has come is allocated for a payload whose length is known: few steps
/// for an honest peer, and no great lever for another.
const RESERVE_FACTOR: usize = 8;

/// A rest of a payload below this comes through the shared input buffer like everything else;
/// above, it is worth a read of its own, straight to where it belongs.
const DIRECT_READ_MIN: usize = 64 << 10;

/// The decoder: bytes in, [`Incoming`] out.
///
/// It knows nothing of sending or of time, so that a receiving half can own it alone.
/// [`Connection`](crate::connection::Connection) puts it together with the rest.
#[derive(Debug)]
pub struct Inbound {
    role: Role,
    limits: Limits,
    /// Whether nothing has been begun: what comes next may be a message in a single frame.
    is_between_messages: bool,
    /// The first bytes of a header whose rest has not come.
    started: StartedHeader,
    /// The frame whose payload has not come whole.
    frame: Option<OpenFrame>,
    /// The message whose last frame has not come.
    message: Option<OpenMessage>,
    /// What has come of the message, or of the frame where those are handed out.
    body: Body,
    utf8: Utf8Validator,
    /// What has come of a control frame's payload.
    control: Vec<u8>,
    /// The message of a single frame, which follows that frame.
    message_of_frame: Option<Incoming<'static>>,
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
struct OpenFrame {
    header: Header,
    received: u64,
}

#[derive(Debug)]
struct OpenMessage {
    is_text: bool,
    frames: usize,
    size: u64,
}

#[derive(Debug)]
enum End {
    Closed,
    Failed(Fault),
}

impl Inbound {
    /// A decoder for the end with this role.
    pub fn new(role: Role, config: &Config) -> Self {
        Self {
            role,
            limits: Limits {
                frame: config.max_received_frame_size,
                message: config.max_received_message_size,
                fragments: config.max_received_fragments.get(),
                assemble: config.assemble_fragments,
            },
            is_between_messages: config.assemble_fragments,
            started: StartedHeader::default(),
            frame: None,
            message: None,
            body: Body::None,
            utf8: Utf8Validator::default(),
            control: Vec::new(),
            message_of_frame: None,
            end: None,
        }
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
        match self.decode_whole(input)? {
            Some(message) => Ok(Some(message)),
            None => self.decode_any(input),
        }
    }

    /// Decodes what comes next if that is a message in a single frame, all of which lies in
    /// `input`: the common case, at the least expense. Else nothing is consumed, and it is for
    /// [`decode`](Self::decode).
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    #[inline]
    pub fn decode_whole<'b>(
        &mut self,
        input: &mut Input<'b>,
    ) -> Result<Option<Incoming<'b>>, Fault> {
        let Some(message) = self.whole_message(input.as_slice()) else { return Ok(None) };
        let payload = input.take_frame(message.header_len, message.payload_len);
        if let Some(key) = message.mask {
            mask::apply(key, 0, payload);
        }
        if !message.is_text {
            return Ok(Some(Incoming::Binary(Cow::Borrowed(payload))));
        }
        match validate(payload) {
            Ok(text) => Ok(Some(Incoming::Text(Cow::Borrowed(text)))),
            Err(invalid) => Err(self.fail(invalid.into())),
        }
    }

    /// Whether [`decode_whole`](Self::decode_whole) would find a message.
    #[inline]
    pub fn is_whole(&self, input: &[u8]) -> bool {
        self.whole_message(input).is_some()
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

    #[inline]
    fn whole_message(&self, input: &[u8]) -> Option<WholeMessage> {
        if !self.is_between_messages {
            return None;
        }
        WholeMessage::find(input, self.role, self.limits.frame.min(self.limits.message))
    }

    /// Whatever comes next, whole or in pieces.
    fn decode_any<'b>(&mut self, input: &mut Input<'b>) -> Result<Option<Incoming<'b>>, Fault> {
        if self.message_of_frame.is_some() {
            return Ok(self.message_of_frame.take());
        }
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
        self.is_between_messages = self.limits.assemble
            && self.started.len == 0
            && self.frame.is_none()
            && self.message.is_none()
            && self.end.is_none();
    }

    /// Where to put the payload that comes next, if so much of it is missing that it is better
    /// read straight to where it belongs: report with [`payload_received`](Self::payload_received)
    /// what was. Only when [`decode`](Self::decode) has consumed all of the input.
    pub fn payload_buffer(&mut self) -> Option<Limit<&mut Vec<u8>>> {
        let OpenFrame { header, received } = self.frame.as_ref()?;
        let missing = usize::try_from(header.payload_len - received).ok()?;
        // Text is validated while it is hot, in the input.
        if missing < DIRECT_READ_MIN || self.message.as_ref().is_some_and(|message| message.is_text)
        {
            return None;
        }
        let most = self.most(header);
        let (len, capacity) = self.body.extent();
        if capacity == len {
            self.body.grow(missing.min(FIRST_RESERVE), RESERVE_FACTOR, most);
        }
        let Body::Bytes(body) = &mut self.body else { return None };
        let room = missing.min(body.capacity() - body.len());
        Some(body.limit(room))
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
        let (Some(frame), Body::Bytes(body)) = (&mut self.frame, &mut self.body) else {
            return Ok(None);
        };
        let start = body.len().saturating_sub(count);
        if let Some(key) = frame.header.mask {
            mask::apply(key, frame.received, &mut body[start..]);
        }
        frame.received += count as u64;
        if frame.received < frame.header.payload_len {
            return Ok(None);
        }
        let header = frame.header;
        self.frame = None;
        let result = self.end_of_frame(header).map_err(|fault| self.fail(fault));
        self.note_between_messages();
        result
    }

    /// Whether a close frame or a fault has ended this: nothing is decoded any more.
    pub fn is_ended(&self) -> bool {
        self.end.is_some()
    }

    fn fail(&mut self, fault: Fault) -> Fault {
        self.end = Some(End::Failed(fault));
        self.is_between_messages = false;
        self.release();
        fault
    }

    fn release(&mut self) {
        self.body = Body::None;
        self.control = Vec::new();
        self.frame = None;
        self.message = None;
    }

    fn decode_open<'b>(&mut self, input: &mut Input<'b>) -> Result<Option<Incoming<'b>>, Fault> {
        loop {
            if self.frame.is_none() {
                let Some(header) = self.started.complete(input)? else { return Ok(None) };
                self.check(&header)?;
                // Checked against a limit that is a usize.
                let payload_len = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
                if payload_len <= input.len() {
                    let payload = input.take(payload_len);
                    if let Some(key) = header.mask {
                        mask::apply(key, 0, payload);
                    }
                    if let Some(incoming) = self.whole_frame(header, payload)? {
                        return Ok(Some(incoming));
                    }
                    continue;
                }
                self.open_frame(header, payload_len);
            }
            if let Some(incoming) = self.continue_frame(input)? {
                return Ok(Some(incoming));
            }
            if input.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Everything that can be told from a header and the frames before it.
    #[inline]
    fn check(&mut self, header: &Header) -> Result<(), Fault> {
        // "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values"
        if header.rsv != Rsv::NONE {
            return Err(Violation::ReservedBits(header.rsv).into());
        }
        match (self.role, header.mask) {
            // "The server MUST close the connection upon receiving a frame that is not masked."
            (Role::Server, None) => return Err(Violation::Unmasked.into()),
            // "A client MUST close a connection if it detects a masked frame."
            (Role::Client, Some(_)) => return Err(Violation::Masked.into()),
            _ => {}
        }
        match header.opcode {
            Opcode::Close | Opcode::Ping | Opcode::Pong => check_control(header),
            Opcode::Text | Opcode::Binary if self.message.is_some() => {
                Err(Violation::ExpectedContinuation(header.opcode).into())
            }
            Opcode::Continuation if self.message.is_none() => {
                Err(Violation::UnexpectedContinuation.into())
            }
            _ => self.check_limits(header),
        }
    }

    #[inline]
    fn check_limits(&mut self, header: &Header) -> Result<(), Fault> {
        let Limits { frame, message, fragments, assemble } = self.limits;
        if header.payload_len > frame as u64 {
            return Err(LimitExceeded::Frame { size: header.payload_len, limit: frame }.into());
        }
        let (size, frames) = match &mut self.message {
            None => (header.payload_len, 1),
            Some(open) => {
                open.size = open.size.saturating_add(header.payload_len);
                open.frames = open.frames.saturating_add(1);
                (open.size, open.frames)
            }
        };
        if assemble && size > message as u64 {
            return Err(LimitExceeded::Message { size, limit: message }.into());
        }
        if assemble && frames > fragments {
            return Err(LimitExceeded::Fragments { limit: fragments }.into());
        }
        Ok(())
    }

    /// A frame that lies whole in the input, unmasked.
    #[inline]
    fn whole_frame<'b>(
        &mut self,
        header: Header,
        payload: &'b mut [u8],
    ) -> Result<Option<Incoming<'b>>, Fault> {
        if header.opcode.is_control() {
            return self.control(header.opcode, payload).map(Some);
        }
        if header.fin && self.message.is_none() && self.limits.assemble {
            return Ok(Some(match header.opcode {
                Opcode::Text => Incoming::Text(Cow::Borrowed(validate(payload)?)),
                _ => Incoming::Binary(Cow::Borrowed(payload)),
            }));
        }
        self.open_message(&header);
        self.append(&header, payload)?;
        self.end_of_frame(header)
    }

    fn open_frame(&mut self, header: Header, payload_len: usize) {
        if !header.opcode.is_control() {
            self.open_message(&header);
            let most = self.most(&header);
            self.body.grow(payload_len.min(FIRST_RESERVE), 2, most);
        }
        self.frame = Some(OpenFrame { header, received: 0 });
    }

    /// Makes sure that there is a message, and a body to put it into.
    fn open_message(&mut self, header: &Header) {
        let message = self.message.get_or_insert_with(|| OpenMessage {
            is_text: header.opcode == Opcode::Text,
            frames: 1,
            size: header.payload_len,
        });
        if matches!(self.body, Body::None) {
            self.body = if message.is_text && self.limits.assemble {
                Body::Text(String::new())
            } else {
                Body::Bytes(Vec::new())
            };
        }
    }

    /// Takes what has come of the open frame's payload.
    fn continue_frame(
        &mut self,
        input: &mut Input<'_>,
    ) -> Result<Option<Incoming<'static>>, Fault> {
        let Some(frame) = &mut self.frame else { return Ok(None) };
        if frame.header.opcode.is_control() {
            let header = frame.header;
            return self.continue_control(input, header);
        }
        let missing = usize::try_from(frame.header.payload_len - frame.received);
        let piece = input.take(missing.unwrap_or(usize::MAX));
        if let Some(key) = frame.header.mask {
            mask::apply(key, frame.received, piece);
        }
        frame.received += piece.len() as u64;
        let header = frame.header;
        let is_whole = frame.received == header.payload_len;
        self.append(&header, piece)?;
        if !is_whole {
            return Ok(None);
        }
        self.frame = None;
        self.end_of_frame(header)
    }

    /// Appends a piece of unmasked payload to the body, and checks it if it is text.
    fn append(&mut self, header: &Header, piece: &[u8]) -> Result<(), Fault> {
        let most = self.most(header);
        // How long the message will be is known in its last frame only.
        let factor = if header.fin { RESERVE_FACTOR } else { 2 };
        self.body.grow(self.utf8.pending_len() + piece.len(), factor, most);
        match &mut self.body {
            Body::Text(text) => self.utf8.push(piece, |valid| text.push_str(valid))?,
            Body::Bytes(bytes) => {
                if self.message.as_ref().is_some_and(|message| message.is_text) {
                    self.utf8.push(piece, |_| {})?;
                }
                bytes.extend_from_slice(piece);
            }
            Body::None => {}
        }
        Ok(())
    }

    /// The most that the body can come to, as far as that is known in the frame with this header.
    fn most(&self, header: &Header) -> usize {
        let size = match &self.message {
            Some(message) if self.limits.assemble && header.fin => message.size,
            Some(_) if self.limits.assemble => return self.limits.message,
            _ => header.payload_len,
        };
        usize::try_from(size).unwrap_or(usize::MAX)
    }

    fn end_of_frame(&mut self, header: Header) -> Result<Option<Incoming<'static>>, Fault> {
        let is_text = self.message.as_ref().is_some_and(|message| message.is_text);
        if header.fin {
            self.message = None;
            if is_text {
                self.utf8.finish()?;
            }
        }
        if !self.limits.assemble {
            return Ok(Some(Incoming::Frame(self.frame_of_body(header)?)));
        }
        if !header.fin {
            return Ok(None);
        }
        Ok(match std::mem::take(&mut self.body) {
            Body::Text(text) => Some(Incoming::Text(Cow::Owned(text))),
            Body::Bytes(bytes) => Some(Incoming::Binary(Cow::Owned(bytes))),
            Body::None => None,
        })
    }

    /// The frame that the body holds. One that is a message by itself is followed by that.
    fn frame_of_body(&mut self, header: Header) -> Result<Frame, Fault> {
        let payload = match std::mem::take(&mut self.body) {
            Body::Bytes(bytes) => Bytes::from(bytes),
            Body::Text(text) => Bytes::from(text),
            Body::None => Bytes::new(),
        };
        if header.fin {
            self.message_of_frame = match header.opcode {
                Opcode::Text => {
                    let text = Text::try_from(payload.clone())?;
                    Some(Incoming::Text(Cow::Owned(text.into())))
                }
                Opcode::Binary => Some(Incoming::Binary(Cow::Owned(payload.to_vec()))),
                _ => None,
            };
        }
        Ok(Frame::new(header.opcode, payload)
            .fin(header.fin)
            .rsv(header.rsv)
            .masked(header.mask.is_some()))
    }

    /// Takes what has come of a control frame's payload, which may stand between the fragments
    /// of a message and so has no place in the body.
    fn continue_control(
        &mut self,
        input: &mut Input<'_>,
        header: Header,
    ) -> Result<Option<Incoming<'static>>, Fault> {
        // Checked to be at most 125.
        let payload_len = usize::try_from(header.payload_len).unwrap_or(0);
        self.control.extend_from_slice(input.take(payload_len - self.control.len()));
        if self.control.len() < payload_len {
            return Ok(None);
        }
        self.frame = None;
        let mut payload = std::mem::take(&mut self.control);
        if let Some(key) = header.mask {
            mask::apply(key, 0, &mut payload);
        }
        self.control(header.opcode, &payload).map(Some)
    }

    fn control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<Incoming<'static>, Fault> {
        Ok(match opcode {
            Opcode::Ping => Incoming::Ping(Bytes::copy_from_slice(payload)),
            Opcode::Pong => Incoming::Pong(Bytes::copy_from_slice(payload)),
            _ => {
                let close = CloseFrame::decode(payload)?;
                // "After receiving a control frame indicating the connection should be closed, a
                // peer discards any further data received."
                self.end = Some(End::Closed);
                self.release();
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
