//! Queued entries that are not encoded bytes.

use std::collections::{VecDeque, vec_deque};
use std::io::IoSlice;

use bytes::{Buf as _, Bytes};

use crate::compression::Deflated;
use crate::wire::close::CloseFrame;
use crate::wire::header::Rsv;
use crate::wire::opcode::Opcode;

/// The number of pongs that may be queued. Beyond that, only the latest ping is answered: "If an
/// endpoint receives a Ping frame and has not yet sent Pong frame(s) in response to previous Ping
/// frame(s), the endpoint MAY elect to send a Pong frame for only the most recently processed Ping
/// frame."
const PONGS_AHEAD: u8 = 16;

/// Exists only while it is not empty.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Payloads to write between the encoded bytes, each with its position.
    lent: VecDeque<(usize, Bytes)>,
    lent_len: usize,
    /// Messages to encode when there is room.
    waiting: VecDeque<Waiting>,
    waiting_len: usize,
    /// Messages held back behind a message made of frames.
    held: VecDeque<Waiting>,
    held_len: usize,
    /// Whether a message made of frames is unfinished.
    pub(super) made_of_frames: bool,
    /// The number of pongs among the bytes to write, and the number of bytes to the end of the last
    /// one.
    pongs: u8,
    pongs_len: usize,
    /// The pong to send after those.
    latest_pong: Option<Bytes>,
    /// Marks with the byte position that they follow.
    marks: VecDeque<(u64, u32)>,
    /// The number of marks after entries that are not encoded.
    marks_waiting: usize,
    pub(super) close: Option<CloseFrame>,
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) opcode: Opcode,
    pub(super) rsv: Rsv,
    pub(super) fin: bool,
    pub(super) payload: Bytes,
    /// Whether this is a message, to be fragmented as configured, and not a frame made by the
    /// program.
    pub(super) fragmentable: bool,
    /// Whether the message is to be deflated.
    pub(super) deflate: bool,
    /// Not data, but a mark after the previous entry.
    pub(super) mark: Option<u32>,
}

impl Waiting {
    /// Creates a whole message, to be fragmented as configured.
    pub(super) fn message(opcode: Opcode, rsv: Rsv, payload: Bytes) -> Self {
        let (fin, fragmentable, deflate) = (true, true, false);
        Self { opcode, rsv, fin, payload, fragmentable, deflate, mark: None }
    }

    /// Creates a mark after the previous entry.
    fn mark(mark: u32) -> Self {
        let nothing = Self::message(Opcode::Continuation, Rsv::NONE, Bytes::new());
        Self { mark: Some(mark), ..nothing }
    }

    /// Creates a frame made by the program.
    pub(super) fn frame(fin: bool, opcode: Opcode, rsv: Rsv, payload: Bytes) -> Self {
        Self { fin, fragmentable: false, ..Self::message(opcode, rsv, payload) }
    }
}

impl Backlog {
    /// Returns whether it is empty.
    pub(super) fn is_over(&self) -> bool {
        self.lent.is_empty()
            && !self.has_more()
            && self.held.is_empty()
            && !self.made_of_frames
            && self.pongs == 0
            && self.marks.is_empty()
    }

    /// Returns whether entries are not encoded.
    pub(super) fn has_unframed(&self) -> bool {
        !self.waiting.is_empty() || !self.held.is_empty()
    }

    /// Returns whether entries that are not held back are not encoded.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Adds a mark after all entries that are not encoded.
    pub(super) fn mark(&mut self, mark: u32) {
        let queue = if self.held.is_empty() { &mut self.waiting } else { &mut self.held };
        queue.push_back(Waiting::mark(mark));
        self.marks_waiting += 1;
    }

    /// Adds a mark after all entries that are not held back.
    pub(super) fn mark_before_held(&mut self, mark: u32) {
        self.waiting.push_back(Waiting::mark(mark));
        self.marks_waiting += 1;
    }

    /// Returns whether the first waiting entry may be a mark.
    #[inline]
    pub(super) fn may_begin_with_mark(&self) -> bool {
        self.marks_waiting > 0
    }

    /// Moves marks before all waiting entries to the byte position `end`, of which `flushed` bytes
    /// have been flushed.
    pub(super) fn pass_marks(&mut self, end: u64, flushed: u64) {
        while let Some(Waiting { mark: Some(mark), .. }) = self.waiting.front() {
            self.marks.push_back((end, *mark));
            self.waiting.pop_front();
            self.marks_waiting -= 1;
        }
        self.reach_marks(flushed);
    }

