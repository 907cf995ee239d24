//! Messages to frames: fragment, mask, queue.
//!
//! ```text
//!   message ─▶ waiting ─▶ frame ─▶ frame ─▶ bytes to write
//!                          ▲        ▲
//!                         pong     close
//! ```
//!
//! A small message becomes a frame at once. A long one waits in the backlog and becomes frames
//! no faster than they are written, so that a pong never stands behind all of it.

mod backlog;

mod deflated;

use std::io::IoSlice;
use std::num::NonZeroU64;

use bytes::{Buf, Bytes};

use crate::compression::{Compress, Deflating, Negotiated};
use crate::config::Config;
use crate::message::{Message, MessageRef};
use crate::outgoing::{Outgoing, Parts, Payload};
use crate::refused::{Refused, SendError};
use crate::role::Role;
use crate::wire::close::CloseFrame;
use crate::wire::frame::Frame;
use crate::wire::header::{Header, Rsv};
use crate::wire::mask;
use crate::wire::opcode::{MAX_CONTROL_PAYLOAD, Opcode};
use backlog::{Backlog, Waiting};

/// Long messages are turned into frames until this many bytes are ready to be written: enough
/// to keep the socket busy, little enough that control frames get between.
const AHEAD: usize = 128 << 10;

/// Once so much has been deflated, what came of it is written first, however short that is: no call
/// takes the time for more.
const DEFLATED_AT_ONCE: usize = 64 << 10;

/// A place in what is queued, see [`Outbound::mark`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(NonZeroU64);

/// What a mark stands behind.
enum Place {
    /// So many bytes of all that was ever written.
    Byte(u64),
    /// What waited: the backlog knows this one while it is there.
    Waiting(u32),
}

impl Mark {
    /// Half of the numbers are for bytes, which is more than can be written in a thousand years.
    const WAITING: u64 = 1 << 63;

    fn of(place: Place) -> Self {
        let number = match place {
            Place::Byte(end) => end & !Self::WAITING,
            Place::Waiting(mark) => Self::WAITING | u64::from(mark),
        };
        Self(NonZeroU64::MIN.saturating_add(number))
    }

    fn place(self) -> Place {
        let number = self.0.get() - 1;
        if number & Self::WAITING == 0 {
            return Place::Byte(number);
        }
        Place::Waiting(u32::try_from(number & !Self::WAITING).unwrap_or(u32::MAX))
    }
}

/// The encoder and its queue.
///
/// What is to be written reads off it as a [`Buf`]. It is told what to send and in which order;
/// whether anything may be sent at all is for `closing` to know.
#[derive(Debug)]
pub struct Outbound {
    masks: bool,
    close_is_encoded: bool,
    max_frame: usize,
    /// Encoded frames, but for payloads that are lent.
    encoded: Vec<u8>,
    /// How much of `encoded` has been written.
    written: usize,
    /// How many bytes were ever written.
    written_ever: u64,
    /// How many bytes were given to the deflater since that was last asked.
    deflated: u64,
    /// How many marks were made behind what waited.
    marks: u32,
    /// Whatever else is queued.
    backlog: Option<Box<Backlog>>,
    /// Whether compression was negotiated, so that the peer inflates what has RSV1.
    is_compression_agreed: bool,
    /// There if it was, and messages are to be compressed.
    deflating: Option<Box<dyn Deflating>>,
}

impl Outbound {
    /// A payload up to this length is copied beside its header; a longer one that needs no mask is
    /// written from where it is.
    pub const COPY_MAX: usize = 4 << 10;

    /// An encoder for the end with this role.
    pub fn new(role: Role, config: &Config) -> Self {
        let max_frame = if config.fragment_outgoing_messages {
            config.fragmentation_threshold.get()
        } else {
            usize::MAX
        };
        Self {
            masks: role.masks(),
            close_is_encoded: false,
            max_frame,
            encoded: Vec::new(),
            written: 0,
            written_ever: 0,
            deflated: 0,
            marks: 0,
            backlog: None,
            is_compression_agreed: false,
            deflating: None,
        }
    }

    /// The same, with compression as the handshake agreed on it.
    #[must_use]
    pub fn with_compression(mut self, compression: Option<&Negotiated>) -> Self {
        self.is_compression_agreed = compression.is_some();
        self.deflating = compression.and_then(|negotiated| negotiated.method.deflating(negotiated));
        self
    }

