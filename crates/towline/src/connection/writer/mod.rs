//! The writer: it owns the write half, and tracks which task is going to write next.
//!
//! # The invariant
//!
//! Whenever the connection's lock is free and the queue is not empty, the flusher is not `Idle`.
//! Answers to frames that are being received are the exception: the receiver writes them before it
//! returns. So all queued bytes are written without further calls, by the flusher or by a task that
//! writes before it. The states, and the effect of each method:
//!
//! | flusher | means | `queued` | `write_now` | `run` (the flusher's poll) |
//! | --- | --- | --- | --- | --- |
//! | `Idle` | nothing is queued | writes, or → `Scheduled` | writes; what is left → `Scheduled` | – |
//! | `Scheduled` | its task runs when the task that queued a message yields | joins what is queued, or writes at 64 KiB | writes | writes: all → `Idle`, full → `Blocked`, limit for one poll → stays |
//! | `Blocked` | the transport is full, and wakes it | joins | nothing: the transport knows one waker only | writes on |
//!
//! - A task that sends or receives writes without waiting, outside of its budget, and at most
//!   [`AT_ONCE`] bytes. The flusher writes the rest.
//! - The first message of a *turn* is written at once, and later ones are batched. The receiver's
//!   turn ends when it has no more items, and it writes then. A turn without a receiver ends after
//!   [`COMPANY`].
//! - The flusher also wakes the waiters for room, one by one, while there is room: see
//!   [`Core::serve`](crate::connection::shared::Core).

mod passing;

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Buf as _;
use tokio::io::AsyncWrite as _;
use tokio::task::unconstrained;
use tokio::time::Instant;
use towline_proto::{Outbound, Session, TransportFate};

use crate::connection::buffers;
use crate::connection::timekeeper::Moment;
use crate::connection::unsent::Unsent;
use crate::connection::work::Work;
use crate::transport::{Remains, WriteHalf};

/// Queued bytes are written when there are this many, even within a turn.
pub(crate) const WRITE_AT: usize = 64 << 10;

/// How many bytes are written, and how many are compressed for that, before the task yields.
const AT_ONCE: u64 = 512 << 10;
const DEFLATED_AT_ONCE: u64 = 128 << 10;

/// How long a turn lasts that does not belong to the receiver. A loop sends many messages in this
/// time; a task that waits between messages sends one.
const COMPANY: Duration = Duration::from_micros(50);

/// How many slices one call writes: headers and shared payloads alternate.
const SLICES: usize = 64;

pub(crate) struct Writer {
    half: Half,
    flusher: Flusher,
    /// Whether the flusher is scheduled and its task is not spawned yet.
    is_to_be_spawned: bool,
    /// Whether the session knows that the transport is full, which can have set a deadline.
    has_deadline: bool,
    turn: Turn,
    /// Whether the flusher has run since the receiver's turn began: a message sent now is not an
    /// answer.
    is_turn_over: bool,
    /// Whether the transport has to be flushed.
    unflushed: bool,
    /// Whether a task waits for the flush, and whether a flush is in progress.
    wants_flush: bool,
    is_flushing: bool,
    /// Whether the writing side has been shut down.
    is_shut_down: bool,
    /// Whether the stream has panicked, and is not called any more.
    is_broken: bool,
    /// The limit of unsent bytes in the kernel.
    unsent: Unsent,
    /// Whether a transport that was full has taken more since the last deadline.
    took_more: bool,
    /// Work for senders that is not charged to a task's budget yet.
    pub(crate) work: Work,
}

/// The write half. Once writing is over: the error, if it says more than its kind, as that of HTTP/2.
type Half = Result<WriteHalf, Option<Arc<io::Error>>>;

/// The state of the task that writes the rest of the queue.
enum Flusher {
    Idle,
    Scheduled,
    Blocked(Waker),
}

/// The first write since the receiver's last turn ended or the flusher ran.
#[derive(Clone, Copy)]
enum Turn {
    Nothing,
    /// An answer, in a turn of the receiver.
    Answer,
    /// Another message, in a turn that ends at this time.
    Else(Instant),
}

/// The result of writing.
#[derive(PartialEq, Eq)]
pub(crate) enum Wrote {
    All,
    /// The limit for one poll is reached.
    Enough,
}