    /// Removes the marks reached by this number of flushed bytes.
    #[inline]
    pub(super) fn reach_marks(&mut self, flushed: u64) {
        while self.marks.front().is_some_and(|(end, _)| *end <= flushed) {
            self.marks.pop_front();
        }
    }

    /// Returns whether a mark has not been reached.
    pub(super) fn is_ahead(&self, mark: u32) -> bool {
        let in_queue =
            |queue: &VecDeque<Waiting>| queue.iter().any(|waiting| waiting.mark == Some(mark));
        self.marks.iter().any(|(_, ahead)| *ahead == mark)
            || in_queue(&self.waiting)
            || in_queue(&self.held)
    }

    /// Returns the marks that have not been reached.
    pub(super) fn unreached(&self) -> Vec<u32> {
        let waiting = self.waiting.iter().chain(&self.held).filter_map(|waiting| waiting.mark);
        self.marks.iter().map(|(_, mark)| *mark).chain(waiting).collect()
    }

    /// Returns whether entries can be encoded.
    pub(super) fn has_more(&self) -> bool {
        !self.waiting.is_empty() || self.latest_pong.is_some() || self.close.is_some()
    }

    /// Returns whether a message must wait, behind others or behind one made of frames.
    pub(super) fn keeps_waiting(&self) -> bool {
        !self.waiting.is_empty() || self.made_of_frames
    }

    pub(super) fn wait(&mut self, waiting: Waiting) {
        let len = waiting.payload.len();
        if self.made_of_frames {
            self.held_len += len;
            self.held.push_back(waiting);
        } else {
            self.waiting_len += len;
            self.waiting.push_back(waiting);
        }
    }

    /// Releases the entries held back behind a message made of frames.
    pub(super) fn let_go(&mut self) {
        self.waiting_len += std::mem::take(&mut self.held_len);
        self.waiting.append(&mut self.held);
    }

    /// Returns the next frame, with at most this much payload.
    pub(super) fn next_frame(&mut self, most: usize) -> Option<Waiting> {
        let waiting = self.waiting.front_mut()?;
        if !waiting.fragmentable || waiting.payload.len() <= most {
            let whole = self.waiting.pop_front()?;
            self.waiting_len -= whole.payload.len();
            return Some(whole);
        }
        let payload = waiting.payload.split_to(most);
        self.waiting_len -= payload.len();
        let opcode = std::mem::replace(&mut waiting.opcode, Opcode::Continuation);
        let rsv = std::mem::replace(&mut waiting.rsv, Rsv::NONE);
        Some(Waiting { fin: false, ..Waiting::message(opcode, rsv, payload) })
    }

    /// Returns the opcode and payload of the next message, if it is to be deflated. Give the
    /// payload back with [`note_deflated`](Self::note_deflated).
    pub(super) fn next_to_deflate(&mut self) -> Option<(Opcode, Bytes)> {
        let waiting = self.waiting.front_mut().filter(|waiting| waiting.deflate)?;
        self.waiting_len -= waiting.payload.len();
        Some((waiting.opcode, std::mem::take(&mut waiting.payload)))
    }

    /// Records the result of deflating, and the rest of the payload.
    pub(super) fn note_deflated(&mut self, deflated: Deflated, rest: Bytes) {
        if deflated == (Deflated::Fragment { is_last: true }) {
            self.waiting.pop_front();
            return;
        }
        let Some(waiting) = self.waiting.front_mut() else { return };
        self.waiting_len += rest.len();
        waiting.payload = rest;
        match deflated {
            Deflated::Plain => waiting.deflate = false,
            Deflated::Fragment { .. } => waiting.opcode = Opcode::Continuation,
        }
    }

    /// Removes the entries held back behind a message made of frames.
    pub(super) fn discard_held(&mut self) -> VecDeque<Waiting> {
        self.held_len = 0;
        let marks = self.waiting.iter().filter(|waiting| waiting.mark.is_some());
        self.marks_waiting = marks.count();
        std::mem::take(&mut self.held)
    }

    /// Removes the entries that are not encoded.
    pub(super) fn discard_waiting(&mut self) -> VecDeque<Waiting> {
        self.waiting_len = 0;
        let mut dropped = std::mem::take(&mut self.waiting);
        dropped.append(&mut self.discard_held());
        self.latest_pong = None;
        dropped
    }

