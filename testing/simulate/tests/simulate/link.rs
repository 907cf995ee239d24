//! A simulated TCP connection: two ordered streams of bytes with latency, buffers of a bounded
//! size, ends, resets, and faults.
//!
//! ```text
//!   side 0 ── writes ─▶ pipe 0 ── latency ─▶ reads ── side 1
//!   side 0 ◀─ reads ── latency ◀─ pipe 1 ◀─ writes ── side 1
//! ```
//!
//! - A pipe that is *held* delivers nothing: its segments are lost and sent again once it is
//!   released. Its acknowledgements are lost too, so the other pipe's buffer does not drain.
//! - A side that has *crashed* is silent. Once its host is back, it answers with a reset.
//! - An end that is dropped over unread bytes resets the connection, as a kernel does.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::time::Instant;

use crate::dice::Dice;
use crate::socket::Socket;

pub(crate) const CLIENT: usize = 0;
pub(crate) const SERVER: usize = 1;

/// The properties of a link, which stay the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// The least and the most latency of a segment, in milliseconds.
    pub(crate) latency: (u64, u64),
    /// The most bytes that were written and are not read.
    pub(crate) buffer: usize,
    /// The most bytes of one read or one write.
    pub(crate) most: usize,
}

pub(crate) struct Link {
    pub(crate) shape: Shape,
    state: Mutex<State>,
}

pub(crate) struct State {
    dice: Dice,
    pub(crate) pipes: [Pipe; 2],
    pub(crate) sides: [Side; 2],
    /// Whether a fault was injected, and when the last one ended: `None` while it lasts.
    pub(crate) disturbed: Option<Option<Instant>>,
    pub(crate) has_reset: bool,
    begun: Instant,
    /// What has happened, in few bits: equal for equal runs.
    pub(crate) trace: u64,
    sabotage: Option<Sabotage>,
}

/// What this side writes.
pub(crate) struct Pipe {
    segments: VecDeque<Segment>,
    /// Bytes that were written and are not read.
    queued: usize,
    /// Bytes that were read, and whose acknowledgement was lost.
    unacknowledged: usize,
    last: Instant,
    pub(crate) is_held: bool,
    is_ended: bool,
    pub(crate) written_at: Instant,
    /// When a write last found room again: the peer takes bytes.
    pub(crate) taken_at: Instant,
    was_full: bool,
    /// The arrival of the last byte that was read.
    arrived: Option<Instant>,
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
}

#[derive(Default)]
pub(crate) struct Side {
    pub(crate) dropped: Option<Instant>,
    pub(crate) has_crashed: bool,
    is_back: bool,
}

struct Segment {
    /// `None` while the pipe is held.
    at: Option<Instant>,
    what: What,
}

enum What {
    Data(Bytes),
    End,
    Reset,
}

/// Faults that TCP does not have, to show that the checks find them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// A write of the server is lost, and what follows arrives.
    Lost,
    /// A write of the server arrives twice.
    Twice,
    /// A bit of a write of the server is flipped.
    Flipped,
    /// A write of the server arrives 40 s late, with all that follows.
    Late,
}

/// What a read finds.
pub(crate) enum Found {
    Data(Bytes),
    End,
    Reset,
    /// Nothing before this time, if it is known.
    Nothing(Option<Instant>),
}

/// What becomes of a write.
pub(crate) enum Taken {
    Bytes(usize),
    Reset,
    Ended,
    Full(Option<Instant>),
}

