//! Messages to frames: fragment, mask, queue.
//!
//! ```text
//!   message ─▶ waiting ─▶ frame ─▶ frame ─▶ bytes to write
//!                          ▲        ▲
//!                         pong     close
//! ```
//!
//! A small message is encoded at once. A long one waits in the backlog and is encoded as it is
//! written, so that a pong never waits for all of it.

mod backlog;

mod mark;

mod encoding;

mod deflated;

mod bursts;

mod unsent;

mod writing;

use std::fmt;

use bytes::{Buf as _, Bytes};

use crate::compression::{Compress, Deflating, Negotiated};
use crate::config::Config;
use crate::message::{Message, MessageRef};
use crate::outgoing::{Outgoing, Parts, Payload};
use crate::refused::{Refused, SendError};
use crate::role::Role;
use crate::stats::{Compressed, Traffic};
use crate::wire::close::CloseFrame;
use crate::wire::frame::Frame;
use crate::wire::header::Rsv;
use crate::wire::opcode::{MAX_CONTROL_PAYLOAD, Opcode};
use backlog::{Backlog, Waiting};
use encoding::AHEAD;
use unsent::Unsent;

pub use mark::Mark;

/// The encoder and its queue.
///
/// The bytes to write are read from it as a [`Buf`](bytes::Buf). It does not know whether anything
/// may be sent: that is up to `closing`.
///
/// [`Connection`](crate::connection::Connection) has an example of a host that writes them.
pub struct Outbound {
    masks: bool,
    close_is_encoded: bool,
    /// Whether anything queued was dropped without being written.
    has_lost: bool,
    max_frame: usize,
    /// The longest payload that is always copied and fits in a frame.
    max_small: usize,
    /// Encoded frames, except shared payloads.
    encoded: Vec<u8>,
    /// How much of `encoded` has been written.
    written: usize,
    /// How many bytes were ever written, and how many of them were flushed.
    written_ever: u64,
    flushed_ever: u64,
    /// How many messages were queued. Apart from their length: the compiler would add both in a
    /// vector, which takes more instructions.
    messages: u64,
    /// How many frames were encoded, less the messages. Below zero, it wraps around.
    other_frames: u64,
    pings: u64,
    /// The length of the messages' payloads.
    payload_bytes: u64,
    compressed: Compressed,
    /// How many bytes were deflated since this was last taken.
    deflated: u64,
    /// How many marks were made after waiting entries.
    marks: u32,
    /// Everything else that is queued.
    backlog: Option<Box<Backlog>>,
    /// What was dropped without being written, if that is kept.
    unsent: Option<Box<Unsent>>,
    /// Whether compression was negotiated, so that the peer inflates messages with RSV1.
    is_compression_agreed: bool,
    /// Set if compression was negotiated and messages are to be compressed.
    deflating: Option<Box<dyn Deflating>>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("queued", &self.queued_len()).finish_non_exhaustive()
    }
}

impl Outbound {
    /// The longest payload, in bytes, that is copied after its header. A longer one that needs no
    /// mask is written without a copy.
    pub const COPY_MAX: usize = 4 << 10;

