//! The incomplete frame, whose payload arrives in pieces, and the incomplete message.

mod streaming;

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

/// The most memory allocated because of a header alone. More follows once that much has arrived: a
/// peer that only announces a large frame gets little memory for it.
const FIRST_RESERVE: usize = 128 << 10;

/// The factor by which memory for a payload of known length exceeds what has arrived: few
/// reallocations for honest peers, little leverage for others.
const RESERVE_FACTOR: usize = 8;

/// A shorter rest of a payload is read through the shared input buffer; a longer one is read
/// directly into its place.
const DIRECT_READ_MIN: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Open {
    message_limit: usize,
    assemble: bool,
    delivery: Delivery,
    /// The frame whose payload is incomplete.
    frame: Option<OpenFrame>,
    /// The message whose last frame has not arrived.
    message: Option<OpenMessage>,
    /// The received part of the message, or of the frame if frames are returned.
    body: Body,
    utf8: Utf8Validator,
    /// Compressed bytes of it since this was last taken, and bytes inflated from them.
    pub(super) compressed: u64,
    pub(super) inflated: u64,
    /// Set if the message is compressed.
    pub(super) inflating: Option<Box<dyn Inflating>>,
    /// The received payload of a control frame, which may arrive between the fragments of a
    /// message.
    control: Vec<u8>,
    /// The message in a single frame, returned after that frame.
    message_of_frame: Option<Incoming<'static>>,
}

/// How the open message is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    Whole,
    /// In pieces, the first of which was handed out.
    Pieces,
    /// Not at all: the rest of it is dropped.
    Skipped,
}

#[derive(Debug)]
struct OpenFrame {
    header: Header,
    received: u64,
    /// The length of the body when room in it was lent: bytes after it were read there.
    placed_from: Option<usize>,
}

#[derive(Debug)]
struct OpenMessage {
    is_text: bool,
    frames: usize,
    /// Its length as announced by headers.
    announced: u64,
    /// Its length so far: as announced or, if compressed, as inflated.
    size: u64,
}

/// The result of continuing a frame.
pub(super) enum Progress<'b> {
    /// A control frame with its payload.
    Control(Opcode, Vec<u8>),
    Incoming(Incoming<'b>),
}

impl OpenFrame {
    fn new(header: Header) -> Self {
        Self { header, received: 0, placed_from: None }
    }

    /// Takes the next bytes of the payload out of the input, at most this many, unmasked.
    fn take<'b>(&mut self, input: &mut Input<'b>, most: usize) -> &'b mut [u8] {
        let missing = usize::try_from(self.header.payload_len - self.received);
        let bytes = input.take(missing.unwrap_or(usize::MAX).min(most));
        if let Some(key) = self.header.mask {
            mask::apply(key, self.received, bytes);
        }
        self.received += bytes.len() as u64;
        bytes
    }

    fn is_whole(&self) -> bool {
        self.received == self.header.payload_len
    }
}

impl Open {
    pub(super) fn new(message_limit: usize, assemble: bool) -> Self {
        Self {
            message_limit,
            assemble,
            delivery: Delivery::Whole,
            frame: None,
            message: None,
            body: Body::None,
            utf8: Utf8Validator::default(),
            compressed: 0,
            inflated: 0,
            inflating: None,
            control: Vec::new(),
            message_of_frame: None,
        }
    }

    /// Returns whether nothing is open any more.
    pub(super) fn is_over(&self) -> bool {
        self.frame.is_none() && self.message.is_none() && self.message_of_frame.is_none()
    }

    pub(super) fn has_message(&self) -> bool {
        self.message.is_some()
    }

    /// Returns whether a payload is incomplete or a message is to be returned after its frame: no
    /// header is next.
    pub(super) fn is_at_work(&self) -> bool {
        self.frame.is_some() || self.message_of_frame.is_some()
    }

    /// Returns the announced length of the open message so far, and its number of frames.
    pub(super) fn extent(&self) -> (u64, usize) {
        self.message.as_ref().map_or((0, 0), |message| (message.announced, message.frames))
    }

    /// Records a checked frame. A data frame is a part of a message and has a body.
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

    /// Begins a frame whose payload is not complete in the input.
    pub(super) fn begin(&mut self, header: Header) {
        if !header.opcode.is_control() && self.inflating.is_none() {
            let most = self.most(&header);
            let payload_len = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
            self.body.grow(payload_len.min(FIRST_RESERVE), 2, most);
        }
        self.frame = Some(OpenFrame::new(header));
    }