    /// Queues a message. What was owned is taken out of `outgoing`.
    ///
    /// A small one that may become a frame right here is copied from where it is, which is less than
    /// to move it about.
    #[inline(always)]
    pub fn send(&mut self, outgoing: &mut Outgoing<'_>) {
        let parts = outgoing.parts();
        let is_plain = self.deflating.is_none() || outgoing.compress == Compress::Never;
        if is_plain && self.is_small(parts.payload) && self.can_encode() {
            self.encode_small(parts);
        } else {
            self.send_any(outgoing);
        }
    }

    #[inline(never)]
    fn send_any(&mut self, outgoing: &mut Outgoing<'_>) {
        let compress = outgoing.compress;
        match &mut outgoing.payload {
            Payload::Lent(message) => self.lent(*message, compress),
            Payload::Owned(message) if self.is_small(message.as_bytes()) => {
                self.lent(MessageRef::from(&*message), compress);
            }
            Payload::Owned(_) => self.owned(outgoing.take_message(), compress),
            Payload::Broadcast(broadcast) => self.broadcast(broadcast, compress),
        }
    }

    /// Whether a payload is copied in any case, and fits into a frame.
    #[inline]
    fn is_small(&self, payload: &[u8]) -> bool {
        payload.len() <= self.max_frame.min(Self::COPY_MAX)
    }

    /// Queues a message of one's own.
    #[inline]
    fn owned(&mut self, message: Message, compress: Compress) {
        let opcode = if message.is_text() { Opcode::Text } else { Opcode::Binary };
        let payload = message.into_bytes();
        if self.deflating.is_some() && compress == Compress::Auto {
            self.deflate(opcode, payload);
        } else {
            self.plain(opcode, Rsv::NONE, payload);
        }
    }

    /// Queues a message as it is.
    #[inline]
    fn plain(&mut self, opcode: Opcode, rsv: Rsv, payload: Bytes) {
        if self.can_encode() && payload.len() <= self.max_frame {
            self.encode(true, rsv, opcode, payload);
        } else {
            self.backlog().wait(Waiting::message(opcode, rsv, payload));
        }
    }

    /// Queues a message, copied; a long one that can be is shared.
    #[inline]
    fn lent(&mut self, message: MessageRef<'_>, compress: Compress) {
        let payload = message.as_bytes();
        let most = if message.is_shareable() { Self::COPY_MAX } else { AHEAD };
        if !self.can_encode() || payload.len() > self.max_frame.min(most) {
            return self.owned(message.to_message(), compress);
        }
        let opcode = if message.is_text() { Opcode::Text } else { Opcode::Binary };
        if self.deflating.is_some()
            && compress == Compress::Auto
            && self.deflate_whole(opcode, payload)
        {
            return;
        }
        self.encode_copy(true, Rsv::NONE, opcode, payload);
    }

    /// Queues a message that is copied in any case (4 KiB at the most, and no longer than a frame)
    /// behind others that are ready to be written, if that is all there is to do: fewer than `most`
    /// bytes are ready before it, nothing waits, and nothing is compressed. `false` says that it is
    /// for [`send`](Self::send).
    #[inline(always)]
    pub fn join(&mut self, outgoing: &Outgoing<'_>, most: usize) -> bool {
        let parts = outgoing.parts();
        let ready = self.encoded.len() - self.written;
        let is_plain = self.backlog.is_none() && self.deflating.is_none();
        if !is_plain || !self.is_small(parts.payload) || ready == 0 || ready >= most {
            return false;
        }
        self.encode_small(parts);
        true
    }

