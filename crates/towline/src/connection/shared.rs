//! What the halves of a connection, its tasks and its timer share: the lock, and little else.
//!
//! The lock is held for the encoding of a frame or a write that does not block, and practically
//! never contended. While it is held, no code of the program's is run but the transport's. Nobody is woken
//! and no task is made but by the timekeeper, which has a lock of its own, and by tokio's budget.

use std::future::poll_fn;
use std::io;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::time::Instant;
use towline_proto::{Closed, Outgoing, Session};

use crate::connection::info::Info;
use crate::connection::sync::{
    AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering, ThreadId,
    this_thread, yield_now,
};
use crate::connection::timekeeper::Timekeeper;
use crate::connection::waiting::{Place, Until, Waiting};
use crate::connection::writer::{Receiving, Writer, Wrote};
use crate::transport::{Remains, WriteHalf};

pub(crate) struct Shared {
    pub(crate) info: Arc<Info>,
    /// Knows where tasks of this connection run, too, whoever starts them.
    pub(crate) timekeeper: Timekeeper,
    observer: Option<Arc<dyn Observer>>,
    pub(crate) heard: Heard,
    /// How many [`Sender`](crate::Sender)s there are, and how many have ever made frames by hand.
    pub(crate) senders: AtomicUsize,
    pub(crate) frame_makers: AtomicU64,
    core: Mutex<Core>,
}

/// Who wants to know of a connection's end.
pub(crate) trait Observer: Send + Sync {
    fn closed(&self, info: &Arc<Info>, closed: &Closed);
}

/// What the receiver says without taking the lock. Nobody else writes it.
#[derive(Default)]
pub(crate) struct Heard {
    /// How many reads have brought something.
    reads: AtomicU32,
    /// Where it is: a [`Receiving`].
    position: AtomicU8,
}

pub(crate) struct Core {
    pub(crate) session: Session,
    pub(crate) writer: Writer,
    pub(crate) waiting: Waiting,
    pub(crate) receiver: ReceiverState,
    /// Which sender has begun a message made of frames and not finished it.
    pub(crate) unfinished_by: Option<NonZeroU64>,
    /// A broadcast that found no room, to be sent as soon as there is some.
    pub(crate) newest: Option<Box<Outgoing<'static>>>,
    /// When the timekeeper will call.
    pub(crate) deadline: Option<Instant>,
    is_ended: bool,
    knows_outcome: bool,
}

/// The receiver, as far as others need to know.
#[derive(Default)]
pub(crate) struct ReceiverState {
    pub(crate) is_gone: bool,
    /// Whether it was dropped by a panic.
    pub(crate) has_panicked: bool,
    /// It, while it waits.
    pub(crate) waker: Option<Waker>,
    /// How many of its reads the session has been told of.
    reads_known: u32,
    /// How many there were when the timekeeper looked last.
    reads_then: u32,
    /// Whether it waits in the middle of a frame.
    pub(crate) is_mid_frame: bool,
    /// Whether it is about to have written what the session has answered.
    #[cfg(shuttle)]
    pub(crate) is_answering: bool,
    /// What lies unread, where some of it was seen to.
    pub(crate) unread: Option<Box<Unread>>,
}

