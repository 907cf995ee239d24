//! What the halves of a connection, its tasks and its timer share.
//!
//! One lock, held for the encoding of a frame or a write that does not block, and practically
//! never contended. Nobody is woken while it is held.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;
use towline_proto::{Closed, Session};

use crate::connection::info::Info;
use crate::connection::timekeeper::Timekeeper;
use crate::connection::waiting::{Place, Until, Waiting};
use crate::transport::{Remains, WriteHalf};

pub(crate) struct Shared {
    pub(crate) info: Arc<Info>,
    /// Knows where tasks of this connection run, too, whoever starts them.
    pub(crate) timekeeper: Timekeeper,
    observer: Option<Arc<dyn Observer>>,
    opened: Instant,
    /// When the last bytes came, in nanoseconds after `opened`.
    received_at: AtomicU64,
    /// Whether the receiver holds bytes that the program has not received as messages yet.
    pub(crate) has_input: AtomicBool,
    /// How many [`Sender`](crate::Sender)s there are, and how many have ever made frames by hand.
    pub(crate) senders: AtomicUsize,
    pub(crate) frame_makers: AtomicU64,
    state: Mutex<State>,
}

/// Who wants to know of a connection's end.
pub(crate) trait Observer: Send + Sync {
    fn closed(&self, info: &Arc<Info>, closed: &Closed);
}

pub(crate) struct State {
    pub(crate) session: Session,
    /// `None` once nothing is to be written any more.
    pub(crate) writer: Option<WriteHalf>,
    /// Whether the transport holds written bytes back until it is flushed.
    pub(crate) unflushed: bool,
    /// Whether the writing side has been shut down.
    pub(crate) is_shut_down: bool,
    pub(crate) flusher: Flusher,
    /// Whether something was written since the receiver last found nothing to hand out.
    pub(crate) wrote_this_turn: bool,
    /// Whether a transport that was full has taken more since the last deadline.
    pub(crate) peer_took_more: bool,
    pub(crate) receiver_is_gone: bool,
    /// The receiver, while it waits.
    pub(crate) receiver: Option<Waker>,
    pub(crate) waiting: Waiting,
    /// Which sender has begun a message made of frames and not finished it.
    pub(crate) unfinished_by: Option<NonZeroU64>,
    /// When the timekeeper will call.
    pub(crate) deadline: Option<Instant>,
    is_ended: bool,
    knows_outcome: bool,
}

/// The task that writes what the caller who queued it did not.
pub(crate) enum Flusher {
    None,
    /// It will run as soon as the task that queued something yields.
    Scheduled,
    /// It waits for the transport to take more. Nobody else may write: the transport knows one
    /// waker only.
    Blocked(Waker),
}

/// What is to be done once the state is unlocked.
#[must_use]
#[derive(Default)]
struct Aftermath {
    wake: Vec<Waker>,
    closed: Option<Closed>,
    /// What is left of the transport. To drop it may run code of the program's.
    remains: Option<Remains>,
}

