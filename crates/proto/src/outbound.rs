//! Messages to frames: fragment, mask, queue.
//!
//! ```text
//!   message ─▶ waiting ─▶ frame ─▶ frame ─▶ bytes to write
//!                          ▲        ▲
//!                         pong     close
//! ```
//!
//! A small message becomes a frame at once. A long one waits and becomes frames no faster than
//! they are written, so that a pong never stands behind all of it.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

use crate::config::Config;
use crate::message::{Message, MessageRef};
use crate::refused::{Refused, SendError};
use crate::role::Role;
use crate::wire::close::CloseFrame;
use crate::wire::frame::Frame;
use crate::wire::header::{Header, MAX_HEADER_LEN, Rsv};
use crate::wire::mask;
use crate::wire::opcode::{MAX_CONTROL_PAYLOAD, Opcode};

/// Long messages are turned into frames until this many bytes are ready to be written: enough
/// to keep the socket busy, little enough that control frames get between.
const AHEAD: usize = 128 << 10;

/// A payload up to this is copied beside its header; a larger one is lent to the writer as it is.
const COPY_MAX: usize = 4 << 10;

/// So many pings are each answered while none of the answers could be written. From then on, the
/// latest one is: "If an endpoint receives a Ping frame and has not yet sent Pong frame(s) in
/// response to previous Ping frame(s), the endpoint MAY elect to send a Pong frame for only the
/// most recently processed Ping frame."
const PONGS_AHEAD: u8 = 16;

/// The encoder and its queue.
///
/// What is to be written reads off it as a [`Buf`]. It is told what to send and in which order;
/// whether anything may be sent at all is for `closing` to know.
#[derive(Debug)]
pub struct Outbound {
    masks: bool,
    max_frame: usize,
    /// Encoded frames, but for payloads that are lent.
    encoded: Vec<u8>,
    /// How much of `encoded` has been written.
    written: usize,
    /// Payloads to be written in between, each with its place in `encoded`.
    lent: VecDeque<(usize, Bytes)>,
    lent_len: usize,
    /// What becomes frames when there is room.
    waiting: VecDeque<Waiting>,
    waiting_len: usize,
    /// Messages that stand behind one that is being made of frames by hand.
    held: VecDeque<Waiting>,
    held_len: usize,
    made_of_frames: bool,
    /// How many pongs are among the bytes to be written, and how many bytes those are to the end
    /// of the last of them.
    pongs: u8,
    pongs_len: usize,
    /// The pong that follows when those have been written.
    latest_pong: Option<Bytes>,
    close: Option<CloseFrame>,
    close_is_encoded: bool,
}

#[derive(Debug)]
struct Waiting {
    opcode: Opcode,
    rsv: Rsv,
    fin: bool,
    payload: Bytes,
    /// Whether this is a message, to be fragmented as configured, and not a frame made by hand.
    fragmentable: bool,
}

impl Outbound {
    /// An encoder for the end with this role.
    pub fn new(role: Role, config: &Config) -> Self {
        let max_frame = if config.fragment_outgoing_messages {
            config.fragmentation_threshold.get()
        } else {
            usize::MAX
        };
        Self {
            masks: role.masks(),
            max_frame,
            encoded: Vec::new(),
            written: 0,
            lent: VecDeque::new(),
            lent_len: 0,
            waiting: VecDeque::new(),
            waiting_len: 0,
            held: VecDeque::new(),
            held_len: 0,
            made_of_frames: false,
            pongs: 0,
            pongs_len: 0,
            latest_pong: None,
            close: None,
            close_is_encoded: false,
        }
    }

    /// Queues a message.
    #[inline]
    pub fn message(&mut self, message: Message) {
        let opcode = if message.is_text() { Opcode::Text } else { Opcode::Binary };
        let payload = message.into_bytes();
        if self.can_encode() && payload.len() <= self.max_frame {
            self.encode(true, Rsv::NONE, opcode, payload);
        } else {
            self.wait(Waiting { opcode, rsv: Rsv::NONE, fin: true, payload, fragmentable: true });
        }
    }