    /// Queues a frame made by hand. Messages queued before the one that it belongs to is finished
    /// are held back until it is.
    ///
    /// # Errors
    ///
    /// [`Refused`], with the frame, for one that can't stand here. A close frame can't: it is for
    /// [`close`](Self::close).
    pub fn frame(&mut self, frame: Frame) -> Result<(), SendError<Frame>> {
        let opcode = frame.opcode();
        match opcode {
            Opcode::Continuation if !self.is_message_unfinished() => {
                return Err(SendError::new(Refused::NothingToContinue, frame));
            }
            Opcode::Text | Opcode::Binary if self.is_message_unfinished() => {
                return Err(SendError::new(Refused::MessageUnfinished, frame));
            }
            Opcode::Close | Opcode::Ping | Opcode::Pong => {
                return self.control_frame(frame);
            }
            // The peer would inflate it, and refer to it in what it inflates after it.
            _ if self.is_compression_agreed && frame.reserved_bits().contains(Rsv::RSV1) => {
                return Err(SendError::new(Refused::CompressedByHand, frame));
            }
            _ => {}
        }
        let (fin, rsv) = (frame.is_fin(), frame.reserved_bits());
        let payload = frame.into_payload();
        // Held messages are for after this one, so it must not be held itself.
        self.set_made_of_frames(false);
        if self.can_encode() {
            self.encode(fin, rsv, opcode, payload);
        } else {
            self.backlog().wait(Waiting::frame(fin, opcode, rsv, payload));
        }
        self.set_made_of_frames(!fin);
        if fin && let Some(backlog) = &mut self.backlog {
            backlog.let_go();
            self.drop_idle_backlog();
        }
        Ok(())
    }

    fn set_made_of_frames(&mut self, made_of_frames: bool) {
        if made_of_frames {
            self.backlog().made_of_frames = true;
        } else if let Some(backlog) = &mut self.backlog {
            backlog.made_of_frames = false;
        }
    }

    /// Queues a ping or pong frame in front of all messages that wait.
    ///
    /// # Errors
    ///
    /// [`Refused::ControlTooLong`], with the payload.
    pub fn control(&mut self, opcode: Opcode, payload: Bytes) -> Result<(), SendError<Bytes>> {
        if payload.len() > MAX_CONTROL_PAYLOAD {
            return Err(SendError::new(Refused::ControlTooLong(payload.len()), payload));
        }
        self.encode(true, Rsv::NONE, opcode, payload);
        Ok(())
    }

    /// Answers a ping. A flood of pings is answered by the latest one, not by a queue.
    pub fn pong(&mut self, payload: Bytes) {
        if let Some(payload) = self.backlog().put_pong_off(payload) {
            self.encode_pong(payload);
        }
    }

    /// Queues the close frame, behind everything that was queued before. Nothing may be queued
    /// after it.
    pub fn close(&mut self, frame: CloseFrame) {
        let backlog = self.backlog();
        // What a message unfinished by hand holds back can't follow it any more.
        backlog.discard_held();
        backlog.close = Some(frame);
        self.fill();
    }

    /// Forgets what has not become a frame, for a close that is not to wait for it.
    pub fn discard_waiting(&mut self) {
        if let Some(backlog) = &mut self.backlog {
            backlog.discard_waiting();
            self.drop_idle_backlog();
        }
        // A message that was under way is not finished, and no other is begun.
        self.deflating = None;
    }

    /// Forgets everything, for a transport that is gone.
    pub fn discard(&mut self) {
        // A close frame that is lost here was never written.
        self.close_is_encoded = self.is_close_written();
        self.backlog = None;
        self.deflating = None;
        self.encoded = Vec::new();
        self.written = 0;
    }

    /// Makes frames of what waits, up to what is to be ready for writing.
    #[inline]
    pub fn fill(&mut self) {
        if self.backlog.is_some() {
            self.fill_from_backlog();
        }
    }

    fn fill_from_backlog(&mut self) {
        let most = self.max_frame;
        let mut deflated = 0;
        loop {
            if let Some(pong) = self.backlog().next_pong() {
                self.encode_pong(pong);
            }
            self.pass_marks();
            if self.remaining() >= AHEAD {
                return;
            }
            if self.deflating.is_some() {
                // Who finds nothing to write would not come back.
                if deflated >= DEFLATED_AT_ONCE && self.has_remaining() {
                    return;
                }
                if let Some(taken) = self.fill_deflated() {
                    deflated += taken;
                    continue;
                }
            }
            let backlog = self.backlog();
            if let Some(Waiting { fin, rsv, opcode, payload, .. }) = backlog.next_frame(most) {
                self.encode(fin, rsv, opcode, payload);
            } else if let Some(close) = backlog.close.take() {
                // Nothing can be said after it, so what is still to be said comes now.
                if let Some(pong) = backlog.take_pong() {
                    self.encode_pong(pong);
                }
                self.close_is_encoded = true;
                self.encode(true, Rsv::NONE, Opcode::Close, close.encode().into());
            } else {
                return self.drop_idle_backlog();
            }
        }
    }

