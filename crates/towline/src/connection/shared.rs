//! What the halves of a connection, its tasks and its timer share.
//!
//! One lock, held for the encoding of a frame or a write that does not block, and practically
//! never contended. Nobody is woken while it is held.

use std::mem::take;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;
use towline_proto::{Closed, Session};

use crate::connection::info::Info;
use crate::connection::timekeeper::Timekeeper;
use crate::transport::WriteHalf;

pub(crate) struct Shared {
    pub(crate) info: Arc<Info>,
    /// Where tasks of this connection run, whoever starts them.
    pub(crate) runtime: Handle,
    pub(crate) timekeeper: Timekeeper,
    observer: Option<Arc<dyn Observer>>,
    opened: Instant,
    /// When the last bytes came, in nanoseconds after `opened`.
    received_at: AtomicU64,
    /// Whether the receiver holds bytes that the program has not received as messages yet.
    pub(crate) has_input: AtomicBool,
    /// How many [`Sender`](crate::Sender)s there are.
    pub(crate) senders: AtomicUsize,
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
    /// Senders that wait for room.
    pub(crate) senders: Vec<Waker>,
    /// Who waits for room to go on with a message made of frames, behind which others wait.
    pub(crate) continuing: Vec<Waker>,
    /// Who waits until everything is written.
    pub(crate) flushing: Vec<Waker>,
    /// Who waits for the end.
    pub(crate) watchers: Vec<Waker>,
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
pub(crate) struct Aftermath {
    wake: Vec<Waker>,
    closed: Option<Closed>,
}

impl Shared {
    pub(crate) fn new(
        info: Arc<Info>,
        session: Session,
        writer: WriteHalf,
        observer: Option<Arc<dyn Observer>>,
        opened: Instant,
    ) -> Arc<Self> {
        let runtime = Handle::current();
        let shared = Arc::new(Self {
            info,
            timekeeper: Timekeeper::of(&runtime),
            runtime,
            observer,
            opened,
            received_at: AtomicU64::new(0),
            has_input: AtomicBool::new(false),
            senders: AtomicUsize::new(0),
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
                senders: Vec::new(),
                continuing: Vec::new(),
                flushing: Vec::new(),
                watchers: Vec::new(),
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

    /// Notes that bytes came. No lock, and a clock that the vDSO answers.
    pub(crate) fn note_received(&self) {
        let since = Instant::now().saturating_duration_since(self.opened);
        let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        self.received_at.store(nanos, Ordering::Relaxed);
    }

    pub(crate) fn received_at(&self) -> Instant {
        self.opened + Duration::from_nanos(self.received_at.load(Ordering::Relaxed))
    }

    /// Looks at what a change has led to: who is to be woken, whether this was the end, when the
    /// timekeeper is to call.
    #[inline]
    pub(crate) fn settle(self: &Arc<Self>, state: &mut State) -> Aftermath {
        let nobody_waits =
            state.senders.is_empty() && state.continuing.is_empty() && state.flushing.is_empty();
        if state.session.is_open() && nobody_waits {
            return Aftermath::default();
        }
        self.settle_change(state)
    }

    fn settle_change(self: &Arc<Self>, state: &mut State) -> Aftermath {
        let mut after = Aftermath::default();
        if !state.session.is_full() || !state.session.is_open() {
            after.wake.append(&mut take(&mut state.senders));
        }
        if !state.session.is_full_to_continue() || !state.session.is_open() {
            after.wake.append(&mut take(&mut state.continuing));
        }
        if state.is_flushed() {
            after.wake.append(&mut take(&mut state.flushing));
        }
        if state.session.is_open() {
            return after;
        }
        if state.session.outcome().is_some() && !std::mem::replace(&mut state.knows_outcome, true) {
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
        if let Some(writer) = state.writer.take() {
            writer.close();
        }
        state.session.outbound().discard();
        after.wake.append(&mut take(&mut state.flushing));
        after.wake.append(&mut take(&mut state.watchers));
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
    /// Whether everything queued has reached the transport, or never will.
    pub(crate) fn is_flushed(&mut self) -> bool {
        self.writer.is_none() || (self.session.outbound().is_empty() && !self.unflushed)
    }
}

impl Aftermath {
    pub(crate) fn run(self, shared: &Shared) {
        for waker in self.wake {
            waker.wake();
        }
        if let (Some(closed), Some(observer)) = (self.closed, &shared.observer) {
            observer.closed(&shared.info, &closed);
        }
    }
}

/// Remembers who waits, once.
pub(crate) fn register(waiting: &mut Vec<Waker>, waker: &Waker) {
    if !waiting.iter().any(|known| known.will_wake(waker)) {
        waiting.push(waker.clone());
    }
}