    /// Handles a data frame that was complete in the input, unmasked.
    pub(super) fn whole_frame(
        &mut self,
        header: Header,
        payload: &[u8],
    ) -> Result<Option<Incoming<'static>>, Fault> {
        self.append(&header, payload)?;
        self.end_of_frame(header)
    }

    /// Takes the message whose single frame was returned before.
    pub(super) fn take_message_of_frame(&mut self) -> Option<Incoming<'static>> {
        self.message_of_frame.take()
    }

    /// Continues the open frame with the input.
    pub(super) fn go_on(
        &mut self,
        input: &mut Input<'_>,
    ) -> Result<Option<Progress<'static>>, Fault> {
        let Some(frame) = &mut self.frame else { return Ok(None) };
        if frame.header.opcode.is_control() {
            let header = frame.header;
            return Ok(self.go_on_with_control(input, header));
        }
        if let Some(from) = frame.placed_from.take()
            && let Some(incoming) = self.take_placed(from)?
        {
            return Ok(Some(Progress::Incoming(incoming)));
        }
        let Some(frame) = &mut self.frame else { return Ok(None) };
        let piece = frame.take(input, usize::MAX);
        let header = frame.header;
        let is_whole = frame.is_whole();
        self.append(&header, piece)?;
        if !is_whole {
            return Ok(None);
        }
        self.frame = None;
        Ok(self.end_of_frame(header)?.map(Progress::Incoming))
    }

    fn go_on_with_control<'b>(
        &mut self,
        input: &mut Input<'_>,
        header: Header,
    ) -> Option<Progress<'b>> {
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
        Some(Progress::Control(header.opcode, payload))
    }

    pub(super) fn payload_room(&mut self) -> Option<Limit<&mut Vec<u8>>> {
        let OpenFrame { header, received, placed_from } = self.frame.as_mut()?;
        // Text is copied while it is validated, unless it is ASCII; what is compressed is inflated.
        let is_direct = match self.body {
            Body::Ascii(_) => true,
            Body::Bytes(_) => !self.message.as_ref().is_some_and(|message| message.is_text),
            Body::None | Body::Text(_) => false,
        };
        if !is_direct || self.inflating.is_some() || self.delivery != Delivery::Whole {
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

    /// Accounts for bytes read directly into the body, which had length `start` before.
    fn take_placed(&mut self, start: usize) -> Result<Option<Incoming<'static>>, Fault> {
        let Some(header) = self.account_for_placed(start)? else { return Ok(None) };
        self.frame = None;
        self.end_of_frame(header)
    }

    /// Unmasks and checks those bytes. Returns the header if they end the frame.
    fn account_for_placed(&mut self, start: usize) -> Result<Option<Header>, Fault> {
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
        let is_whole = frame.is_whole();
        if is_text && !body[start..].is_ascii() {
            let piece = body.split_off(start);
            self.append(&header, &piece)?;
        }
        Ok(is_whole.then_some(header))
    }

    fn is_text(&self) -> bool {
        self.message.as_ref().is_some_and(|message| message.is_text)
    }

    /// Appends a piece of unmasked payload to the body, and checks it if it is text.
    fn append(&mut self, header: &Header, piece: &[u8]) -> Result<(), Fault> {
        if self.inflating.is_some() {
            return self.inflate(Some(piece));
        }
        // Only the last frame determines the length of the message.
        let factor = if header.fin { RESERVE_FACTOR } else { 2 };
        self.append_plain(piece, factor, self.most(header))
    }

    /// Inflates a piece of a compressed message and appends the result. Without a piece, ends the
    /// message.
    fn inflate(&mut self, piece: Option<&[u8]>) -> Result<(), Fault> {
        self.compressed += piece.map_or(0, |piece| piece.len() as u64);
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

    /// Appends inflated bytes, up to the limit of the message.
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
        self.body.grow(self.utf8.pending().len() + piece.len(), factor, most);
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

    /// Returns the largest possible body, as far as the frame with this header determines it.
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

    /// Returns the frame in the body. If it is also a message, that follows.
    fn frame_of_body(&mut self, header: Header) -> Result<Frame, Fault> {
        let payload = Bytes::from(self.body.take());
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
