//! The data that the halves of a connection, its tasks and its timer share, behind a lock.
//!
//! The lock is held while a frame is encoded or written without blocking, and is hardly ever
//! contended. While it is held, no code of the program runs except the transport's. No waker is
//! called and no task is spawned under it, except by the timekeeper, which has its own lock, and by
//! tokio's budget.

mod flusher;

use std::io;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;
use towline_proto::{Closed, Counts, Session, Stats};

use crate::connection::groups::Groups;
use crate::connection::heard::Heard;
use crate::connection::info::Info;
use crate::connection::observer::Observer;
use crate::connection::spans::ConnectionSpan;
use crate::connection::sync::{AtomicU64, AtomicUsize, Mutex, MutexGuard};
use crate::connection::throttle::TooFast;
use crate::connection::timekeeper::Timekeeper;
use crate::connection::waiting::{Place, Until, Waiting};
use crate::connection::writer::Writer;
use crate::transport::{Remains, WriteHalf};

pub(crate) struct Shared {
    pub(crate) info: Arc<Info>,
    /// Also holds the runtime that this connection's tasks run on.
    pub(crate) timekeeper: Timekeeper,
    observer: Option<Arc<dyn Observer>>,
    /// What a subscriber sees of this connection.
    span: ConnectionSpan,
    pub(crate) heard: Heard,
    /// The number of [`Sender`](crate::Sender)s, and of those that have ever sent frames by hand.
    pub(crate) senders: AtomicUsize,
    pub(crate) frame_makers: AtomicU64,
    core: Mutex<Core>,
}

pub(crate) struct Core {
    pub(crate) session: Session,
    pub(crate) writer: Writer,
    pub(crate) waiting: Waiting,
    pub(crate) receiver: ReceiverState,
    /// The sender that has begun a message made of frames and not finished it.
    pub(crate) unfinished_by: Option<NonZeroU64>,
    /// The topics that this connection is a member of, and messages for many that wait for room, if
    /// there are any.
    pub(crate) groups: Option<Box<Groups>>,
    /// When the timekeeper calls next.
    pub(crate) deadline: Option<Instant>,
    is_ended: bool,
    /// Whether the observer has to be told how much memory this holds.
    is_accounted: bool,
    /// Whether the program dropped all handles before anything else ended the connection.
    pub(crate) is_abandoned: bool,
    knows_outcome: bool,
}

/// The part of the receiver that senders and the timekeeper need.
#[derive(Default)]
pub(crate) struct ReceiverState {
    pub(crate) is_gone: bool,
    /// Whether it was dropped by a panic.
    pub(crate) has_panicked: bool,
    /// The receiver's waker, while it waits.
    pub(crate) waker: Option<Waker>,
    /// The number of reads that the session knows of.
    reads_known: u32,
    /// The number of reads at the timekeeper's last check.
    reads_then: u32,
    /// Whether it waits because the peer has sent too fast.
    pub(crate) is_paused: bool,
    /// The memory that is held for what was received: that of an incomplete message, and the buffer
    /// while the program is busy or the peer is too fast.
    pub(crate) held: u32,
    /// Whether it waits in the middle of a frame.
    pub(crate) is_mid_frame: bool,
    /// Whether the receiver still has to write answers of the session.
    #[cfg(shuttle)]
    pub(crate) is_answering: bool,
    /// The unread bytes, if the timekeeper has found some.
    pub(crate) unread: Option<Box<Unread>>,
}

/// Bytes that lie unread.
pub(crate) struct Unread {
    /// The number of reads before. Until the next read, the unread bytes begin with the same ones.
    pub(crate) behind: u32,
    /// The offset of the ping among them that was answered.
    pub(crate) answered: Option<usize>,
    /// The error of a failed read, if it says more than its kind, as that of TLS. It is stored here
    /// to keep connections small: after a failed read, there are no unread bytes.
    pub(crate) failure: Option<Arc<io::Error>>,
}

impl ReceiverState {
    pub(crate) fn failure(&self) -> Option<&Arc<io::Error>> {
        self.unread.as_ref()?.failure.as_ref()
    }

    pub(crate) fn set_failure(&mut self, error: io::Error) {
        let failure = Some(Arc::new(error));
        self.unread = Some(Box::new(Unread { behind: 0, answered: None, failure }));
    }
}