    /// Queues a message, copied.
    #[inline]
    pub fn message_ref(&mut self, message: MessageRef<'_>) {
        let payload = message.as_bytes();
        if !self.can_encode() || payload.len() > self.max_frame.min(AHEAD) {
            return self.message(message.to_message());
        }
        let opcode = if message.is_text() { Opcode::Text } else { Opcode::Binary };
        let mask = self.encode_header(true, Rsv::NONE, opcode, payload.len());
        self.encode_payload(mask, payload);
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
            Opcode::Continuation if !self.made_of_frames => {
                return Err(SendError::new(Refused::NothingToContinue, frame));
            }
            Opcode::Text | Opcode::Binary if self.made_of_frames => {
                return Err(SendError::new(Refused::MessageUnfinished, frame));
            }
            Opcode::Close | Opcode::Ping | Opcode::Pong => {
                return self.control_frame(frame);
            }
            _ => {}
        }
        let (fin, rsv) = (frame.is_fin(), frame.reserved_bits());
        let payload = frame.into_payload();
        // Held messages are for after this one, so it must not be held itself.
        self.made_of_frames = false;
        if self.can_encode() {
            self.encode(fin, rsv, opcode, payload);
        } else {
            self.wait(Waiting { opcode, rsv, fin, payload, fragmentable: false });
        }
        self.made_of_frames = !fin;
        if fin {
            self.waiting_len += std::mem::take(&mut self.held_len);
            self.waiting.append(&mut self.held);
        }
        Ok(())
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
        if self.pongs < PONGS_AHEAD && self.latest_pong.is_none() {
            self.encode_pong(payload);
        } else {
            self.latest_pong = Some(payload);
        }
    }

    /// Queues the close frame, behind everything that was queued before. Nothing may be queued
    /// after it.
    pub fn close(&mut self, frame: CloseFrame) {
        // What a message unfinished by hand holds back can't follow it any more.
        self.held.clear();
        self.held_len = 0;
        self.close = Some(frame);
        self.fill();
    }

    /// Forgets what has not become a frame, for a close that is not to wait for it.
    pub fn discard_waiting(&mut self) {
        self.waiting.clear();
        self.waiting_len = 0;
        self.held.clear();
        self.held_len = 0;
        self.latest_pong = None;
    }

    /// Forgets everything, for a transport that is gone.
    pub fn discard(&mut self) {
        // A close frame that is lost here was never written.
        self.close_is_encoded = self.is_close_written();
        self.discard_waiting();
        self.encoded = Vec::new();
        self.written = 0;
        self.lent.clear();
        self.lent_len = 0;
        self.close = None;
    }

    /// Makes frames of what waits, up to what is to be ready for writing.
    pub fn fill(&mut self) {
        loop {
            if self.pongs < PONGS_AHEAD
                && let Some(pong) = self.latest_pong.take()
            {
                self.encode_pong(pong);
            }
            if self.remaining() >= AHEAD {
                return;
            }
            if let Some(waiting) = self.waiting.front_mut() {
                let payload = if waiting.fragmentable && waiting.payload.len() > self.max_frame {
                    waiting.payload.split_to(self.max_frame)
                } else {
                    std::mem::take(&mut waiting.payload)
                };
                let fin = waiting.fin && waiting.payload.is_empty();
                let is_last = waiting.payload.is_empty();
                let (opcode, rsv) = (waiting.opcode, waiting.rsv);
                waiting.opcode = Opcode::Continuation;
                waiting.rsv = Rsv::NONE;
                if is_last {
                    self.waiting.pop_front();
                }
                self.waiting_len -= payload.len();
                self.encode(fin, rsv, opcode, payload);
            } else if let Some(close) = self.close.take() {
                // Nothing can be said after it, so what is still to be said comes now.
                if let Some(pong) = self.latest_pong.take() {
                    self.encode_pong(pong);
                }
                self.close_is_encoded = true;
                self.encode(true, Rsv::NONE, Opcode::Close, close.encode().into());
            } else {
                return;
            }
        }
    }

    /// How many bytes wait to be written, framed or not.
    pub fn queued_len(&self) -> usize {
        self.remaining() + self.waiting_len + self.held_len
    }

    /// What is queued costs so much memory: a message that waits takes some beside its payload,
    /// which may be empty.
    pub fn queued_cost(&self) -> usize {
        self.cost_before_frame() + self.held_len + self.held.len() * size_of::<Waiting>()
    }

    /// The same of what stands before the next frame of a message that is being made of frames.
    pub fn cost_before_frame(&self) -> usize {
        self.remaining() + self.waiting_len + self.waiting.len() * size_of::<Waiting>()
    }

    /// Whether the close frame, and all before it, has been written.
    pub fn is_close_written(&self) -> bool {
        self.close_is_encoded && !self.has_remaining()
    }

    /// Whether a message made of frames by hand has been begun and not finished.
    pub fn is_message_unfinished(&self) -> bool {
        self.made_of_frames
    }

    /// Whether nothing is left to be written.
    pub fn is_empty(&self) -> bool {
        !self.has_remaining()
            && self.waiting.is_empty()
            && self.latest_pong.is_none()
            && self.close.is_none()
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
    pub fn has_buffer(&self) -> bool {
        self.encoded.capacity() > 0
    }

    /// The buffer, if nothing is left in it.
    pub fn reclaim_buffer(&mut self) -> Option<Vec<u8>> {
        (self.has_buffer() && self.is_empty()).then(|| std::mem::take(&mut self.encoded))
    }

    /// Whether a message may become a frame right here: nothing stands before it.
    fn can_encode(&self) -> bool {
        self.waiting.is_empty() && !self.made_of_frames
    }

    fn wait(&mut self, waiting: Waiting) {
        let len = waiting.payload.len();
        if self.made_of_frames {
            self.held_len += len;
            self.held.push_back(waiting);
        } else {
            self.waiting_len += len;
            self.waiting.push_back(waiting);
        }
    }

    fn control_frame(&mut self, frame: Frame) -> Result<(), SendError<Frame>> {
        let frame = check_control(frame)?;
        self.encode(true, frame.reserved_bits(), frame.opcode(), frame.into_payload());
        Ok(())
    }

    fn encode_pong(&mut self, payload: Bytes) {
        self.encode(true, Rsv::NONE, Opcode::Pong, payload);
        self.pongs = self.pongs.saturating_add(1);
        self.pongs_len = self.remaining();
    }

    #[inline]
    fn encode(&mut self, fin: bool, rsv: Rsv, opcode: Opcode, payload: Bytes) {
        let mask = self.encode_header(fin, rsv, opcode, payload.len());
        if mask.is_some() || payload.len() <= COPY_MAX {
            self.encode_payload(mask, &payload);
        } else {
            self.lent_len += payload.len();
            self.lent.push_back((self.encoded.len(), payload));
        }
    }

    /// Returns the key that the payload is to be masked with, if it is.
    #[inline]
    fn encode_header(
        &mut self,
        fin: bool,
        rsv: Rsv,
        opcode: Opcode,
        payload_len: usize,
    ) -> Option<[u8; 4]> {
        let mask = self.masks.then(mask::random_key);
        let header = Header { fin, rsv, opcode, mask, payload_len: payload_len as u64 };
        let mut bytes = [0; MAX_HEADER_LEN];
        let header_len = header.encode(&mut bytes);
        self.encoded.extend_from_slice(&bytes[..header_len]);
        mask
    }

    #[inline]
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
            for queue in [&mut self.waiting, &mut self.held] {
                release_if_idle(queue);
            }
            release_if_idle(&mut self.lent);
        } else if self.written >= AHEAD && self.written >= self.encoded.len() / 2 {
            self.encoded.drain(..self.written);
            for (at, _) in &mut self.lent {
                *at -= self.written;
            }
            self.written = 0;
        }
    }
}

