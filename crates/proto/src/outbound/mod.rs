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

mod mark;

mod encoding;

mod deflated;

mod writing;

use std::fmt;

use bytes::{Buf as _, Bytes};

use crate::compression::{Compress, Deflating, Negotiated};
use crate::config::Config;
use crate::message::{Message, MessageRef};
use crate::outgoing::{Outgoing, Payload};
use crate::refused::{Refused, SendError};
use crate::role::Role;
use crate::wire::close::CloseFrame;
use crate::wire::frame::Frame;
use crate::wire::header::Rsv;
use crate::wire::opcode::{MAX_CONTROL_PAYLOAD, Opcode};
use backlog::{Backlog, Waiting};
use encoding::AHEAD;

pub use mark::Mark;

/// The encoder and its queue.
///
/// What is to be written reads off it as a [`Buf`](bytes::Buf). It is told what to send and in which order;
/// whether anything may be sent at all is for `closing` to know.
pub struct Outbound {
    masks: bool,
    close_is_encoded: bool,
    /// Whether something was queued when everything was forgotten.
    has_lost: bool,
    max_frame: usize,
    /// What is copied in any case, and fits into a frame.
    max_small: usize,
    /// Encoded frames, but for payloads that are lent.
    encoded: Vec<u8>,
    /// How much of `encoded` has been written.
    written: usize,
    /// How many bytes were ever written, and how many of them flushed.
    written_ever: u64,
    flushed_ever: u64,
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

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("queued", &self.queued_len()).finish_non_exhaustive()
    }
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
            has_lost: false,
            max_frame,
            max_small: max_frame.min(Self::COPY_MAX),
            encoded: Vec::new(),
            written: 0,
            written_ever: 0,
            flushed_ever: 0,
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

    /// Queues a message.
    #[inline(always)]
    pub fn send(&mut self, outgoing: Outgoing<'_>) {
        if !self.send_small(&outgoing) {
            self.send_any(outgoing);
        }
    }

    /// Queues a message as [`send`](Self::send) does, and takes it out of where it is.
    #[inline(always)]
    pub fn send_from(&mut self, outgoing: &mut Outgoing<'_>) {
        if !self.send_small(outgoing) {
            self.send_any(outgoing.take());
        }
    }

    /// Queues a small message that may become a frame right here: it is copied from where it is,
    /// which is less than to move it about. `false` says that it is another one.
    #[inline(always)]
    fn send_small(&mut self, outgoing: &Outgoing<'_>) -> bool {
        let parts = outgoing.parts();
        let is_plain = self.deflating.is_none() || outgoing.compress == Compress::Never;
        let is_small = is_plain && self.is_small(parts.payload) && self.can_encode();
        if is_small {
            self.encode_small(parts);
        }
        is_small
    }

    #[inline(never)]
    fn send_any(&mut self, outgoing: Outgoing<'_>) {
        let compress = outgoing.compress;
        match outgoing.payload {
            Payload::Owned(message) if self.is_small(message.as_bytes()) => {
                self.lent((&message).into(), compress);
            }
            Payload::Owned(message) => self.owned(message, compress),
            Payload::Text(text) => self.lent(text.into(), compress),
            Payload::Binary(bytes) => self.lent(bytes.into(), compress),
            Payload::Shared(message) => self.lent(message.into(), compress),
            Payload::Broadcast(broadcast) => self.broadcast(broadcast, compress),
        }
    }

    /// Whether a payload is copied in any case, and fits into a frame.
    #[inline]
    fn is_small(&self, payload: &[u8]) -> bool {
        payload.len() <= self.max_small
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
    /// bytes are ready before it, nothing waits, and nothing is compressed. Returns how long it was;
    /// `None` says that it is for [`send`](Self::send).
    #[inline(always)]
    pub fn join(&mut self, outgoing: &Outgoing<'_>, most: usize) -> Option<usize> {
        let parts = outgoing.parts();
        let ready = self.encoded.len() - self.written;
        let is_plain = self.backlog.is_none() && self.deflating.is_none();
        if !is_plain || !self.is_small(parts.payload) || ready == 0 || ready >= most {
            return None;
        }
        self.encode_small(parts);
        Some(parts.payload.len())
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
        self.has_lost |= self.queued_len() > 0;
        // A close frame that is lost here was never written.
        self.close_is_encoded = self.is_close_written();
        self.backlog = None;
        self.deflating = None;
        self.encoded = Vec::new();
        self.written = 0;
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

    /// Whether something was lost that was queued, with the transport.
    pub fn has_lost(&self) -> bool {
        self.has_lost
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