/// Bytes that lie unread.
pub(crate) struct Unread {
    /// How many reads there had been: until there is another, these are the same ones.
    pub(crate) behind: u32,
    /// Where the ping among them begins that was answered.
    pub(crate) answered: Option<usize>,
    /// What reading has failed with, where it says more than its kind: TLS knows why. It is here
    /// since nothing is rarer, and nothing lies unread any more.
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

/// What is to be done once the state is unlocked.
#[must_use]
#[derive(Default)]
struct Aftermath {
    wake: Vec<Waker>,
    spawns_flusher: bool,
    closed: Option<Closed>,
    /// What is left of the transport. To drop it may run code of the program's.
    remains: Option<Remains>,
}

/// Where those stand who wait for room.
const LINES: [Until; 2] = [Until::RoomAhead, Until::Room];

impl Shared {
    pub(crate) fn new(
        info: Arc<Info>,
        session: Session,
        half: WriteHalf,
        observer: Option<Arc<dyn Observer>>,
    ) -> Arc<Self> {
        let shared = Arc::new(Self {
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
                newest: None,
                deadline: None,
                is_ended: false,
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

    /// The program's stream has panicked.
    #[cold]
    fn recover(mut core: MutexGuard<'_, Core>) -> MutexGuard<'_, Core> {
        let Core { session, writer, .. } = &mut *core;
        writer.give_up(session);
        core
    }

    /// Changes the state, and sees to what follows from it.
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

    /// Looks at what a change has led to: who is to be woken, whether this was the end, when the
    /// timekeeper is to call.
    fn settle(self: &Arc<Self>, core: &mut Core) -> Aftermath {
        let mut after = Aftermath::default();
        core.serve(&mut after.wake);
        if !core.session.is_open() {
            self.settle_closing(core, &mut after);
        }
        self.reschedule(core);
        after.spawns_flusher = core.writer.take_spawn();
        after
    }

    fn settle_closing(self: &Arc<Self>, core: &mut Core, after: &mut Aftermath) {
        core.newest = None;
        if core.session.outcome().is_some() && !std::mem::replace(&mut core.knows_outcome, true) {
            core.waiting.wake_all(Until::End, &mut after.wake);
            after.wake.extend(core.receiver.waker.take());
        }
        if let Some(closed) = core.session.closed()
            && !core.is_ended
        {
            after.closed = Some(closed.clone());
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

    /// Has the timekeeper call when the session wants it to, if that is earlier than it will.
    pub(crate) fn reschedule(self: &Arc<Self>, core: &mut Core) {
        if let Some(next) = core.session.poll_timeout().map(Instant::from_std) {
            self.call_at(core, next);
        }
    }

    /// Has the timekeeper call at this time, if that is earlier than it will.
    pub(crate) fn call_at(self: &Arc<Self>, core: &mut Core, next: Instant) {
        if core.deadline.is_none_or(|deadline| next < deadline) {
            let timed: Weak<Self> = Arc::downgrade(self);
            self.timekeeper.schedule(core.deadline, next, self.info.id, timed);
            core.deadline = Some(next);
        }
    }

    fn spawn_flusher(self: &Arc<Self>) {
        let flusher = Flusher(self.clone());
        self.timekeeper.runtime().spawn(flusher.run(this_thread()));
    }

    /// How much is queued just now.
    fn queued(&self) -> usize {
        self.lock().session.outbound().queued_len()
    }
}

/// Whether the flusher has more to do, when others have had their turn.
#[derive(PartialEq, Eq)]
enum Flow {
    GoesOn,
    Ends,
}

/// So many times the flusher lets a task on another thread go on with queueing.
const HOLD_BACK: usize = 8;

/// The task of the flusher, see `writer.rs`.
struct Flusher(Arc<Shared>);

impl Flusher {
    /// Where it runs on another thread than the task that queued something, that task may not have
    /// yielded yet: as long as it goes on queueing, the flusher lets it.
    async fn run(self, scheduled_on: ThreadId) {
        let shared = &self.0;
        if this_thread() != scheduled_on {
            let mut queued = shared.queued();
            for _ in 0..HOLD_BACK {
                yield_now().await;
                if std::mem::replace(&mut queued, shared.queued()) == queued {
                    break;
                }
            }
        }
        // It yields rather than wake itself, so that the runtime looks at sockets and timers too.
        while poll_fn(|cx| shared.update(|core| core.poll_flusher(cx))).await == Flow::GoesOn {
            yield_now().await;
        }
    }
}

/// A change that was broken off by a panic, in the program's stream: that is the end, and who waits
/// hears of it from here.
struct Unwound<'s>(&'s Arc<Shared>);

impl Drop for Unwound<'_> {
    #[cold]
    fn drop(&mut self) {
        // To panic once more would be the end of the process.
        let _ = catch_unwind(AssertUnwindSafe(|| self.0.update(|_| ())));
    }
}

#[cfg(shuttle)]
impl Core {
    /// Asserts that the invariant of the writer's held while the lock was free.
    fn checked(mut guard: MutexGuard<'_, Self>) -> MutexGuard<'_, Self> {
        let Core { session, writer, receiver, .. } = &mut *guard;
        let is_seen_to = session.outbound().is_empty() || !writer.is_idle();
        assert!(is_seen_to || receiver.is_answering, "something is queued, and nobody writes it");
        guard
    }
}

impl Core {
    /// Whether nothing follows from a change but what everybody sees for themselves.
    #[inline]
    fn is_settled(&self) -> bool {
        let nobody_waits = self.waiting.is_calm() && self.newest.is_none();
        self.session.is_open() && nobody_waits && self.writer.is_settled()
    }

    /// Whether there is no room for who waits in this line.
    #[inline]
    pub(crate) fn is_full(&self, until: Until) -> bool {
        self.session.is_open()
            && match until {
                Until::RoomAhead => self.session.is_full_to_continue(),
                _ => self.session.is_full(),
            }
    }

    /// Gives what there is to those who wait for it. Of those who wait for room, the next one is
    /// woken when the one before it has come; the flusher sees to it that one who does not come
    /// holds nobody up.
    fn serve(&mut self, wake: &mut Vec<Waker>) {
        self.send_newest();
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
        if !session.is_open() {
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
    }

    /// A broadcast that found no room is sent now, if there is some.
    pub(crate) fn send_newest(&mut self) {
        if self.newest.is_some()
            && !self.is_full(Until::Room)
            && let Some(mut newest) = self.newest.take()
            && self.session.is_open()
        {
            self.writer.prepare(&mut self.session);
            let _ = self.session.send_from(&mut newest);
            self.writer.see_to(&mut self.session);
        }
    }

    /// Writes, and sees to it that room is given to all who wait for it: who was woken before this
    /// had its chance, so that the next one is woken after it.
    fn poll_flusher(&mut self, cx: &mut Context<'_>) -> Poll<Flow> {
        let wrote = self.writer.run(&mut self.session, cx);
        let mut is_serving = false;
        for line in LINES {
            if !self.is_full(line) {
                is_serving |= self.waiting.is_waiting(line);
                self.waiting.pass(line);
            }
        }
        if is_serving {
            return Poll::Ready(Flow::GoesOn);
        }
        if ready!(wrote) == Wrote::Enough {
            return Poll::Ready(Flow::GoesOn);
        }
        self.writer.rest();
        Poll::Ready(Flow::Ends)
    }

    /// The receiver has nothing more to hand out, and is about to wait with this waker. Since its
    /// last turn, bytes came last at `heard_at`, if any did.
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

    /// Bytes may have come in a turn of the receiver's that has not ended: when, only it knows, but
    /// after the last look, which was so long ago at the most. Returns whether any have come since
    /// then.
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

impl Heard {
    /// Notes that a read has brought something.
    pub(crate) fn note(&self) {
        self.reads.store(self.reads().wrapping_add(1), Ordering::Relaxed);
    }

    /// How many reads have brought something.
    #[inline]
    pub(crate) fn reads(&self) -> u32 {
        self.reads.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn position(&self) -> Receiving {
        match self.position.load(Ordering::Relaxed) {
            0 => Receiving::Waits,
            1 => Receiving::HandedOut,
            2 => Receiving::HasMore,
            _ => Receiving::HasWhole,
        }
    }

    #[inline]
    pub(crate) fn set_position(&self, position: Receiving) {
        if self.position.load(Ordering::Relaxed) != position as u8 {
            self.position.store(position as u8, Ordering::Relaxed);
        }
    }
}

impl Aftermath {
    fn run(self, shared: &Arc<Shared>) {
        if self.spawns_flusher {
            shared.spawn_flusher();
        }
        // The program's stream may panic as it goes. Others are to hear of the end all the same.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(self.remains)));
        for waker in self.wake {
            waker.wake();
        }
        if let (Some(closed), Some(observer)) = (self.closed, &shared.observer) {
            observer.closed(&shared.info, &closed);
        }
        if let Err(panic) = dropped {
            resume_unwind(panic);
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
            self.update(|core| core.waiting.leave(place));
        }
    }
}
