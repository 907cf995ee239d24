//! One timer for all connections that were created on one thread of a runtime.
//!
//! A connection has one entry, with its earliest possible deadline. Received bytes can postpone the
//! deadline, which is checked when the entry is due: so receiving does not touch the timer.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::connection::sync::{Mutex, MutexGuard, Runtime, yield_now};

/// How many connections are handled before the task yields.
const BATCH: usize = 32;

/// An object with deadlines.
pub(crate) trait Timed: Send + Sync {
    /// Does the work that is due, and schedules the next deadline.
    fn handle_deadline(self: Arc<Self>, now: Instant);
}

/// Calls connections at their deadlines. Clones share one task, which runs while there is a
/// deadline.
#[derive(Clone)]
pub(crate) struct Timekeeper(Arc<Inner>);

struct Inner {
    runtime: Runtime,
    schedule: Mutex<Schedule>,
    earlier: Notify,
}

#[derive(Default)]
struct Schedule {
    deadlines: BTreeMap<(Instant, u64), Weak<dyn Timed>>,
    is_running: bool,
}

thread_local! {
    /// The timekeeper of the connections that are created on this thread. Threads do not share it,
    /// so that they don't contend for its lock. It belongs to one runtime, since its task stops
    /// with that.
    static LOCAL: RefCell<Weak<Inner>> = const { RefCell::new(Weak::new()) };
}

impl Timekeeper {
    /// Returns this thread's timekeeper for the current runtime.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or if the runtime's time driver is not enabled.
    pub(crate) fn here() -> Self {
        let known = LOCAL.try_with(|local| local.borrow().upgrade()).ok().flatten();
        if let Some(known) = known.filter(|known| known.runtime.is_current()) {
            return Self(known);
        }
        let runtime = Runtime::current();
        Runtime::check_time();
        let (schedule, earlier) = (Mutex::new(Schedule::default()), Notify::new());
        let new = Arc::new(Inner { runtime, schedule, earlier });
        // Fails on a thread that is ending.
        let _ = LOCAL.try_with(|local| local.replace(Arc::downgrade(&new)));
        Self(new)
    }

    /// Checks that a timekeeper can be created here.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or if the runtime's time driver is not enabled.
    pub(crate) fn check_runtime() {
        Runtime::check_time();
    }

    /// The runtime of its task and of its connections' tasks.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.0.runtime
    }

    /// Schedules a call of `timed`, which has this number, at `at`. It replaces the call at
    /// `instead_of`.
    pub(crate) fn schedule(
        &self,
        instead_of: Option<Instant>,
        at: Instant,
        id: u64,
        timed: Weak<dyn Timed>,
    ) {
        let mut schedule = self.lock();
        if let Some(before) = instead_of {
            schedule.deadlines.remove(&(before, id));
        }
        let is_earliest =
            schedule.deadlines.first_key_value().is_none_or(|((first, _), _)| at < *first);
        schedule.deadlines.insert((at, id), timed);
        if !std::mem::replace(&mut schedule.is_running, true) {
            drop(schedule);
            self.0.runtime.spawn(run(Running { timekeeper: self.clone(), is_over: false }));
        } else if is_earliest {
            drop(schedule);
            self.0.earlier.notify_one();
        }
    }

    /// Cancels the call of this connection at `at`.
    pub(crate) fn cancel(&self, at: Instant, id: u64) {
        self.lock().deadlines.remove(&(at, id));
    }

    fn lock(&self) -> MutexGuard<'_, Schedule> {
        self.0.schedule.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Removes and returns the entries that are due, at most [`BATCH`] of them.
    fn take_due(&self, now: Instant) -> Vec<Arc<dyn Timed>> {
        let mut due = Vec::new();
        let mut schedule = self.lock();
        while due.len() < BATCH
            && let Some(entry) = schedule.deadlines.first_entry()
            && entry.key().0 <= now
        {
            due.extend(entry.remove().upgrade());
        }
        due
    }

    /// Returns the next deadline. If there is none, the task ends.
    fn next(&self) -> Option<Instant> {
        let mut schedule = self.lock();
        let next = schedule.deadlines.first_key_value().map(|((at, _), _)| *at);
        schedule.is_running = next.is_some();
        next
    }
}

async fn run(mut running: Running) {
    loop {
        let now = Instant::now();
        let due = running.timekeeper.take_due(now);
        let there_may_be_more = due.len() == BATCH;
        for timed in due {
            // A panic of one connection's stream or observer must not affect other connections.
            let _ = catch_unwind(AssertUnwindSafe(|| timed.handle_deadline(now)));
        }
        if there_may_be_more {
            yield_now().await;
            continue;
        }
        let Some(next) = running.timekeeper.next() else {
            // Another task can have been started since.
            running.is_over = true;
            return;
        };
        // Wait for the deadline, or for a notification of an earlier one.
        let _ = tokio::time::timeout_at(next, running.timekeeper.0.earlier.notified()).await;
    }
}

/// Clears `is_running` if the task is dropped with its runtime, before or after its first poll.
struct Running {
    timekeeper: Timekeeper,
    is_over: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_over {
            self.timekeeper.lock().is_running = false;
        }
    }
}

/// The current time, for work that is done at once. It is read when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct Moment(Option<Instant>);

impl Moment {
    #[inline]
    pub(crate) fn now(&mut self) -> Instant {
        *self.0.get_or_insert_with(Instant::now)
    }
}
