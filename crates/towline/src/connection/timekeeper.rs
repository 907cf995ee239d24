//! One timer for many connections: for those that were made on one thread of a runtime.
//!
//! A connection has one entry, with the earliest moment at which something might be due. That it
//! isn't, because bytes have come since, is found when the moment comes: receiving costs no timer.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::connection::sync::{Mutex, MutexGuard, Runtime, yield_now};

/// So many connections are looked after before other tasks have their turn.
const BATCH: usize = 32;

/// What has deadlines.
pub(crate) trait Timed: Send + Sync {
    /// Does what is due. What is due next is scheduled anew.
    fn handle_deadline(self: Arc<Self>, now: Instant);
}

/// Calls connections at their deadlines. Clones are the same timekeeper; its task runs while there
/// is a deadline.
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
    /// The timekeeper of the connections that are made on this thread. It is no other thread's, so
    /// that threads don't wait for each other, and one runtime's only: its task would stand still
    /// with any other.
    static LOCAL: RefCell<Weak<Inner>> = const { RefCell::new(Weak::new()) };
}

impl Timekeeper {
    /// The timekeeper of this thread, for the runtime that this is called in.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without time.
    pub(crate) fn here() -> Self {
        let known = LOCAL.try_with(|local| local.borrow().upgrade()).ok().flatten();
        if let Some(known) = known.filter(|known| known.runtime.is_current()) {
            return Self(known);
        }
        let runtime = Runtime::current();
        Runtime::check_time();
        let (schedule, earlier) = (Mutex::new(Schedule::default()), Notify::new());
        let new = Arc::new(Inner { runtime, schedule, earlier });
        // A thread that is ending has nowhere to keep it.
        let _ = LOCAL.try_with(|local| local.replace(Arc::downgrade(&new)));
        Self(new)
    }

    /// Whether there can be one here.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without time.
    pub(crate) fn check_runtime() {
        Runtime::check_time();
    }

    /// Where its task runs, and those of its connections do.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.0.runtime
    }

    /// Calls `timed`, which goes by this number, at `at`, and not at `instead_of`.
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

    /// Forgets the call of this connection at `at`.
    pub(crate) fn cancel(&self, at: Instant, id: u64) {
        self.lock().deadlines.remove(&(at, id));
    }

    fn lock(&self) -> MutexGuard<'_, Schedule> {
        self.0.schedule.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Those whose time has come, or as many of them as are looked after in one go.
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

    /// The next deadline. Without one, the task is over.
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
            // What one connection's stream or observer does wrong is no matter to the others.
            let _ = catch_unwind(AssertUnwindSafe(|| timed.handle_deadline(now)));
        }
        if there_may_be_more {
            yield_now().await;
            continue;
        }
        let Some(next) = running.timekeeper.next() else {
            // From here on another task may be the running one.
            running.is_over = true;
            return;
        };
        // Whichever comes first: the deadline, or word of an earlier one.
        let _ = tokio::time::timeout_at(next, running.timekeeper.0.earlier.notified()).await;
    }
}

/// A task that is thrown away with its runtime, before or after it began, must not be taken for a
/// running one.
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