/// Work to do after the lock is released.
#[must_use]
#[derive(Default)]
struct Aftermath {
    wake: Vec<Waker>,
    spawns_flusher: bool,
    ended: Option<Box<(Closed, Stats)>>,
    /// Whether all connections together hold too much memory.
    is_too_much: bool,
    /// The rest of the transport. Dropping it can run the program's code.
    remains: Option<Remains>,
    /// Dropping them leaves the topics, which have locks of their own.
    groups: Option<Box<Groups>>,
}

/// A connection whose runtime was shut down does not end, but is gone.
impl Drop for Shared {
    fn drop(&mut self) {
        let core = self.core.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !core.is_ended
            && let Some(observer) = &self.observer
        {
            let stats = core.session.stats(Instant::now().into_std());
            observer.gone(&self.info, &stats);
        }
    }
}

/// The queues of those that wait for room.
const LINES: [Until; 2] = [Until::RoomAhead, Until::Room];

impl Shared {
    pub(crate) fn new(
        info: Arc<Info>,
        session: Session,
        half: WriteHalf,
        observer: Option<Arc<dyn Observer>>,
    ) -> Arc<Self> {
        let is_accounted = observer.as_ref().is_some_and(|observer| observer.is_accounting());
        let shared = Arc::new(Self {
            span: ConnectionSpan::new(&info),
            info,
            timekeeper: Timekeeper::here(),
            observer,
            heard: Heard::default(),
            senders: AtomicUsize::new(0),
            frame_makers: AtomicU64::new(0),
            core: Mutex::new(Core {
                session,
                writer: Writer::new(half),
                waiting: Waiting::default(),
                receiver: ReceiverState::default(),
                unfinished_by: None,
                groups: None,
                deadline: None,
                is_ended: false,
                is_accounted,
                is_abandoned: false,
                knows_outcome: false,
            }),
        });
        shared.reschedule(&mut shared.lock());
        shared
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        let core = match self.core.lock() {
            Ok(core) => core,
            Err(poisoned) => Self::recover(poisoned.into_inner()),
        };
        #[cfg(shuttle)]
        let core = Core::checked(core);
        core
    }