impl Link {
    /// Returns a link and its two ends: the client's and the server's.
    pub(crate) fn new(
        dice: Dice,
        shape: Shape,
        sabotage: Option<Sabotage>,
    ) -> (Arc<Self>, [Socket; 2]) {
        let state = State {
            dice,
            pipes: [Pipe::new(), Pipe::new()],
            sides: <[Side; 2]>::default(),
            disturbed: None,
            has_reset: false,
            begun: Instant::now(),
            trace: 0xcbf2_9ce4_8422_2325,
            sabotage,
        };
        let link = Arc::new(Self { shape, state: Mutex::new(state) });
        let ends = [CLIENT, SERVER].map(|side| Socket::new(link.clone(), side));
        (link, ends)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loses what this side writes from now on, until [`release`](Self::release).
    pub(crate) fn hold(&self, side: usize) {
        let mut state = self.lock();
        let now = Instant::now();
        state.disturbed = Some(None);
        let pipe = &mut state.pipes[side];
        pipe.is_held = true;
        for segment in &mut pipe.segments {
            segment.at = segment.at.filter(|at| *at <= now);
        }
    }

    /// Delivers again, beginning with what was lost.
    pub(crate) fn release(&self, side: usize) {
        let mut state = self.lock();
        state.disturbed = Some(Some(Instant::now()));
        state.pipes[side].is_held = false;
        let other = &mut state.pipes[1 - side];
        other.queued -= std::mem::take(&mut other.unacknowledged);
        wake(&mut other.writer);
        for at in 0..state.pipes[side].segments.len() {
            if state.pipes[side].segments[at].at.is_none() {
                let arrives = state.arrival(side, self.shape);
                state.pipes[side].segments[at].at = Some(arrives);
            }
        }
        state.react(side, self.shape);
        state.react(1 - side, self.shape);
        state.wake_all();
    }

    /// Resets the connection at both ends at once, as a box in between does.
    pub(crate) fn reset(&self) {
        let mut state = self.lock();
        let now = Instant::now();
        state.disturbed = Some(Some(now));
        for side in [CLIENT, SERVER] {
            state.pipes[side].lose_in_flight(now);
            state.push_reset(side, Some(now));
        }
        state.wake_all();
    }

    /// The host of this side loses power.
    pub(crate) fn crash(&self, side: usize) {
        self.hold(side);
        let mut state = self.lock();
        state.sides[side].has_crashed = true;
        state.wake_all();
    }

    /// The host of this side is back, and knows nothing of the connection.
    pub(crate) fn come_back(&self, side: usize) {
        {
            let mut state = self.lock();
            state.sides[side].is_back = true;
            // What the host had sent is not sent again.
            state.pipes[side].segments.clear();
        }
        self.release(side);
    }
}

impl Pipe {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            segments: VecDeque::new(),
            queued: 0,
            unacknowledged: 0,
            last: now,
            is_held: false,
            is_ended: false,
            written_at: now,
            taken_at: now,
            was_full: false,
            arrived: None,
            reader: None,
            writer: None,
        }
    }

    fn lose_in_flight(&mut self, now: Instant) {
        self.segments.retain(|segment| segment.at.is_some_and(|at| at <= now));
        self.queued = self.segments.iter().map(Segment::len).sum::<usize>() + self.unacknowledged;
    }

    /// Returns when the last byte arrived, read or not.
    pub(crate) fn last_arrival(&self, now: Instant) -> Option<Instant> {
        let unread = self.segments.iter().filter(|segment| segment.len() > 0);
        let unread = unread.filter_map(|segment| segment.at).filter(|at| *at <= now).max();
        unread.max(self.arrived)
    }

    fn reset_at(&self) -> Option<Instant> {
        let reset = self.segments.iter().find(|segment| matches!(segment.what, What::Reset));
        reset.and_then(|segment| segment.at)
    }

    fn has_reset(&self) -> bool {
        self.segments.iter().any(|segment| matches!(segment.what, What::Reset))
    }
}

impl Segment {
    fn len(&self) -> usize {
        match &self.what {
            What::Data(bytes) => bytes.len(),
            What::End | What::Reset => 0,
        }
    }
}

impl State {
    /// Returns when a segment that this side sends now arrives: never before an earlier one.
    fn arrival(&mut self, side: usize, shape: Shape) -> Instant {
        let latency = self.dice.millis(shape.latency.0, shape.latency.1);
        let pipe = &mut self.pipes[side];
        pipe.last = pipe.last.max(Instant::now() + latency);
        pipe.last
    }

    fn push(&mut self, side: usize, what: What, shape: Shape) {
        let at = (!self.pipes[side].is_held).then(|| self.arrival(side, shape));
        self.pipes[side].segments.push_back(Segment { at, what });
        wake(&mut self.pipes[side].reader);
    }

    fn push_reset(&mut self, side: usize, at: Option<Instant>) {
        self.has_reset = true;
        if !self.pipes[side].has_reset() {
            self.pipes[side].segments.push_back(Segment { at, what: What::Reset });
        }
        self.wake_all();
    }