    /// Creates an encoder for the end with this role.
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
            messages: 0,
            payload_bytes: 0,
            other_frames: 0,
            pings: 0,
            compressed: Compressed::default(),
            deflated: 0,
            marks: 0,
            backlog: None,
            unsent: config.keep_unsent.then(Box::default),
            is_compression_agreed: false,
            deflating: None,
        }
    }

    /// Sets the compression that the handshake negotiated.
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

    /// Queues a message like [`send`](Self::send), and takes it out of `outgoing`.
    #[inline(always)]
    pub fn send_from(&mut self, outgoing: &mut Outgoing<'_>) {
        if !self.send_small(outgoing) {
            self.send_any(outgoing.take());
        }
    }

    /// Queues a small message that can be encoded at once, by copying it from its place, which is
    /// cheaper than moving it. Returns `false` for other messages.
    #[inline(always)]
    fn send_small(&mut self, outgoing: &Outgoing<'_>) -> bool {
        let parts = outgoing.parts();
        let is_plain = self.deflating.is_none() || outgoing.compress == Compress::Never;
        let is_small = is_plain && self.is_small(parts.payload) && self.can_encode();
        if is_small {
            self.send_parts(parts);
        }
        is_small
    }

    /// Encodes and counts a small message, which is one frame.
    #[inline(always)]
    fn send_parts(&mut self, parts: Parts<'_>) {
        self.encode_small(parts);
        self.messages += 1;
        self.payload_bytes += parts.payload.len() as u64;
    }

    /// Counts a message whose frames are counted when they are encoded.
    fn count_message(&mut self) {
        self.messages += 1;
        self.other_frames = self.other_frames.wrapping_sub(1);
    }

    #[inline(never)]
    fn send_any(&mut self, outgoing: Outgoing<'_>) {
        self.count_message();
        self.payload_bytes += outgoing.len() as u64;
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

    /// Returns whether a payload is always copied and fits in a frame.
    #[inline]
    fn is_small(&self, payload: &[u8]) -> bool {
        payload.len() <= self.max_small
    }

    /// Queues an owned message.
    #[inline]
    fn owned(&mut self, message: Message, compress: Compress) {
        let opcode = Opcode::of_message(message.is_text());
        let payload = message.into_bytes();
        if self.deflating.is_some() && compress == Compress::Auto {
            self.deflate(opcode, payload);
        } else {
            self.plain(opcode, Rsv::NONE, payload);
        }
    }

    /// Queues a message uncompressed.
    #[inline]
    fn plain(&mut self, opcode: Opcode, rsv: Rsv, payload: Bytes) {
        if self.can_encode() && payload.len() <= self.max_frame {
            self.encode(true, rsv, opcode, payload);
        } else {
            self.backlog().wait(Waiting::message(opcode, rsv, payload));
        }
    }

    /// Queues a borrowed message: copied, or shared if it is long and can be.
    #[inline]
    fn lent(&mut self, message: MessageRef<'_>, compress: Compress) {
        let payload = message.as_bytes();
        let most = if message.is_shareable() { Self::COPY_MAX } else { AHEAD };
        if !self.can_encode() || payload.len() > self.max_frame.min(most) {
            return self.owned(message.to_message(), compress);
        }
        let opcode = Opcode::of_message(message.is_text());
        if self.deflating.is_some()
            && compress == Compress::Auto
            && self.deflate_whole(opcode, payload)
        {
            return;
        }
        self.encode_copy(true, Rsv::NONE, opcode, payload);
    }

    /// Queues a small message (at most 4 KiB, and no longer than a frame) behind others that are
    /// ready to be written, if no other work is needed: fewer than `most` bytes are ready before
    /// it, nothing waits, and nothing is compressed. Returns its length, or `None` if
    /// [`send`](Self::send) must be used.
    #[inline(always)]
    pub fn join(&mut self, outgoing: &Outgoing<'_>, most: usize) -> Option<usize> {
        let parts = outgoing.parts();
        let ready = self.encoded.len() - self.written;
        let is_plain = self.backlog.is_none() && self.deflating.is_none();
        if !is_plain || !self.is_small(parts.payload) || ready == 0 || ready >= most {
            return None;
        }
        self.send_parts(parts);
        Some(parts.payload.len())
    }

    /// Queues a frame made by the program. Messages queued before its message is finished are held
    /// back until it is.
    ///
    /// # Errors
    ///
    /// [`Refused`], with the frame, if it is not allowed here. Close frames are not: use
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
            // The peer would inflate it and add it to its window.
            _ if self.is_compression_agreed && frame.reserved_bits().contains(Rsv::RSV1) => {
                return Err(SendError::new(Refused::CompressedByHand, frame));
            }
            _ => {}
        }
        let (fin, rsv) = (frame.is_fin(), frame.reserved_bits());
        let payload = frame.into_payload();
        self.payload_bytes += payload.len() as u64;
        if fin {
            self.count_message();
        }
        // Held messages follow this one, so it must not be held itself.
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

    /// Queues a ping or pong frame ahead of all waiting messages.
    ///
    /// # Errors
    ///
    /// [`Refused::ControlTooLong`], with the payload.
    pub fn control(&mut self, opcode: Opcode, payload: Bytes) -> Result<(), SendError<Bytes>> {
        if payload.len() > MAX_CONTROL_PAYLOAD {
            return Err(SendError::new(Refused::ControlTooLong(payload.len()), payload));
        }
        self.pings += u64::from(opcode == Opcode::Ping);
        self.encode(true, Rsv::NONE, opcode, payload);
        Ok(())
    }

    /// Answers a ping. A flood of pings gets only the latest answer, not a queue of them.
    pub fn pong(&mut self, payload: Bytes) {
        if let Some(payload) = self.backlog().put_pong_off(payload) {
            self.encode_pong(payload);
        }
    }

    /// Queues the close frame after everything queued before. Nothing may be queued after it.
    ///
    /// Returns how many messages it cuts off: an unfinished message made of frames, and those held
    /// back behind it, which are dropped.
    pub fn close(&mut self, frame: CloseFrame) -> usize {
        let backlog = self.backlog();
        let held = backlog.discard_held();
        let cut = usize::from(backlog.made_of_frames)
            + held.iter().filter(|waiting| waiting.mark.is_none()).count();
        backlog.close = Some(frame);
        self.lose(&held);
        self.keep_dropped(held);
        self.fill();
        cut
    }

    /// Drops everything that is not encoded, for a close that does not wait for it.
    pub fn discard_waiting(&mut self) {
        if let Some(backlog) = &mut self.backlog {
            let dropped = backlog.discard_waiting();
            self.lose(&dropped);
            self.keep_dropped(dropped);
            self.drop_idle_backlog();
        }
        // The message in progress is not finished, and no other is begun.
        self.deflating = None;
    }

    /// Drops everything, after the transport is lost. [`take_unsent`](Self::take_unsent) returns the
    /// messages that were not written, if they are kept.
    pub fn discard(&mut self) {
        let lost = self.lose_all();
        self.keep_unsent();
        // A close frame that is dropped here was never written.
        self.close_is_encoded = self.is_close_written();
        self.backlog = Backlog::of_lost(lost);
        self.deflating = None;
        self.encoded = Vec::new();
        self.written = 0;
    }

    /// Returns how many bytes were ever written.
    pub fn written_ever(&self) -> u64 {
        self.written_ever
    }

    /// Returns what was sent so far.
    pub fn traffic(&self) -> Traffic {
        let (plain_bytes, compressed_bytes) = self.compressed.bytes();
        Traffic {
            messages: self.messages,
            payload_bytes: self.payload_bytes,
            frames: self.messages.wrapping_add(self.other_frames),
            wire_bytes: self.written_ever,
            plain_bytes,
            compressed_bytes,
        }
    }

    /// Returns how many pings were queued so far.
    pub fn pings(&self) -> u64 {
        self.pings
    }

    /// Returns how many messages, and frames made by the program, wait to be encoded.
    pub fn queued_messages(&self) -> usize {
        self.backlog.as_ref().map_or(0, |backlog| backlog.unframed())
    }

    /// Returns how many bytes were deflated since they were last taken: the largest part of the
    /// work here.
    pub fn deflated(&self) -> u64 {
        self.deflated
    }

    /// Returns the same and resets the count.
    pub fn take_deflated(&mut self) -> u64 {
        std::mem::take(&mut self.deflated)
    }

    /// Returns how many bytes wait to be written, encoded or not.
    #[inline]
    pub fn queued_len(&self) -> usize {
        self.remaining() + self.backlog.as_ref().map_or(0, |backlog| backlog.unframed_len())
    }

    /// Returns the memory that the queue takes. A waiting message takes some in addition to its
    /// payload, which may be empty.
    #[inline]
    pub fn queued_cost(&self) -> usize {
        let cost = |backlog: &Backlog| backlog.waiting_cost() + backlog.held_cost();
        self.remaining() + self.backlog.as_deref().map_or(0, cost)
    }

    /// Returns the same for the entries before the next frame of a message made of frames.
    pub fn cost_before_frame(&self) -> usize {
        self.remaining() + self.backlog.as_ref().map_or(0, |backlog| backlog.waiting_cost())
    }

    /// Returns whether the close frame, and everything before it, has been written.
    pub fn is_close_written(&self) -> bool {
        self.close_is_encoded && !self.has_remaining()
    }

    /// Returns whether a message made of frames is unfinished.
    pub fn is_message_unfinished(&self) -> bool {
        self.backlog.as_ref().is_some_and(|backlog| backlog.made_of_frames)
    }

    /// Returns whether nothing is left to write.
    #[inline]
    pub fn is_empty(&self) -> bool {
        !self.has_remaining() && !self.backlog.as_ref().is_some_and(|backlog| backlog.has_more())
    }

    /// Returns whether a message can be encoded at once: nothing is queued before it.
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
        self.pings += u64::from(frame.opcode() == Opcode::Ping);
        self.encode(true, frame.reserved_bits(), frame.opcode(), frame.into_payload());
        Ok(())
    }
}

/// Checks a control frame made by the program.
pub(crate) fn check_control(frame: Frame) -> Result<Frame, SendError<Frame>> {
    if !frame.is_fin() {
        return Err(SendError::new(Refused::FragmentedControl, frame));
    }
    if frame.len() > MAX_CONTROL_PAYLOAD {
        return Err(SendError::new(Refused::ControlTooLong(frame.len()), frame));
    }
    Ok(frame)
}