    /// A mark behind all that is queued now.
    ///
    /// What is queued later doesn't count, though it may be written first: a pong, say.
    pub fn mark(&mut self) -> Mark {
        if !self.backlog.as_ref().is_some_and(|backlog| backlog.has_unframed()) {
            return Mark::of(Place::Byte(self.encoded_ever()));
        }
        self.marks = self.marks.wrapping_add(1);
        let mark = self.marks;
        self.backlog().mark(mark);
        Mark::of(Place::Waiting(mark))
    }

    /// Whether everything before the mark has been written, or was given up.
    pub fn has_reached(&self, mark: Mark) -> bool {
        match mark.place() {
            Place::Byte(end) => self.written_ever >= end,
            Place::Waiting(mark) => {
                !self.backlog.as_ref().is_some_and(|backlog| backlog.is_ahead(mark))
            }
        }
    }

    /// How many bytes were ever written.
    pub fn written_ever(&self) -> u64 {
        self.written_ever
    }

    /// How many bytes were given to the deflater since they were last taken: that is the most work
    /// there is here.
    pub fn deflated(&self) -> u64 {
        self.deflated
    }

    /// The same, counted anew from here.
    pub fn take_deflated(&mut self) -> u64 {
        std::mem::take(&mut self.deflated)
    }

    /// How many bytes have become frames, written or not.
    fn encoded_ever(&self) -> u64 {
        self.written_ever + self.remaining() as u64
    }

    /// Marks that stand in front of everything else that waits are behind a byte now.
    fn pass_marks(&mut self) {
        if self.backlog().begins_with_mark() {
            let (end, written) = (self.encoded_ever(), self.written_ever);
            self.backlog().pass_marks(end, written);
        }
    }

    /// How many bytes wait to be written, framed or not.
    #[inline]
    pub fn queued_len(&self) -> usize {
        self.remaining() + self.backlog.as_ref().map_or(0, |backlog| backlog.unframed_len())
    }

    /// What is queued costs so much memory: a message that waits takes some beside its payload,
    /// which may be empty.
    #[inline]
    pub fn queued_cost(&self) -> usize {
        let cost = |backlog: &Backlog| backlog.waiting_cost() + backlog.held_cost();
        self.remaining() + self.backlog.as_deref().map_or(0, cost)
    }

    /// The same of what stands before the next frame of a message that is being made of frames.
    pub fn cost_before_frame(&self) -> usize {
        self.remaining() + self.backlog.as_ref().map_or(0, |backlog| backlog.waiting_cost())
    }

    /// Whether the close frame, and all before it, has been written.
    pub fn is_close_written(&self) -> bool {
        self.close_is_encoded && !self.has_remaining()
    }

    /// Whether a message made of frames by hand has been begun and not finished.
    pub fn is_message_unfinished(&self) -> bool {
        self.backlog.as_ref().is_some_and(|backlog| backlog.made_of_frames)
    }

    /// Whether nothing is left to be written.
    #[inline]
    pub fn is_empty(&self) -> bool {
        !self.has_remaining() && !self.backlog.as_ref().is_some_and(|backlog| backlog.has_more())
    }

    /// Lends an empty buffer to encode into, so that one can serve many connections in turn. It
    /// is given back by [`reclaim_buffer`](Self::reclaim_buffer).
    pub fn lend_buffer(&mut self, buffer: Vec<u8>) {
        if self.encoded.capacity() == 0 {
            debug_assert!(buffer.is_empty());
            self.encoded = buffer;
        }
    }

    /// Whether there is a buffer to encode into.
    #[inline]
    pub fn has_buffer(&self) -> bool {
        self.encoded.capacity() > 0
    }

    /// The buffer, if nothing is left in it.
    pub fn reclaim_buffer(&mut self) -> Option<Vec<u8>> {
        (self.has_buffer() && self.is_empty()).then(|| std::mem::take(&mut self.encoded))
    }

    /// Whether a message may become a frame right here: nothing stands before it.
    #[inline]
    fn can_encode(&self) -> bool {
        !self.backlog.as_ref().is_some_and(|backlog| backlog.keeps_waiting())
    }

    fn backlog(&mut self) -> &mut Backlog {
        self.backlog.get_or_insert_default()
    }

    fn drop_idle_backlog(&mut self) {
        if self.backlog.as_ref().is_some_and(|backlog| backlog.is_over()) {
            self.backlog = None;
        }
    }