    /// Returns how many entries are not encoded.
    pub(super) fn unframed(&self) -> usize {
        (self.waiting.len() + self.held.len()).saturating_sub(self.marks_waiting)
    }

    /// Returns how many bytes are not encoded.
    pub(super) fn unframed_len(&self) -> usize {
        self.waiting_len + self.held_len
    }

    /// Returns the memory for waiting entries in addition to their payloads.
    pub(super) fn waiting_cost(&self) -> usize {
        self.waiting_len + self.waiting.len() * size_of::<Waiting>()
    }

    pub(super) fn held_cost(&self) -> usize {
        self.held_len + self.held.len() * size_of::<Waiting>()
    }

    /// Takes the pong if it must wait for others to be written; otherwise returns it.
    pub(super) fn put_pong_off(&mut self, payload: Bytes) -> Option<Bytes> {
        if self.pongs < PONGS_AHEAD && self.latest_pong.is_none() {
            return Some(payload);
        }
        self.latest_pong = Some(payload);
        None
    }

    /// Returns the delayed pong, if it can be sent now.
    pub(super) fn next_pong(&mut self) -> Option<Bytes> {
        if self.pongs < PONGS_AHEAD { self.latest_pong.take() } else { None }
    }

    /// Returns the delayed pong.
    pub(super) fn take_pong(&mut self) -> Option<Bytes> {
        self.latest_pong.take()
    }

    /// Records that a pong ends at this number of bytes that are ready to be written.
    pub(super) fn note_pong(&mut self, remaining: usize) {
        self.pongs = self.pongs.saturating_add(1);
        self.pongs_len = remaining;
    }

    /// Adds a payload to write after this number of encoded bytes.
    pub(super) fn lend(&mut self, at: usize, payload: Bytes) {
        self.lent_len += payload.len();
        self.lent.push_back((at, payload));
    }

    /// Returns the payloads to write between the encoded bytes, each with its position.
    pub(super) fn lent(&self) -> vec_deque::Iter<'_, (usize, Bytes)> {
        self.lent.iter()
    }

    pub(super) fn lent_len(&self) -> usize {
        self.lent_len
    }

    /// Returns the bytes to write next.
    pub(super) fn chunk<'a>(&'a self, encoded: &'a [u8], written: usize) -> &'a [u8] {
        match self.lent.front() {
            Some((at, payload)) if *at == written => payload,
            Some((at, _)) => &encoded[written..*at],
            None => &encoded[written..],
        }
    }

    /// Collects the bytes to write, as far as the slices last.
    pub(super) fn chunks<'a>(
        &'a self,
        encoded: &'a [u8],
        written: usize,
        slices: &mut [IoSlice<'a>],
    ) -> usize {
        let (mut from, mut count) = (written, 0);
        let most = slices.len();
        let mut push = |bytes: &'a [u8]| {
            if !bytes.is_empty() && count < slices.len() {
                slices[count] = IoSlice::new(bytes);
                count += 1;
            }
        };
        // Each takes at least one slice, so no more are needed.
        for (at, payload) in self.lent.iter().take(most) {
            push(&encoded[from..*at]);
            push(payload);
            from = *at;
        }
        push(&encoded[from..]);
        count
    }

    /// Records written bytes. Returns the position in the encoded bytes, and the position of the last
    /// payload that was written whole, which ends a frame.
    pub(super) fn advance(
        &mut self,
        mut count: usize,
        mut written: usize,
        len: usize,
    ) -> (usize, Option<usize>) {
        let mut boundary = None;
        self.pongs_len = self.pongs_len.saturating_sub(count);
        if self.pongs_len == 0 {
            self.pongs = 0;
        }
        while count > 0 {
            match self.lent.front_mut() {
                Some((at, payload)) if *at == written => {
                    let part = count.min(payload.len());
                    payload.advance(part);
                    self.lent_len -= part;
                    count -= part;
                    if payload.is_empty() {
                        boundary = Some(*at);
                        self.lent.pop_front();
                    }
                }
                lent => {
                    let end = lent.map_or(len, |(at, _)| *at);
                    let part = count.min(end - written);
                    assert!(part > 0, "advanced past the end by {count} bytes");
                    written += part;
                    count -= part;
                }
            }
        }
        (written, boundary)
    }

    /// Records that this number of encoded bytes was removed from the front.
    pub(super) fn shift(&mut self, count: usize) {
        for (at, _) in &mut self.lent {
            *at -= count;
        }
    }
}
