//! The one that writes: it alone has the write half, and knows who is going to write next.
//!
//! # The invariant
//!
//! Whenever the connection's lock is free and something is queued, the flusher is not `Idle`; but for
//! answers to what is being received, which whoever receives has written before it returns. So
//! whatever was queued leaves without anybody's help, be it by the flusher or by whoever writes
//! before it. The states, and what each verb does in them:
//!
//! | flusher | means | `queued` | `write_now` | `run` (the flusher's poll) |
//! | --- | --- | --- | --- | --- |
//! | `Idle` | nothing is queued | writes, or → `Scheduled` | writes; what is left → `Scheduled` | – |
//! | `Scheduled` | its task runs when the task that queued something yields | joins what is queued, or writes at 64 KiB | writes | writes: all → `Idle`, full → `Blocked`, enough for one go → stays |
//! | `Blocked` | the transport is full, and wakes it | joins | nothing: the transport knows one waker only | writes on |
//!
//! - Whoever writes in passing does so without waiting, outside of the task's budget, and no more
//!   than [`AT_ONCE`]; what is left is the flusher's.
//! - A task that sends for the first time in its *turn* writes at once; what follows waits for
//!   company. The receiver's turn ends when it has nothing more to hand out, and it writes then; a
//!   turn without a receiver is over after [`COMPANY`].
//! - The flusher also gives room to those who wait for it, one by one, as long as there is some:
//!   see [`Core::serve`](crate::connection::shared::Core).

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Buf as _;
use tokio::io::AsyncWrite as _;
use tokio::task::unconstrained;
use tokio::time::Instant;
use towline_proto::{Outbound, Session, TransportFate};

use crate::connection::buffers;
use crate::connection::unsent::Unsent;
use crate::connection::work::Work;
use crate::transport::{Remains, WriteHalf};

/// So much is queued at the most before it is written, whatever else there is to do.
pub(crate) const WRITE_AT: usize = 64 << 10;

/// So much is written in one go, and so much deflated for it, before others have their turn.
const AT_ONCE: u64 = 512 << 10;
const DEFLATED_AT_ONCE: u64 = 128 << 10;

/// So long after a write, what is sent next belongs to the same turn, if there is no receiver's
/// turn to tell by. A loop sends many messages in this time; one who waits in between sends none.
const COMPANY: Duration = Duration::from_micros(50);

/// So many pieces are written by one call: headers and lent payloads in turn.
const SLICES: usize = 64;

pub(crate) struct Writer {
    /// `None` once nothing is to be written any more.
    half: Option<WriteHalf>,
    flusher: Flusher,
    /// Whether the flusher is scheduled, and its task is still to be made.
    is_to_be_spawned: bool,
    /// Whether the session has been told that the transport is full, and so may have a deadline.
    has_deadline: bool,
    turn: Turn,
    /// Whether the flusher has run since the receiver's turn began: what is sent now is no answer.
    is_turn_over: bool,
    /// Whether the transport holds written bytes back until it is flushed.
    unflushed: bool,
    /// Whether somebody waits for that, and whether it is being tried.
    wants_flush: bool,
    is_flushing: bool,
    /// Whether the writing side has been shut down.
    is_shut_down: bool,
    /// Whether the stream has panicked, and is left alone.
    is_broken: bool,
    /// What the kernel may hold back.
    unsent: Unsent,
    /// Whether a transport that was full has taken more since the last deadline.
    took_more: bool,
    /// What was done for senders since they last paid for it.
    pub(crate) work: Work,
}

/// The task that writes what whoever queued it did not.
enum Flusher {
    Idle,
    Scheduled,
    Blocked(Waker),
}

/// What was written since the receiver last found nothing to hand out, or a flusher ran.
#[derive(Clone, Copy)]
enum Turn {
    Nothing,
    /// An answer, in a turn of the receiver's.
    Answer,
    /// Something else, at this time.
    Else(Instant),
}

/// What came of writing in one go.
#[derive(PartialEq, Eq)]
pub(crate) enum Wrote {
    All,
    /// Enough for now.
    Enough,
}

