//! What is queued and is more than bytes ready to be written.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf as _, Bytes};

use crate::compression::Deflated;
use crate::wire::close::CloseFrame;
use crate::wire::header::Rsv;
use crate::wire::opcode::Opcode;

/// So many pings are each answered while none of the answers could be written. From then on, the
/// latest one is: "If an endpoint receives a Ping frame and has not yet sent Pong frame(s) in
/// response to previous Ping frame(s), the endpoint MAY elect to send a Pong frame for only the
/// most recently processed Ping frame."
const PONGS_AHEAD: u8 = 16;

/// It exists while there is something in it.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Payloads to be written between the encoded bytes, each with its place among those.
    lent: VecDeque<(usize, Bytes)>,
    lent_len: usize,
    /// What becomes frames when there is room.
    waiting: VecDeque<Waiting>,
    waiting_len: usize,
    /// Messages that stand behind one that is being made of frames by hand.
    held: VecDeque<Waiting>,
    held_len: usize,
    /// Whether a message made of frames by hand has been begun and not finished.
    pub(super) made_of_frames: bool,
    /// How many pongs are among the bytes to be written, and how many bytes those are to the end
    /// of the last of them.
    pongs: u8,
    pongs_len: usize,
    /// The pong that follows when those have been written.
    latest_pong: Option<Bytes>,
    /// Marks behind a byte, of all that was ever written.
    marks: VecDeque<(u64, u32)>,
    /// How many marks stand behind what has not become frames.
    marks_waiting: usize,
    pub(super) close: Option<CloseFrame>,
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) opcode: Opcode,
    pub(super) rsv: Rsv,
    pub(super) fin: bool,
    pub(super) payload: Bytes,
    /// Whether this is a message, to be fragmented as configured, and not a frame made by hand.
    pub(super) fragmentable: bool,
    /// Whether it is a message that is to be deflated.
    pub(super) deflate: bool,
    /// Nothing to be sent, but a mark behind what stands before it.
    pub(super) mark: Option<u32>,
}

impl Waiting {
    /// A whole message, to be fragmented as configured.
    pub(super) fn message(opcode: Opcode, rsv: Rsv, payload: Bytes) -> Self {
        let (fin, fragmentable, deflate) = (true, true, false);
        Self { opcode, rsv, fin, payload, fragmentable, deflate, mark: None }
    }

    /// A frame made by hand.
    pub(super) fn frame(fin: bool, opcode: Opcode, rsv: Rsv, payload: Bytes) -> Self {
        Self { fin, fragmentable: false, ..Self::message(opcode, rsv, payload) }
    }
}

impl Backlog {
    /// Whether nothing is in it that is worth keeping.
    pub(super) fn is_over(&self) -> bool {
        self.lent.is_empty()
            && !self.has_more()
            && self.held.is_empty()
            && !self.made_of_frames
            && self.pongs == 0
            && self.marks.is_empty()
    }

    /// Whether something has not become frames.
    pub(super) fn has_unframed(&self) -> bool {
        !self.waiting.is_empty() || !self.held.is_empty()
    }

    /// Puts a mark behind all that has not become frames.
    pub(super) fn mark(&mut self, mark: u32) {
        let queue = if self.held.is_empty() { &mut self.waiting } else { &mut self.held };
        let nothing = Waiting::message(Opcode::Continuation, Rsv::NONE, Bytes::new());
        queue.push_back(Waiting { mark: Some(mark), ..nothing });
        self.marks_waiting += 1;
    }

    /// Whether a mark may stand in front of what waits.
    #[inline]
    pub(super) fn may_begin_with_mark(&self) -> bool {
        self.marks_waiting > 0
    }

    /// Has marks that stand in front of what waits stand behind the byte `end`, of which so many
    /// have been flushed.
    pub(super) fn pass_marks(&mut self, end: u64, flushed: u64) {
        while let Some(Waiting { mark: Some(mark), .. }) = self.waiting.front() {
            self.marks.push_back((end, *mark));
            self.waiting.pop_front();
            self.marks_waiting -= 1;
        }
        self.reach_marks(flushed);
    }

    /// So many bytes were ever flushed.
    #[inline]
    pub(super) fn reach_marks(&mut self, flushed: u64) {
        while self.marks.front().is_some_and(|(end, _)| *end <= flushed) {
            self.marks.pop_front();
        }
    }