/// Gives back what a queue has grown to, once it is empty: an idle connection keeps nothing.
fn release_if_idle<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() && queue.capacity() > 0 {
        *queue = VecDeque::new();
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
    fn remaining(&self) -> usize {
        self.encoded.len() - self.written + self.lent_len
    }

    fn chunk(&self) -> &[u8] {
        match self.lent.front() {
            Some((at, payload)) if *at == self.written => payload,
            Some((at, _)) => &self.encoded[self.written..*at],
            None => &self.encoded[self.written..],
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut from = self.written;
        let most = slices.len();
        let mut count = 0;
        let mut push = |bytes: &'a [u8]| {
            if !bytes.is_empty() && count < slices.len() {
                slices[count] = IoSlice::new(bytes);
                count += 1;
            }
        };
        // Each takes a slice at least: those that find no room need not be looked at.
        for (at, payload) in self.lent.iter().take(most) {
            push(&self.encoded[from..*at]);
            push(payload);
            from = *at;
        }
        push(&self.encoded[from..]);
        count
    }

    fn advance(&mut self, mut count: usize) {
        self.pongs_len = self.pongs_len.saturating_sub(count);
        if self.pongs_len == 0 {
            self.pongs = 0;
        }
        while count > 0 {
            match self.lent.front_mut() {
                Some((at, payload)) if *at == self.written => {
                    let part = count.min(payload.len());
                    payload.advance(part);
                    self.lent_len -= part;
                    count -= part;
                    if payload.is_empty() {
                        self.lent.pop_front();
                    }
                }
                lent => {
                    let end = lent.map_or(self.encoded.len(), |(at, _)| *at);
                    let part = count.min(end - self.written);
                    assert!(part > 0, "advanced past the end by {count} bytes");
                    self.written += part;
                    count -= part;
                }
            }
        }
        self.forget_written();
    }
}