impl Writer {
    pub(crate) fn new(half: WriteHalf) -> Self {
        Self {
            half: Some(half),
            flusher: Flusher::Idle,
            is_to_be_spawned: false,
            has_deadline: false,
            turn: Turn::Nothing,
            is_turn_over: false,
            unflushed: false,
            wants_flush: false,
            is_flushing: false,
            is_shut_down: false,
            is_broken: false,
            unsent: Unsent::default(),
            took_more: false,
            work: Work::default(),
        }
    }

    /// Whether nothing is to be written any more.
    pub(crate) fn is_over(&self) -> bool {
        self.half.is_none() || self.is_broken
    }

    /// Somebody waits for a flush: the transport is flushed after each write, and not only when
    /// nothing is left.
    pub(crate) fn want_flush(&mut self) {
        self.wants_flush = true;
    }

    /// Whether there is something to flush, and a flusher that waits to write more is to be woken for
    /// it, once.
    pub(crate) fn take_flush_due(&mut self) -> bool {
        let is_due = self.wants_flush && self.unflushed && !self.is_flushing;
        self.is_flushing |= is_due;
        is_due
    }

    /// Whether what is queued is to be written by the flusher, so that a small message need only
    /// join it.
    #[inline]
    pub(crate) fn can_join(&self) -> bool {
        matches!(self.flusher, Flusher::Scheduled) && !self.work.is_due()
    }

    /// A buffer for what is about to be queued.
    #[inline]
    pub(crate) fn prepare(&mut self, session: &mut Session) {
        if !session.outbound().has_buffer() {
            session.outbound().lend_buffer(buffers::take_send());
        }
    }

    /// Something was queued, behind nothing if it `is_first`. `receiver` is what there is to know
    /// of the receiver's turn.
    #[inline]
    pub(crate) fn queued(&mut self, session: &mut Session, is_first: bool, receiver: Receiving) {
        let receiver = match receiver {
            Receiving::HandedOut if self.is_turn_over => Receiving::Waits,
            receiver => receiver,
        };
        if is_first && matches!(self.flusher, Flusher::Blocked(_)) {
            // It waits for a flush. From now on something is queued behind that.
            self.full(session);
        }
        if is_first && !receiver.has_more() && !self.is_in_company() {
            self.turn = match receiver {
                Receiving::HandedOut => Turn::Answer,
                _ => Turn::Else(Instant::now()),
            };
            self.write_now(session);
            self.work.add_call();
        } else if session.outbound().queued_len() >= WRITE_AT {
            self.write_now(session);
            self.work.add_call();
        } else {
            self.schedule();
        }
        if session.outbound().deflated() > 0 {
            self.work.add_deflated(session.outbound().take_deflated());
        }
    }

    /// Has what is queued written, by the flusher if nobody comes before it.
    pub(crate) fn see_to(&mut self, session: &mut Session) {
        if !session.outbound().is_empty() {
            self.schedule();
        }
    }

    /// The receiver has nothing more to hand out: what its turn has led to is written.
    pub(crate) fn turn_ended(&mut self, session: &mut Session) {
        self.write_now(session);
        (self.turn, self.is_turn_over) = (Turn::Nothing, false);
    }

