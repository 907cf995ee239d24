//! What has begun and not ended: a frame whose payload comes in pieces, a message whose frames do.

use std::borrow::Cow;

use bytes::buf::Limit;
use bytes::{BufMut as _, Bytes};

use crate::body::{Body, text_of};
use crate::compression::Inflating;
use crate::fault::{Fault, LimitExceeded, Violation};
use crate::incoming::{Incoming, Input};
use crate::text::{Text, Utf8Validator};
use crate::wire::frame::Frame;
use crate::wire::header::Header;
use crate::wire::mask;
use crate::wire::opcode::Opcode;

/// The most that is allocated for a payload on its header's word. The rest follows when as much
/// has come: a peer that only announces a large frame gets little memory for it.
const FIRST_RESERVE: usize = 128 << 10;

/// How many times as much as has come is allocated for a payload whose length is known: few steps
/// for an honest peer, and no great lever for another.
const RESERVE_FACTOR: usize = 8;

/// A rest of a payload below this comes through the shared input buffer like everything else;
/// above, it is worth a read of its own, straight to where it belongs.
const DIRECT_READ_MIN: usize = 64 << 10;

/// Blocks that hold nothing take time, too: a byte that goes into an inflater is so much work as this
/// many that come out of it.
const COMPRESSED_BYTE: u64 = 6;

#[derive(Debug)]
pub(super) struct Open {
    message_limit: usize,
    assemble: bool,
    /// The frame whose payload has not come whole.
    frame: Option<OpenFrame>,
    /// The message whose last frame has not come.
    message: Option<OpenMessage>,
    /// What has come of the message, or of the frame where those are handed out.
    body: Body,
    utf8: Utf8Validator,
    /// What was inflated of it.
    pub(super) inflated: u64,
    /// There if the message is compressed.
    pub(super) inflating: Option<Box<dyn Inflating>>,
    /// What has come of a control frame's payload, which may stand between the fragments of a
    /// message and so has no place in the body.
    control: Vec<u8>,
    /// The message of a single frame, which follows that frame.
    message_of_frame: Option<Incoming<'static>>,
}

#[derive(Debug)]
struct OpenFrame {
    header: Header,
    received: u64,
    /// How long the body was when room in it was lent: what is behind that has been read there.
    placed_from: Option<usize>,
}

#[derive(Debug)]
struct OpenMessage {
    is_text: bool,
    frames: usize,
    /// How much was announced of it.
    announced: u64,
    /// How long it is so far: what was announced or, of a compressed one, what was inflated.
    size: u64,
}

/// What comes of going on.
pub(super) enum Piece {
    /// A control frame with its payload.
    Control(Opcode, Vec<u8>),
    Incoming(Incoming<'static>),
}

impl Open {
    pub(super) fn new(message_limit: usize, assemble: bool) -> Self {
        Self {
            message_limit,
            assemble,
            frame: None,
            message: None,
            body: Body::None,
            utf8: Utf8Validator::default(),
            inflated: 0,
            inflating: None,
            control: Vec::new(),
            message_of_frame: None,
        }
    }

    /// Whether nothing is open any more.
    pub(super) fn is_over(&self) -> bool {
        self.frame.is_none() && self.message.is_none() && self.message_of_frame.is_none()
    }

    pub(super) fn has_message(&self) -> bool {
        self.message.is_some()
    }

    /// Whether a frame's payload is missing, or a message follows its frame: no header is next.
    pub(super) fn is_at_work(&self) -> bool {
        self.frame.is_some() || self.message_of_frame.is_some()
    }

    /// How much was announced of the open message so far, and in how many frames.
    pub(super) fn extent(&self) -> (u64, usize) {
        self.message.as_ref().map_or((0, 0), |message| (message.announced, message.frames))
    }

    /// Takes note of a frame, which has been checked. A frame with data is a part of a message,
    /// and has a body to go into.
    pub(super) fn note(&mut self, header: &Header) {
        if header.opcode.is_control() {
            return;
        }
        let message = self.message.get_or_insert_with(|| OpenMessage {
            is_text: header.opcode == Opcode::Text,
            frames: 0,
            announced: 0,
            size: 0,
        });
        message.announced = message.announced.saturating_add(header.payload_len);
        if self.inflating.is_none() {
            message.size = message.announced;
        }
        message.frames = message.frames.saturating_add(1);
        if matches!(self.body, Body::None) {
            self.body = if message.is_text && self.assemble {
                Body::Ascii(Vec::new())
            } else {
                Body::Bytes(Vec::new())
            };
        }
    }