    /// Whether a mark has not been reached.
    pub(super) fn is_ahead(&self, mark: u32) -> bool {
        let in_queue =
            |queue: &VecDeque<Waiting>| queue.iter().any(|waiting| waiting.mark == Some(mark));
        self.marks.iter().any(|(_, ahead)| *ahead == mark)
            || in_queue(&self.waiting)
            || in_queue(&self.held)
    }

    /// Whether something is to become bytes that can be written.
    pub(super) fn has_more(&self) -> bool {
        !self.waiting.is_empty() || self.latest_pong.is_some() || self.close.is_some()
    }

    /// Whether a message has to wait, since others do, or stands behind one made of frames.
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

    /// What was held back behind a message made of frames has its turn.
    pub(super) fn let_go(&mut self) {
        self.waiting_len += std::mem::take(&mut self.held_len);
        self.waiting.append(&mut self.held);
    }

    /// What is to become a frame next, with at most so much of its payload.
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

    /// What is to be deflated next, if that has its turn: its opcode as of now, and its payload, to
    /// be given back by [`note_deflated`](Self::note_deflated).
    pub(super) fn next_to_deflate(&mut self) -> Option<(Opcode, Bytes)> {
        let waiting = self.waiting.front_mut().filter(|waiting| waiting.deflate)?;
        self.waiting_len -= waiting.payload.len();
        Some((waiting.opcode, std::mem::take(&mut waiting.payload)))
    }

    /// What has become of that, and what is left of its payload.
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

    /// Drops what stands behind a message made of frames.
    pub(super) fn discard_held(&mut self) {
        self.held.clear();
        self.held_len = 0;
        let marks = self.waiting.iter().filter(|waiting| waiting.mark.is_some());
        self.marks_waiting = marks.count();
    }

    /// Drops what has not become a frame.
    pub(super) fn discard_waiting(&mut self) {
        self.waiting.clear();
        self.waiting_len = 0;
        self.discard_held();
        self.latest_pong = None;
    }

    /// How many bytes have not become frames.
    pub(super) fn unframed_len(&self) -> usize {
        self.waiting_len + self.held_len
    }

    /// What that costs beyond them, a message that waits taking some beside its payload.
    pub(super) fn waiting_cost(&self) -> usize {
        self.waiting_len + self.waiting.len() * size_of::<Waiting>()
    }

    pub(super) fn held_cost(&self) -> usize {
        self.held_len + self.held.len() * size_of::<Waiting>()
    }

    /// Takes the pong, if it is to wait until others have been written; else gives it back.
    pub(super) fn put_pong_off(&mut self, payload: Bytes) -> Option<Bytes> {
        if self.pongs < PONGS_AHEAD && self.latest_pong.is_none() {
            return Some(payload);
        }
        self.latest_pong = Some(payload);
        None
    }

    /// The pong that was put off, if its time has come.
    pub(super) fn next_pong(&mut self) -> Option<Bytes> {
        if self.pongs < PONGS_AHEAD { self.latest_pong.take() } else { None }
    }

    /// The pong that was put off.
    pub(super) fn take_pong(&mut self) -> Option<Bytes> {
        self.latest_pong.take()
    }

    /// A pong is now the last of so many bytes that are ready to be written.
    pub(super) fn note_pong(&mut self, remaining: usize) {
        self.pongs = self.pongs.saturating_add(1);
        self.pongs_len = remaining;
    }

    /// Has a payload written behind so many encoded bytes.
    pub(super) fn lend(&mut self, at: usize, payload: Bytes) {
        self.lent_len += payload.len();
        self.lent.push_back((at, payload));
    }

    pub(super) fn lent_len(&self) -> usize {
        self.lent_len
    }

    /// What is to be written next.
    pub(super) fn chunk<'a>(&'a self, encoded: &'a [u8], written: usize) -> &'a [u8] {
        match self.lent.front() {
            Some((at, payload)) if *at == written => payload,
            Some((at, _)) => &encoded[written..*at],
            None => &encoded[written..],
        }
    }

    /// All that is to be written, as far as there are slices for it.
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
        // Each takes a slice at least: those that find no room need not be looked at.
        for (at, payload) in self.lent.iter().take(most) {
            push(&encoded[from..*at]);
            push(payload);
            from = *at;
        }
        push(&encoded[from..]);
        count
    }

    /// So many bytes have been written. Returns how far that is in those that are encoded.
    pub(super) fn advance(&mut self, mut count: usize, mut written: usize, len: usize) -> usize {
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
        written
    }

    /// The first so many encoded bytes are no more.
    pub(super) fn shift(&mut self, count: usize) {
        for (at, _) in &mut self.lent {
            *at -= count;
        }
    }
}