    /// Writes without waiting, and leaves the rest to the flusher.
    pub(crate) fn write_now(&mut self, session: &mut Session) {
        if matches!(self.flusher, Flusher::Blocked(_)) || self.has_nothing_to_write(session) {
            return;
        }
        let write = pin!(unconstrained(poll_fn(|cx| self.poll_write(session, cx))));
        match write.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Wrote::All) => {}
            Poll::Ready(Wrote::Enough) => self.schedule(),
            Poll::Pending => {
                self.full(session);
                self.schedule();
            }
        }
    }

    /// The last attempt, for a transport that is about to go.
    pub(crate) fn write_last(&mut self, session: &mut Session) {
        let write = pin!(unconstrained(poll_fn(|cx| self.poll_write(session, cx))));
        let _ = write.poll(&mut Context::from_waker(Waker::noop()));
    }

    /// The flusher's poll: writes, and waits for the transport where that is full.
    pub(crate) fn run(&mut self, session: &mut Session, cx: &mut Context<'_>) -> Poll<Wrote> {
        let before = session.outbound().written_ever();
        let full_since = match self.flusher {
            Flusher::Blocked(_) => session.full_since(),
            _ => None,
        };
        let wrote = self.poll_write(session, cx);
        // That was this task's work, and no sender's.
        session.outbound().take_deflated();
        let written = session.outbound().written_ever();
        if let Some(since) = full_since.filter(|_| written != before) {
            self.took_more = true;
            let waited = Instant::now().into_std().saturating_duration_since(since);
            if let Some(half) = &self.half
                && let Some(most) = self.unsent.handle_room(waited, written)
            {
                half.bound_unsent(most);
            }
        }
        (self.turn, self.is_turn_over) = (Turn::Nothing, true);
        if wrote.is_ready() {
            self.flusher = Flusher::Scheduled;
        } else {
            self.full(session);
            self.flusher = Flusher::Blocked(cx.waker().clone());
        }
        wrote
    }

    /// The flusher has nothing more to do.
    pub(crate) fn rest(&mut self) {
        self.flusher = Flusher::Idle;
    }

    /// Has the flusher run, though there may be nothing to write.
    #[inline]
    pub(crate) fn schedule(&mut self) {
        if matches!(self.flusher, Flusher::Idle) {
            self.flusher = Flusher::Scheduled;
            self.is_to_be_spawned = true;
        }
    }

    /// Whether nothing is queued, as far as this knows.
    #[cfg(shuttle)]
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.flusher, Flusher::Idle)
    }

    /// The flusher, where it waits for the transport: to be woken for something else.
    pub(crate) fn blocked(&self) -> Option<&Waker> {
        match &self.flusher {
            Flusher::Blocked(waker) => Some(waker),
            _ => None,
        }
    }

    /// Whether nothing follows from what was done: no task is to be made, and no timer set.
    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        !self.is_to_be_spawned && !self.has_deadline
    }

    /// Whether the flusher's task is to be made, once. Deadlines have been looked after.
    pub(crate) fn take_spawn(&mut self) -> bool {
        self.has_deadline = false;
        std::mem::take(&mut self.is_to_be_spawned)
    }

    /// Whether a transport that was full has taken more since this was last asked.
    pub(crate) fn took_more(&mut self) -> bool {
        std::mem::take(&mut self.took_more)
    }

    /// The half, to look at what lies unread at the other side of it.
    pub(crate) fn half(&self) -> Option<&WriteHalf> {
        self.half.as_ref()
    }

    /// The connection has ended. Returns what is left of the transport, to be dropped where nothing
    /// is locked, and the flusher, to be woken.
    pub(crate) fn end(&mut self) -> (Option<Remains>, Option<Waker>) {
        let waker = match std::mem::replace(&mut self.flusher, Flusher::Idle) {
            Flusher::Blocked(waker) => Some(waker),
            _ => None,
        };
        (self.half.take().map(WriteHalf::close), waker)
    }

    /// Writing has come to nothing: the program's stream has panicked in the middle of it.
    pub(crate) fn give_up(&mut self, session: &mut Session) {
        if !std::mem::replace(&mut self.is_broken, true) {
            session.handle_transport_error(io::ErrorKind::Other);
        }
    }

    /// Whether what was written in this turn is going to be followed by more soon.
    #[inline]
    fn is_in_company(&mut self) -> bool {
        match self.turn {
            Turn::Nothing => false,
            Turn::Answer => true,
            Turn::Else(at) => at.elapsed() < COMPANY,
        }
    }

    /// Whether the transport is as it should be: open, with nothing left to be written.
    #[inline]
    fn has_nothing_to_write(&self, session: &mut Session) -> bool {
        let outbound = session.outbound();
        // A buffer is there for what was refused then, and is to be given back.
        let is_done = outbound.is_empty() && !outbound.has_buffer();
        is_done && !self.unflushed && session.is_open()
    }

    #[cold]
    fn full(&mut self, session: &mut Session) {
        if self.half.as_ref().is_some_and(WriteHalf::has_moved) {
            self.took_more = true;
            session.handle_moved();
        }
        session.handle_full(Instant::now().into_std());
        self.has_deadline = true;
    }

    /// Writes what is queued, up to what is enough for one go, then does with the transport what
    /// is due.
    fn poll_write(&mut self, session: &mut Session, cx: &mut Context<'_>) -> Poll<Wrote> {
        let outbound = session.outbound();
        let enough = outbound.written_ever() + AT_ONCE;
        let enough_deflated = outbound.deflated() + DEFLATED_AT_ONCE;
        if self.wants_flush && self.unflushed {
            ready!(self.poll_flush(session, cx));
        }
        while let Some(half) = self.half.as_mut().filter(|_| !self.is_broken)
            && let Some(out) = session.poll_transmit()
        {
            if out.written_ever() + out.remaining() as u64 > WRITE_AT as u64
                && let Some(most) = self.unsent.begin()
            {
                half.bound_unsent(most);
            }
            let result = ready!(poll_write_some(half, cx, out));
            self.unflushed = half.holds_back();
            let is_enough = out.written_ever() >= enough || out.deflated() >= enough_deflated;
            self.note(session, result);
            if !self.unflushed || self.wants_flush {
                ready!(self.poll_flush(session, cx));
            }
            if is_enough && !session.outbound().is_empty() {
                return Poll::Ready(Wrote::Enough);
            }
        }
        if self.unflushed {
            ready!(self.poll_flush(session, cx));
        }
        self.wants_flush = false;
        if !session.is_open() {
            ready!(self.poll_fate(session, cx));
        }
        if let Some(buffer) = session.outbound().reclaim_buffer() {
            buffers::give_send(buffer);
        }
        Poll::Ready(Wrote::All)
    }

    #[inline]
    fn poll_flush(&mut self, session: &mut Session, cx: &mut Context<'_>) -> Poll<()> {
        if self.unflushed
            && let Some(half) = self.half.as_mut().filter(|_| !self.is_broken)
        {
            let result = ready!(Pin::new(half).poll_flush(cx));
            self.note(session, result);
        }
        (self.unflushed, self.is_flushing) = (false, false);
        // What a transport has taken and could not flush is lost.
        if !self.is_over() {
            session.outbound().handle_flushed();
        }
        Poll::Ready(())
    }

    /// Shuts the transport down, and tells the session, when it says so.
    #[cold]
    fn poll_fate(&mut self, session: &mut Session, cx: &mut Context<'_>) -> Poll<()> {
        let is_over = session.poll_transport() != TransportFate::Open;
        if is_over
            && !self.is_shut_down
            && let Some(half) = self.half.as_mut().filter(|_| !self.is_broken)
        {
            let result = ready!(Pin::new(half).poll_shutdown(cx));
            self.is_shut_down = true;
            self.note(session, result);
        }
        if !self.is_over() && session.poll_transport() == TransportFate::Close {
            session.handle_transport_end();
        }
        Poll::Ready(())
    }

    /// What a call of the transport has come to.
    #[inline]
    fn note(&mut self, session: &mut Session, result: io::Result<()>) {
        if let Err(error) = result {
            self.half = None;
            session.handle_write_error(Instant::now().into_std(), error.kind());
        }
    }
}

/// What there is to know of the receiver's turn when something is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Receiving {
    /// It waits for more to come.
    Waits,
    /// It has handed out what it had, and has not come for more.
    HandedOut,
    /// It holds bytes that the program has not received as messages yet.
    HasMore,
    /// The same, and they are known to end with a frame.
    HasWhole,
}

impl Receiving {
    /// Whether it holds bytes that the program has not received.
    #[inline]
    pub(crate) fn has_more(self) -> bool {
        matches!(self, Self::HasMore | Self::HasWhole)
    }
}

/// Writes some of `out`, as one or as several pieces.
fn poll_write_some(
    half: &mut WriteHalf,
    cx: &mut Context<'_>,
    out: &mut Outbound,
) -> Poll<io::Result<()>> {
    let mut half = Pin::new(half);
    let first = out.chunk();
    let count = if first.len() == out.remaining() || !half.is_write_vectored() {
        ready!(half.as_mut().poll_write(cx, first))?
    } else {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let used = out.chunks_vectored(&mut slices);
        ready!(half.as_mut().poll_write_vectored(cx, &slices[..used]))?
    };
    if count == 0 {
        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
    }
    out.advance(count);
    Poll::Ready(Ok(()))
}