    fn note(&mut self, side: usize, what: u64) {
        for word in [side as u64, what, self.begun.elapsed().subsec_nanos().into()] {
            self.trace = (self.trace ^ word).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// What this side sent reaches a host that does not know the connection: it answers with a
    /// reset.
    fn react(&mut self, side: usize, shape: Shape) {
        let peer = &self.sides[1 - side];
        let is_unknown = peer.is_back || (peer.dropped.is_some() && !peer.has_crashed);
        let is_cut = self.pipes.iter().any(|pipe| pipe.is_held);
        let has_data = self.pipes[side].segments.iter().any(|segment| segment.len() > 0);
        if !is_unknown || is_cut || !has_data {
            return;
        }
        self.pipes[side].segments.clear();
        self.pipes[side].queued = 0;
        let there = self.dice.millis(shape.latency.0, shape.latency.1);
        let back = self.arrival(1 - side, shape);
        self.push_reset(1 - side, Some(back + there));
    }

    fn wake_all(&mut self) {
        for pipe in &mut self.pipes {
            wake(&mut pipe.reader);
            wake(&mut pipe.writer);
        }
    }

    pub(crate) fn read(&mut self, side: usize, room: usize, shape: Shape) -> Found {
        if self.sides[side].has_crashed {
            return Found::Reset;
        }
        let now = Instant::now();
        let acknowledges = !self.pipes[side].is_held;
        let most = self.dice.size(1, shape.most).min(room);
        let pipe = &mut self.pipes[1 - side];
        let Some(first) = pipe.segments.front_mut() else { return Found::Nothing(None) };
        match (first.at, &mut first.what) {
            (Some(at), _) if at > now => Found::Nothing(Some(at)),
            (None, _) => Found::Nothing(None),
            (_, What::End) => Found::End,
            (_, What::Reset) => Found::Reset,
            (at, What::Data(bytes)) => {
                let part = bytes.split_to(most.min(bytes.len()));
                let is_empty = bytes.is_empty();
                pipe.arrived = at;
                if is_empty {
                    pipe.segments.pop_front();
                }
                if acknowledges {
                    pipe.queued -= part.len();
                    wake(&mut pipe.writer);
                } else {
                    pipe.unacknowledged += part.len();
                }
                self.note(side, part.len() as u64);
                Found::Data(part)
            }
        }
    }

    pub(crate) fn write(&mut self, side: usize, bytes: &[u8], shape: Shape) -> Taken {
        let now = Instant::now();
        let reset = self.pipes[1 - side].reset_at();
        if self.sides[side].has_crashed || reset.is_some_and(|at| at <= now) {
            return Taken::Reset;
        }
        if self.pipes[side].is_ended {
            return Taken::Ended;
        }
        let room = shape.buffer.saturating_sub(self.pipes[side].queued);
        let count = self.dice.size(1, shape.most).min(room).min(bytes.len());
        if count == 0 && !bytes.is_empty() {
            self.pipes[side].was_full = true;
            return Taken::Full(reset);
        }
        let pipe = &mut self.pipes[side];
        pipe.queued += count;
        pipe.written_at = now;
        if std::mem::take(&mut pipe.was_full) {
            pipe.taken_at = now;
        }
        self.note(side, count as u64 | 1 << 32);
        self.send(side, Bytes::copy_from_slice(&bytes[..count]), shape);
        self.react(side, shape);
        Taken::Bytes(count)
    }

    fn send(&mut self, side: usize, bytes: Bytes, shape: Shape) {
        // The handshake is spared.
        let is_due = side == SERVER && self.pipes[CLIENT].arrived.is_some() && bytes.len() < 120;
        match self.sabotage.filter(|_| is_due && self.dice.once_in(6)) {
            None => return self.push(side, What::Data(bytes), shape),
            Some(Sabotage::Lost) => self.pipes[side].queued -= bytes.len(),
            Some(Sabotage::Twice) => {
                self.pipes[side].queued += bytes.len();
                self.push(side, What::Data(bytes.clone()), shape);
                self.push(side, What::Data(bytes), shape);
            }
            Some(Sabotage::Flipped) => {
                let mut flipped = bytes.to_vec();
                if let Some(last) = flipped.last_mut() {
                    *last ^= 1;
                }
                self.push(side, What::Data(flipped.into()), shape);
            }
            Some(Sabotage::Late) => {
                self.pipes[side].last += Duration::from_secs(40);
                self.push(side, What::Data(bytes), shape);
            }
        }
        self.sabotage = None;
    }

    pub(crate) fn end(&mut self, side: usize, shape: Shape) {
        if !std::mem::replace(&mut self.pipes[side].is_ended, true) {
            self.push(side, What::End, shape);
        }
    }

    /// The program has dropped its end.
    pub(crate) fn drop_end(&mut self, side: usize, shape: Shape) {
        let now = Instant::now();
        self.sides[side].dropped = Some(now);
        self.note(side, 2 << 32);
        if self.sides[side].has_crashed {
            return;
        }
        let incoming = &self.pipes[1 - side];
        let is_unread =
            |segment: &Segment| segment.len() > 0 && segment.at.is_some_and(|at| at <= now);
        if incoming.segments.iter().any(is_unread) {
            // The kernel forgets what it has not sent yet.
            if self.dice.once_in(2) {
                self.pipes[side].lose_in_flight(now);
            }
            let at = (!self.pipes[side].is_held).then(|| self.arrival(side, shape));
            self.push_reset(side, at);
        } else {
            self.end(side, shape);
            self.react(1 - side, shape);
        }
        self.wake_all();
    }
}

/// Wakes a task, if one waits.
fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// Copies the bytes that were found, all of which fit.
pub(crate) fn put(mut bytes: Bytes, into: &mut tokio::io::ReadBuf<'_>) {
    while bytes.has_remaining() {
        let count = bytes.chunk().len();
        into.put_slice(bytes.chunk());
        bytes.advance(count);
    }
}