    /// A frame has begun whose payload does not lie in the input as a whole.
    pub(super) fn begin(&mut self, header: Header) {
        if !header.opcode.is_control() && self.inflating.is_none() {
            let most = self.most(&header);
            let payload_len = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
            self.body.grow(payload_len.min(FIRST_RESERVE), 2, most);
        }
        self.frame = Some(OpenFrame { header, received: 0, placed_from: None });
    }

    /// A frame with data that lay whole in the input, unmasked.
    pub(super) fn whole_frame(
        &mut self,
        header: Header,
        payload: &[u8],
    ) -> Result<Option<Incoming<'static>>, Fault> {
        self.append(&header, payload)?;
        self.end_of_frame(header)
    }

    /// Hands out what is left to be, and takes what has come of the open frame's payload.
    pub(super) fn go_on(&mut self, input: &mut Input<'_>) -> Result<Option<Piece>, Fault> {
        if let Some(message) = self.message_of_frame.take() {
            return Ok(Some(Piece::Incoming(message)));
        }
        let Some(frame) = &mut self.frame else { return Ok(None) };
        if frame.header.opcode.is_control() {
            let header = frame.header;
            return Ok(self.go_on_with_control(input, header));
        }
        if let Some(from) = frame.placed_from.take()
            && let Some(incoming) = self.take_placed(from)?
        {
            return Ok(Some(Piece::Incoming(incoming)));
        }
        let Some(frame) = &mut self.frame else { return Ok(None) };
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
        Ok(self.end_of_frame(header)?.map(Piece::Incoming))
    }

    fn go_on_with_control(&mut self, input: &mut Input<'_>, header: Header) -> Option<Piece> {
        // Checked to be at most 125.
        let payload_len = usize::try_from(header.payload_len).unwrap_or(0);
        self.control.extend_from_slice(input.take(payload_len - self.control.len()));
        if self.control.len() < payload_len {
            return None;
        }
        self.frame = None;
        let mut payload = std::mem::take(&mut self.control);
        if let Some(key) = header.mask {
            mask::apply(key, 0, &mut payload);
        }
        Some(Piece::Control(header.opcode, payload))
    }

    pub(super) fn payload_room(&mut self) -> Option<Limit<&mut Vec<u8>>> {
        let OpenFrame { header, received, placed_from } = self.frame.as_mut()?;
        // Text is copied while it is validated, unless it is ASCII; what is compressed is inflated.
        let is_direct = match self.body {
            Body::Ascii(_) => true,
            Body::Bytes(_) => !self.message.as_ref().is_some_and(|message| message.is_text),
            Body::None | Body::Text(_) => false,
        };
        if !is_direct || self.inflating.is_some() {
            return None;
        }
        let (len, capacity) = self.body.extent();
        let placed = len - placed_from.unwrap_or(len);
        let missing = usize::try_from(header.payload_len - *received).ok()?.checked_sub(placed)?;
        if missing < DIRECT_READ_MIN {
            return None;
        }
        placed_from.get_or_insert(len);
        let header = *header;
        if capacity == len {
            let most = self.most(&header);
            self.body.grow(missing.min(FIRST_RESERVE), RESERVE_FACTOR, most);
        }
        let (Body::Bytes(body) | Body::Ascii(body)) = &mut self.body else { return None };
        let room = missing.min(body.capacity() - body.len());
        Some(body.limit(room))
    }