impl Writer {
    pub(crate) fn new(half: WriteHalf) -> Self {
        Self {
            half: Ok(half),
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

    /// Whether writing is over.
    pub(crate) fn is_over(&self) -> bool {
        self.half.is_err() || self.is_broken
    }

    /// The error of a failed write, if it says more than its kind.
    pub(crate) fn failure(&self) -> Option<&Arc<io::Error>> {
        self.half.as_ref().err()?.as_ref()
    }

    /// Notes that a task waits for a flush: the transport is flushed after each write, and not only
    /// when the queue is empty.
    pub(crate) fn want_flush(&mut self) {
        self.wants_flush = true;
    }

    /// Whether a blocked flusher has to be woken to flush. Returns `true` once per flush.
    pub(crate) fn take_flush_due(&mut self) -> bool {
        let is_due = self.wants_flush && self.unflushed && !self.is_flushing;
        self.is_flushing |= is_due;
        is_due
    }

    /// Whether the flusher is going to write the queue, so that a small message only has to be
    /// queued.
    #[inline]
    pub(crate) fn can_join(&self) -> bool {
        matches!(self.flusher, Flusher::Scheduled) && !self.work.is_due()
    }

    /// Provides the queue with a buffer.
    #[inline]
    pub(crate) fn prepare(&mut self, session: &mut Session) {
        if !session.outbound().has_buffer() {
            session.outbound().lend_buffer(buffers::take_send());
        }
    }

    /// Called after a message was queued. `is_first`: the queue was empty before.
    #[inline]
    pub(crate) fn queued(
        &mut self,
        session: &mut Session,
        is_first: bool,
        receiver: Receiving,
        moment: &mut Moment,
    ) {
        if is_first && matches!(self.flusher, Flusher::Blocked(_)) {
            // It waits for a flush. The message is queued behind that, so the send timeout begins.
            self.full(session);
        }
        let is_due = is_first && self.begins_turn(receiver, moment);
        if is_due || session.outbound().queued_len() >= WRITE_AT {
            self.write_now(session);
            self.work.add_call();
        } else {
            self.schedule();
        }
        if session.outbound().deflated() > 0 {
            self.work.add_deflated(session.outbound().take_deflated());
        }
    }

    /// Makes sure that the queue is written, by the flusher at the latest.
    pub(crate) fn see_to(&mut self, session: &mut Session) {
        if !session.outbound().is_empty() {
            self.schedule();
        }
    }

    /// The receiver's turn has ended: writes the queue.
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

    /// Makes a last attempt to write, before the transport is closed.
    pub(crate) fn write_last(&mut self, session: &mut Session) {
        let write = pin!(unconstrained(poll_fn(|cx| self.poll_write(session, cx))));
        let _ = write.poll(&mut Context::from_waker(Waker::noop()));
    }

    /// Polls the flusher: writes, and waits while the transport is full.
    pub(crate) fn run(&mut self, session: &mut Session, cx: &mut Context<'_>) -> Poll<Wrote> {
        let before = session.outbound().written_ever();
        let full_since = match self.flusher {
            Flusher::Blocked(_) => session.full_since(),
            _ => None,
        };
        let wrote = self.poll_write(session, cx);
        // The flusher's work is not charged to senders.
        session.outbound().take_deflated();
        let written = session.outbound().written_ever();
        if let Some(since) = full_since.filter(|_| written != before) {
            self.took_more = true;
            let waited = Instant::now().into_std().saturating_duration_since(since);
            if let Ok(half) = &self.half
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

    /// The flusher has finished.
    pub(crate) fn rest(&mut self) {
        self.flusher = Flusher::Idle;
    }

    /// Schedules the flusher, even if the queue is empty.
    #[inline]
    pub(crate) fn schedule(&mut self) {
        if matches!(self.flusher, Flusher::Idle) {
            self.flusher = Flusher::Scheduled;
            self.is_to_be_spawned = true;
        }
    }

    /// Whether the flusher is idle.
    #[cfg(shuttle)]
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.flusher, Flusher::Idle)
    }

    /// The flusher's waker, if it waits for the transport.
    pub(crate) fn blocked(&self) -> Option<&Waker> {
        match &self.flusher {
            Flusher::Blocked(waker) => Some(waker),
            _ => None,
        }
    }

    /// Whether no task has to be spawned and no timer has to be set.
    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        !self.is_to_be_spawned && !self.has_deadline
    }

    /// Whether the flusher's task has to be spawned. The caller has handled deadlines.
    pub(crate) fn take_spawn(&mut self) -> bool {
        self.has_deadline = false;
        std::mem::take(&mut self.is_to_be_spawned)
    }

    /// Whether a transport that was full has taken more bytes since the last call.
    pub(crate) fn took_more(&mut self) -> bool {
        std::mem::take(&mut self.took_more)
    }

    /// The write half, to check its stream for unread bytes.
    pub(crate) fn half(&self) -> Option<&WriteHalf> {
        self.half.as_ref().ok()
    }

    /// Ends writing. Returns the rest of the transport, to be dropped without a lock held, and the
    /// flusher's waker, to be woken.
    pub(crate) fn end(&mut self) -> (Option<Remains>, Option<Waker>) {
        let waker = match std::mem::replace(&mut self.flusher, Flusher::Idle) {
            Flusher::Blocked(waker) => Some(waker),
            _ => None,
        };
        let failure = self.failure().cloned();
        let half = std::mem::replace(&mut self.half, Err(failure));
        (half.ok().map(WriteHalf::close), waker)
    }

    /// Ends writing after the program's stream has panicked.
    pub(crate) fn give_up(&mut self, session: &mut Session) {
        if !std::mem::replace(&mut self.is_broken, true) {
            session.handle_transport_error(io::ErrorKind::Other);
        }
    }

    /// Whether a message that is the first in the queue begins a turn, and so is written at once.
    #[inline]
    fn begins_turn(&mut self, receiver: Receiving, moment: &mut Moment) -> bool {
        if receiver.has_more() || self.is_in_company(moment) {
            return false;
        }
        self.turn = match receiver {
            Receiving::HandedOut if !self.is_turn_over => Turn::Answer,
            _ => Turn::Else(moment.now() + COMPANY),
        };
        true
    }

    /// Whether this turn has begun, so that more messages are likely to follow soon.
    #[inline]
    fn is_in_company(&self, moment: &mut Moment) -> bool {
        match self.turn {
            Turn::Nothing => false,
            Turn::Answer => true,
            Turn::Else(end) => moment.now() < end,
        }
    }

    /// Whether the connection is open and has nothing to write or flush.
    #[inline]
    fn has_nothing_to_write(&self, session: &mut Session) -> bool {
        let outbound = session.outbound();
        // A message that was refused leaves a buffer, which has to be returned.
        let is_done = outbound.is_empty() && !outbound.has_buffer();
        is_done && !self.unflushed && session.is_open()
    }

    #[cold]
    fn full(&mut self, session: &mut Session) {
        if self.half().is_some_and(WriteHalf::has_moved) {
            self.took_more = true;
            session.handle_moved();
        }
        session.handle_full(Instant::now().into_std());
        self.has_deadline = true;
    }

    /// Writes the queue, up to the limit for one poll, and then flushes or shuts down the
    /// transport.
    fn poll_write(&mut self, session: &mut Session, cx: &mut Context<'_>) -> Poll<Wrote> {
        let outbound = session.outbound();
        let enough = outbound.written_ever() + AT_ONCE;
        let enough_deflated = outbound.deflated() + DEFLATED_AT_ONCE;
        if self.wants_flush && self.unflushed {
            ready!(self.poll_flush(session, cx));
        }
        while let Ok(half) = &mut self.half
            && !self.is_broken
            && let Some(out) = session.poll_transmit()
        {
            bound_unsent(&mut self.unsent, half, out.written_ever() + out.remaining() as u64);
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
            && let Ok(half) = &mut self.half
            && !self.is_broken
        {
            let result = ready!(Pin::new(half).poll_flush(cx));
            self.note(session, result);
        }
        (self.unflushed, self.is_flushing) = (false, false);
        // Bytes that a transport has taken and failed to flush are lost.
        if !self.is_over() {
            session.outbound().handle_flushed();
        }
        Poll::Ready(())
    }

    /// Shuts the transport down when the session requires it, and reports the end to the session.
    #[cold]
    fn poll_fate(&mut self, session: &mut Session, cx: &mut Context<'_>) -> Poll<()> {
        let is_over = session.poll_transport() != TransportFate::Open;
        if is_over
            && !self.is_shut_down
            && let Ok(half) = &mut self.half
            && !self.is_broken
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

    /// Handles the result of a call to the transport.
    #[inline]
    fn note(&mut self, session: &mut Session, result: io::Result<()>) {
        if let Err(error) = result {
            session.handle_write_error(Instant::now().into_std(), error.kind());
            self.half = Err(error.get_ref().is_some().then(|| Arc::new(error)));
        }
    }
}

/// The state of the receiver's turn when a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Receiving {
    /// It waits for more bytes.
    Waits,
    /// It has handed out its last item, and was not polled since.
    HandedOut,
    /// It holds bytes that the program has not received yet.
    HasMore,
    /// It holds such bytes, which are known to end with a whole frame.
    HasWhole,
    /// It has handed out the bytes that have arrived of a frame, and was not polled since.
    MidFrame,
}

impl Receiving {
    /// Whether it holds bytes that the program has not received.
    #[inline]
    pub(crate) fn has_more(self) -> bool {
        matches!(self, Self::HasMore | Self::HasWhole)
    }
}

/// Sets the limit of unsent bytes before the first larger write, which ends at this position.
#[inline]
fn bound_unsent(unsent: &mut Unsent, half: &WriteHalf, end: u64) {
    if end > WRITE_AT as u64
        && let Some(most) = unsent.begin()
    {
        half.bound_unsent(most);
    }
}

/// Writes some of `out`, as one slice or several.
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