    /// The lock is poisoned: the program's stream has panicked.
    #[cold]
    fn recover(mut core: MutexGuard<'_, Core>) -> MutexGuard<'_, Core> {
        let Core { session, writer, .. } = &mut *core;
        writer.give_up(session);
        core
    }

    /// Applies a change, and does the work that results from it.
    #[inline]
    pub(crate) fn update<R>(self: &Arc<Self>, change: impl FnOnce(&mut Core) -> R) -> R {
        let unless_panicked = Unwound(self);
        let mut core = self.lock();
        let result = change(&mut core);
        std::mem::forget(unless_panicked);
        if core.is_settled() {
            return result;
        }
        let after = self.settle(&mut core);
        drop(core);
        after.run(self);
        result
    }

    /// Determines the results of a change: whom to wake, whether the connection has ended, and the
    /// next deadline.
    fn settle(self: &Arc<Self>, core: &mut Core) -> Aftermath {
        let mut after = Aftermath::default();
        core.serve(&mut after.wake);
        if !core.session.is_open() {
            self.settle_closing(core, &mut after);
        }
        if core.is_accounted
            && let Some(observer) = &self.observer
        {
            after.is_too_much = observer.hold(core.held());
        }
        self.reschedule(core);
        after.spawns_flusher = core.writer.take_spawn();
        after
    }

    fn settle_closing(self: &Arc<Self>, core: &mut Core, after: &mut Aftermath) {
        after.groups = core.groups.take();
        if std::mem::take(&mut core.receiver.is_paused) {
            after.wake.extend(core.receiver.waker.take());
        }
        if core.session.outcome().is_some() && !std::mem::replace(&mut core.knows_outcome, true) {
            core.waiting.wake_all(Until::End, &mut after.wake);
            after.wake.extend(core.receiver.waker.take());
        }
        if let Some(closed) = core.session.closed()
            && !core.is_ended
        {
            let stats = core.session.stats(Instant::now().into_std());
            after.ended = Some(Box::new((closed.clone(), stats)));
            self.end(core, after);
        }
    }

    fn end(&self, core: &mut Core, after: &mut Aftermath) {
        core.is_ended = true;
        let (remains, flusher) = core.writer.end();
        after.remains = remains;
        core.session.outbound().discard();
        core.waiting.wake_everybody(&mut after.wake);
        after.wake.extend(core.receiver.waker.take());
        after.wake.extend(flusher);
        if let Some(deadline) = core.deadline.take() {
            self.timekeeper.cancel(deadline, self.info.id);
        }
    }

    /// Schedules the session's next deadline, if it is earlier than the scheduled one.
    pub(crate) fn reschedule(self: &Arc<Self>, core: &mut Core) {
        if let Some(next) = core.session.poll_timeout().map(Instant::from_std) {
            self.call_at(core, next);
        }
    }

    /// Schedules a call of the timekeeper, if it is earlier than the scheduled one.
    pub(crate) fn call_at(self: &Arc<Self>, core: &mut Core, next: Instant) {
        if core.deadline.is_none_or(|deadline| next < deadline) {
            let timed: Weak<Self> = Arc::downgrade(self);
            self.timekeeper.schedule(core.deadline, next, self.info.id, timed);
            core.deadline = Some(next);
        }
    }

    /// Adds what the receiver has counted, with another change.
    pub(crate) fn update_with_counts<R>(
        self: &Arc<Self>,
        counts: Counts,
        change: impl FnOnce(&mut Core) -> R,
    ) -> R {
        self.update(|core| {
            core.session.handle_counts(counts);
            // The end was reported without them, for example after an abort. Under the lock, so that
            // they are in the live counts or in the sums of a server at any time.
            if core.is_ended
                && let Some(observer) = &self.observer
            {
                observer.counted_late(&self.info, &counts.into());
            }
            change(core)
        })
    }

    /// The receiver stops reading for a while.
    pub(crate) fn slowed_down(&self, by: TooFast) {
        if let Some(observer) = &self.observer {
            observer.slowed_down(by);
        }
    }

    /// Whether the memory that is held for this connection counts.
    pub(crate) fn is_accounted(&self) -> bool {
        self.observer.as_ref().is_some_and(|observer| observer.is_accounting())
    }

    /// The memory that is held for this connection, in bytes.
    pub(crate) fn held(&self) -> usize {
        self.lock().held()
    }
}

/// Runs if a panic of the program's stream interrupts a change. The connection has ended then, and
/// dropping this wakes all waiters.
struct Unwound<'s>(&'s Arc<Shared>);

impl Drop for Unwound<'_> {
    #[cold]
    fn drop(&mut self) {
        // A second panic would abort the process.
        let _ = catch_unwind(AssertUnwindSafe(|| self.0.update(|_| ())));
    }
}

#[cfg(shuttle)]
impl Core {
    /// Asserts that the writer's invariant held while the lock was free.
    fn checked(mut guard: MutexGuard<'_, Self>) -> MutexGuard<'_, Self> {
        let Core { session, writer, receiver, .. } = &mut *guard;
        let is_seen_to = session.outbound().is_empty() || !writer.is_idle();
        assert!(is_seen_to || receiver.is_answering, "something is queued, and nobody writes it");
        guard
    }
}

impl Core {
    /// Whether a change needs no further work.
    #[inline]
    fn is_settled(&self) -> bool {
        let nobody_waits = self.waiting.is_calm();
        let is_calm = nobody_waits && self.groups.as_ref().is_none_or(|groups| groups.is_calm());
        self.session.is_open() && is_calm && self.writer.is_settled() && !self.is_accounted
    }

    /// The error of the transport, if it says more than its kind. That of reading is more precise:
    /// a failed write is often only its effect.
    pub(crate) fn failure(&self) -> Option<&Arc<io::Error>> {
        self.receiver.failure().or(self.writer.failure())
    }

    /// The memory that is held for this connection: what is queued, and what the receiver holds.
    fn held(&mut self) -> usize {
        if self.is_ended {
            return 0;
        }
        let kept = self.groups.as_ref().map_or(0, |groups| groups.held());
        let queued = self.session.outbound().queued_cost();
        queued + kept + usize::try_from(self.receiver.held).unwrap_or(usize::MAX)
    }

    /// Leaves a queue of waiters, and counts the wait if it was for room.
    pub(crate) fn leave(&mut self, place: &mut Place) {
        if let Some(since) = self.waiting.leave(place) {
            self.session.handle_waited(since.elapsed());
        }
    }