    /// Takes note of what was read straight into the body, which was so long before.
    fn take_placed(&mut self, start: usize) -> Result<Option<Incoming<'static>>, Fault> {
        let is_text = self.is_text();
        let (Some(frame), Body::Bytes(body) | Body::Ascii(body)) =
            (&mut self.frame, &mut self.body)
        else {
            return Ok(None);
        };
        let count = body.len().saturating_sub(start);
        if let Some(key) = frame.header.mask {
            mask::apply(key, frame.received, &mut body[start..]);
        }
        frame.received += count as u64;
        let header = frame.header;
        let is_whole = frame.received == header.payload_len;
        if is_text && !body[start..].is_ascii() {
            let piece = body.split_off(start);
            self.append(&header, &piece)?;
        }
        if !is_whole {
            return Ok(None);
        }
        self.frame = None;
        self.end_of_frame(header)
    }

    fn is_text(&self) -> bool {
        self.message.as_ref().is_some_and(|message| message.is_text)
    }

    /// Appends a piece of unmasked payload to the body, and checks it if it is text.
    fn append(&mut self, header: &Header, piece: &[u8]) -> Result<(), Fault> {
        if self.inflating.is_some() {
            return self.inflate(Some(piece));
        }
        // How long the message will be is known in its last frame only.
        let factor = if header.fin { RESERVE_FACTOR } else { 2 };
        self.append_plain(piece, factor, self.most(header))
    }

    /// Inflates a piece of a compressed message and appends what comes of it; without a piece, ends
    /// the message.
    fn inflate(&mut self, piece: Option<&[u8]>) -> Result<(), Fault> {
        self.inflated += piece.map_or(0, |piece| COMPRESSED_BYTE * piece.len() as u64);
        let Some(mut inflating) = self.inflating.take() else { return Ok(()) };
        let mut appended = Ok(());
        let mut sink = |chunk: &[u8]| {
            appended = self.append_inflated(chunk);
            appended.is_ok()
        };
        let inflated = match piece {
            Some(piece) => inflating.inflate(piece, &mut sink),
            None => inflating.finish(&mut sink),
        };
        self.inflating = Some(inflating);
        appended?;
        inflated.map_err(|_| Violation::NotInflatable.into())
    }

    /// Appends what was inflated, as far as the message may be so long.
    fn append_inflated(&mut self, chunk: &[u8]) -> Result<(), Fault> {
        let limit = self.message_limit;
        self.inflated += chunk.len() as u64;
        let Some(message) = &mut self.message else { return Ok(()) };
        let room = (limit as u64).saturating_sub(message.size);
        let fitting = usize::try_from(room).unwrap_or(usize::MAX).min(chunk.len());
        message.size += fitting as u64;
        self.append_plain(&chunk[..fitting], 2, limit)?;
        if fitting < chunk.len() { Err(LimitExceeded::Inflated { limit }.into()) } else { Ok(()) }
    }

    fn append_plain(&mut self, piece: &[u8], factor: usize, most: usize) -> Result<(), Fault> {
        self.body.grow(self.utf8.pending_len() + piece.len(), factor, most);
        if matches!(self.body, Body::Ascii(_)) && !piece.is_ascii() {
            self.body.widen()?;
        }
        let is_text = self.is_text();
        match &mut self.body {
            Body::Ascii(bytes) => bytes.extend_from_slice(piece),
            Body::Text(text) => self.utf8.push(piece, |valid| text.push_str(valid))?,
            Body::Bytes(bytes) => {
                if is_text {
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
            Some(message) if self.assemble && header.fin => message.size,
            Some(_) if self.assemble => return self.message_limit,
            _ => header.payload_len,
        };
        usize::try_from(size).unwrap_or(usize::MAX)
    }

    fn end_of_frame(&mut self, header: Header) -> Result<Option<Incoming<'static>>, Fault> {
        let is_text = self.is_text();
        if header.fin {
            self.inflate(None)?;
            self.message = None;
            if is_text {
                self.utf8.finish()?;
            }
        }
        if !self.assemble {
            return Ok(Some(Incoming::Frame(self.frame_of_body(header)?)));
        }
        if !header.fin {
            return Ok(None);
        }
        Ok(match std::mem::take(&mut self.body) {
            Body::Text(text) => Some(Incoming::Text(Cow::Owned(text))),
            Body::Ascii(bytes) => Some(Incoming::Text(Cow::Owned(text_of(bytes)?))),
            Body::Bytes(bytes) => Some(Incoming::Binary(Cow::Owned(bytes))),
            Body::None => None,
        })
    }

    /// The frame that the body holds. One that is a message by itself is followed by that.
    fn frame_of_body(&mut self, header: Header) -> Result<Frame, Fault> {
        let payload = match std::mem::take(&mut self.body) {
            Body::Bytes(bytes) | Body::Ascii(bytes) => Bytes::from(bytes),
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
}