    fn control_frame(&mut self, frame: Frame) -> Result<(), SendError<Frame>> {
        let frame = check_control(frame)?;
        self.encode(true, frame.reserved_bits(), frame.opcode(), frame.into_payload());
        Ok(())
    }

    fn encode_pong(&mut self, payload: Bytes) {
        self.encode(true, Rsv::NONE, Opcode::Pong, payload);
        let remaining = self.remaining();
        self.backlog().note_pong(remaining);
    }

    #[inline]
    fn encode(&mut self, fin: bool, rsv: Rsv, opcode: Opcode, payload: Bytes) {
        let mask = self.encode_header(fin, rsv, opcode, payload.len());
        if mask.is_some() || payload.len() <= Self::COPY_MAX {
            self.encode_payload(mask, &payload);
        } else {
            let at = self.encoded.len();
            self.backlog().lend(at, payload);
        }
    }

    /// A message that is short: on the way of every one, and so inlined into it.
    #[inline(always)]
    fn encode_small(&mut self, Parts { is_text, payload }: Parts<'_>) {
        let opcode = if is_text { Opcode::Text } else { Opcode::Binary };
        let mask = self.encode_header(true, Rsv::NONE, opcode, payload.len());
        self.encode_payload(mask, payload);
    }

    fn encode_copy(&mut self, fin: bool, rsv: Rsv, opcode: Opcode, payload: &[u8]) {
        let mask = self.encode_header(fin, rsv, opcode, payload.len());
        self.encode_payload(mask, payload);
    }

    /// Returns the key that the payload is to be masked with, if it is.
    #[inline(always)]
    fn encode_header(
        &mut self,
        fin: bool,
        rsv: Rsv,
        opcode: Opcode,
        payload_len: usize,
    ) -> Option<[u8; 4]> {
        let mask = self.masks.then(mask::random_key);
        let header = Header { fin, rsv, opcode, mask, payload_len: payload_len as u64 };
        header.encode(&mut self.encoded);
        mask
    }

    #[inline(always)]
    fn encode_payload(&mut self, mask: Option<[u8; 4]>, payload: &[u8]) {
        match mask {
            Some(key) => mask::extend(key, payload, &mut self.encoded),
            None => self.encoded.extend_from_slice(payload),
        }
    }

    /// Keeps what has been written from piling up where the queue never runs empty.
    fn forget_written(&mut self) {
        if !self.has_remaining() {
            self.encoded.clear();
            self.written = 0;
            self.drop_idle_backlog();
        } else if self.written >= AHEAD && self.written >= self.encoded.len() / 2 {
            self.encoded.drain(..self.written);
            if let Some(backlog) = &mut self.backlog {
                backlog.shift(self.written);
            }
            self.written = 0;
        }
    }
}

/// A control frame made by hand, if it is one that can be sent.
pub(crate) fn check_control(frame: Frame) -> Result<Frame, SendError<Frame>> {
    if !frame.is_fin() {
        return Err(SendError::new(Refused::FragmentedControl, frame));
    }
    if frame.len() > MAX_CONTROL_PAYLOAD {
        return Err(SendError::new(Refused::ControlTooLong(frame.len()), frame));
    }
    Ok(frame)
}

/// What is ready to be written, in order.
impl Buf for Outbound {
    #[inline]
    fn remaining(&self) -> usize {
        let lent = self.backlog.as_ref().map_or(0, |backlog| backlog.lent_len());
        self.encoded.len() - self.written + lent
    }

    #[inline]
    fn chunk(&self) -> &[u8] {
        match &self.backlog {
            Some(backlog) => backlog.chunk(&self.encoded, self.written),
            None => &self.encoded[self.written..],
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        match (&self.backlog, slices) {
            (_, []) => 0,
            (Some(backlog), slices) => backlog.chunks(&self.encoded, self.written, slices),
            (None, [first, ..]) => {
                *first = IoSlice::new(&self.encoded[self.written..]);
                usize::from(!first.is_empty())
            }
        }
    }

    fn advance(&mut self, count: usize) {
        let len = self.encoded.len();
        self.written = match &mut self.backlog {
            Some(backlog) => backlog.advance(count, self.written, len),
            None => {
                assert!(count <= len - self.written, "advanced past the end by {count} bytes");
                self.written + count
            }
        };
        self.written_ever += count as u64;
        if let Some(backlog) = &mut self.backlog {
            backlog.reach_marks(self.written_ever);
        }
        self.forget_written();
    }
}