    /// Whether there is no room for the waiters in this queue.
    #[inline]
    pub(crate) fn is_full(&self, until: Until) -> bool {
        self.session.is_open()
            && match until {
                Until::RoomAhead => self.session.is_full_to_continue(),
                _ => self.session.is_full(),
            }
    }

    /// Wakes waiters whose condition holds. Of those that wait for room, one is woken after the
    /// other has used its turn. If one does not, the flusher passes it over.
    fn serve(&mut self, wake: &mut Vec<Waker>) {
        self.send_newest();
        self.send_kept();
        let Self { session, writer, waiting, unfinished_by, .. } = self;
        if waiting.is_empty() {
            return;
        }
        let is_over = writer.is_over();
        if waiting.wake_flushed(wake, |mark| is_over || session.outbound().has_reached(mark)) {
            writer.want_flush();
            if writer.take_flush_due() {
                writer.schedule();
                wake.extend(writer.blocked().cloned());
            }
        }
        let is_open = session.is_open();
        waiting.wake_answered(wake, |number| !is_open || session.is_round_trip_over(number));
        if !is_open {
            return LINES.iter().chain(&[Until::Finished]).for_each(|line| {
                waiting.wake_all(*line, wake);
            });
        }
        if unfinished_by.is_none() {
            waiting.wake_all(Until::Finished, wake);
        }
        for line in LINES {
            if self.is_full(line) || !self.waiting.is_waiting(line) {
                continue;
            }
            if !self.waiting.is_expected(line) {
                self.waiting.wake_next(line, wake);
            }
            if self.waiting.is_waiting(line) {
                self.writer.schedule();
                wake.extend(self.writer.blocked().cloned());
            }
        }
        if self.groups.as_ref().is_some_and(|groups| groups.keeps()) {
            // Kept messages have given way to a sender, which may not come for its room.
            self.see_to_kept();
        }
    }

    /// The receiver has no more items, and is going to wait with this waker. `heard_at` is when
    /// bytes last arrived since its last turn, if any did.
    pub(crate) fn end_turn(&mut self, heard: &Heard, heard_at: Option<Instant>, waker: &Waker) {
        if let Some(at) = heard_at {
            self.session.handle_received(at.into_std());
        }
        self.writer.turn_ended(&mut self.session);
        #[cfg(shuttle)]
        (self.receiver.is_answering = false);
        self.receiver.reads_known = heard.reads();
        match &mut self.receiver.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Notes bytes that were read in a turn of the receiver that has not ended. Their exact time is
    /// not known here, but is after the last check, which was at most `ago` before. Returns whether
    /// any were read since then.
    pub(crate) fn hear(&mut self, heard: &Heard, now: Instant, ago: Duration) -> bool {
        let reads = heard.reads();
        if self.receiver.reads_known != reads {
            self.receiver.reads_known = reads;
            let from = now.checked_sub(ago).unwrap_or(now);
            self.session.handle_received_between(from.into_std(), now.into_std());
        }
        std::mem::replace(&mut self.receiver.reads_then, reads) != reads
    }
}

impl Aftermath {
    fn run(self, shared: &Arc<Shared>) {
        if self.spawns_flusher {
            shared.spawn_flusher();
        }
        // The program's stream can panic when it is dropped. Waiters still have to be woken.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(self.remains)));
        for waker in self.wake {
            waker.wake();
        }
        drop(self.groups);
        if let Some((closed, stats)) = self.ended.as_deref() {
            if let Some(observer) = &shared.observer {
                observer.closed(&shared.info, closed, stats);
            }
            // Last, because a subscriber is the program's code, and may panic.
            shared.span.end(&shared.info, closed, stats);
        }
        if self.is_too_much
            && let Some(observer) = &shared.observer
        {
            observer.relieve(shared.timekeeper.runtime());
        }
        if let Err(panic) = dropped {
            resume_unwind(panic);
        }
    }
}

/// A waiter of a connection. Dropping it leaves the queue.
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
    /// Leaves a queue of waiters. If it was this waiter's turn, the next one gets it.
    #[inline]
    pub(crate) fn leave(self: &Arc<Self>, place: &mut Place) {
        if place.is_taken() {
            self.update(|core| core.leave(place));
        }
    }
}