impl Shared {
    pub(crate) fn new(
        info: Arc<Info>,
        session: Session,
        writer: WriteHalf,
        observer: Option<Arc<dyn Observer>>,
        opened: Instant,
    ) -> Arc<Self> {
        let shared = Arc::new(Self {
            info,
            timekeeper: Timekeeper::of(&Handle::current()),
            observer,
            opened,
            received_at: AtomicU64::new(0),
            has_input: AtomicBool::new(false),
            senders: AtomicUsize::new(0),
            frame_makers: AtomicU64::new(0),
            state: Mutex::new(State {
                session,
                writer: Some(writer),
                unflushed: false,
                is_shut_down: false,
                flusher: Flusher::None,
                wrote_this_turn: false,
                peer_took_more: false,
                receiver_is_gone: false,
                receiver: None,
                waiting: Waiting::default(),
                unfinished_by: None,
                deadline: None,
                is_ended: false,
                knows_outcome: false,
            }),
        });
        shared.reschedule(&mut shared.lock());
        shared
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic with the lock held is a bug of ours; the state is as good as it was before.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and sees to what follows from it.
    #[inline]
    pub(crate) fn update<R>(
        self: &Arc<Self>,
        change: impl FnOnce(&Arc<Self>, &mut State) -> R,
    ) -> R {
        let mut state = self.lock();
        let result = change(self, &mut state);
        if state.session.is_open() && state.waiting.is_empty() {
            return result;
        }
        let after = self.settle(&mut state);
        drop(state);
        after.run(self);
        result
    }

    /// Notes that bytes came. No lock, and a clock that the vDSO answers.
    pub(crate) fn note_received(&self) {
        let since = Instant::now().saturating_duration_since(self.opened);
        // 584 years are enough.
        let nanos = since.as_secs() * 1_000_000_000 + u64::from(since.subsec_nanos());
        self.received_at.store(nanos, Ordering::Relaxed);
    }

    pub(crate) fn received_at(&self) -> Instant {
        self.opened + Duration::from_nanos(self.received_at.load(Ordering::Relaxed))
    }

    /// Looks at what a change has led to: who is to be woken, whether this was the end, when the
    /// timekeeper is to call.
    fn settle(self: &Arc<Self>, state: &mut State) -> Aftermath {
        let mut after = Aftermath::default();
        if state.is_flushed() {
            state.waiting.wake_all(Until::Flushed, &mut after.wake);
        }
        if state.session.is_open() {
            if !state.session.is_full() {
                state.waiting.wake_first(Until::Room, &mut after.wake);
            }
            if !state.session.is_full_to_continue() {
                state.waiting.wake_first(Until::RoomToContinue, &mut after.wake);
            }
            return after;
        }
        state.waiting.wake_all(Until::Room, &mut after.wake);
        state.waiting.wake_all(Until::RoomToContinue, &mut after.wake);
        if state.session.outcome().is_some() && !std::mem::replace(&mut state.knows_outcome, true) {
            state.waiting.wake_all(Until::End, &mut after.wake);
            after.wake.extend(state.receiver.take());
        }
        match state.session.closed() {
            None => self.reschedule(state),
            Some(closed) if !state.is_ended => {
                after.closed = Some(closed.clone());
                self.end(state, &mut after);
            }
            Some(_) => {}
        }
        after
    }

    fn end(&self, state: &mut State, after: &mut Aftermath) {
        state.is_ended = true;
        after.remains = state.writer.take().map(WriteHalf::close);
        state.session.outbound().discard();
        state.waiting.wake_all(Until::Flushed, &mut after.wake);
        state.waiting.wake_all(Until::End, &mut after.wake);
        after.wake.extend(state.receiver.take());
        if let Flusher::Blocked(waker) = std::mem::replace(&mut state.flusher, Flusher::None) {
            after.wake.push(waker);
        }
        if let Some(deadline) = state.deadline.take() {
            self.timekeeper.cancel(deadline, self.info.id);
        }
    }

    /// Has the timekeeper call when the session wants it to, if that is earlier than it will.
    pub(crate) fn reschedule(self: &Arc<Self>, state: &mut State) {
        let Some(next) = state.session.poll_timeout().map(Instant::from_std) else { return };
        if state.deadline.is_none_or(|deadline| next < deadline) {
            let timed: Weak<Self> = Arc::downgrade(self);
            self.timekeeper.schedule(state.deadline, next, self.info.id, timed);
            state.deadline = Some(next);
        }
    }
}

impl State {
    /// Whether the transport is as it should be: open, with nothing left to be written.
    #[inline]
    pub(crate) fn has_nothing_to_write(&mut self) -> bool {
        let outbound = self.session.outbound();
        // A buffer is there for what was refused then, and is to be given back.
        let is_done = outbound.is_empty() && !outbound.has_buffer();
        is_done && !self.unflushed && self.session.is_open()
    }

    /// Whether everything queued has reached the transport, or never will.
    pub(crate) fn is_flushed(&mut self) -> bool {
        // What is held back behind a message made of frames is queued, though it can't be written.
        let is_written = self.session.outbound().is_empty() && !self.unflushed;
        self.writer.is_none() || (is_written && self.session.outbound().queued_len() == 0)
    }
}

impl Aftermath {
    fn run(self, shared: &Shared) {
        drop(self.remains);
        for waker in self.wake {
            waker.wake();
        }
        if let (Some(closed), Some(observer)) = (self.closed, &shared.observer) {
            observer.closed(&shared.info, &closed);
        }
    }
}

/// Who waits for something of a connection, as long as this lives.
pub(crate) struct Wait<'s> {
    pub(crate) shared: &'s Arc<Shared>,
    pub(crate) place: Place,
}

impl<'s> Wait<'s> {
    pub(crate) fn new(shared: &'s Arc<Shared>) -> Self {
        Self { shared, place: Place::default() }
    }
}

impl Drop for Wait<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.shared.leave(&mut self.place);
    }
}

impl Shared {
    /// Gives up a place among those who wait. If it was this one's turn, it is the next one's.
    #[inline]
    pub(crate) fn leave(self: &Arc<Self>, place: &mut Place) {
        if place.is_taken() {
            self.update(|_, state| state.waiting.leave(place));
        }
    }
}
