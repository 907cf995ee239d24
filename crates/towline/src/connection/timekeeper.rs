//! One timer for many connections.
//!
//! A connection has one entry, with the earliest moment at which something might be due. That it
//! isn't, because bytes have come since, is found when the moment comes: receiving costs no timer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::runtime::{self, Handle};
use tokio::sync::Notify;
use tokio::time::Instant;

/// What has deadlines.
pub(crate) trait Timed: Send + Sync {
    /// Does what is due. What is due next is scheduled anew.
    fn handle_deadline(self: Arc<Self>, now: Instant);
}

/// Calls the connections of a runtime at their deadlines. Clones are the same timekeeper; its task
/// runs while there is a deadline.
#[derive(Clone)]
pub(crate) struct Timekeeper(Arc<Inner>);

struct Inner {
    runtime: Handle,
    state: Mutex<State>,
    earlier: Notify,
}

/// A timekeeper for each runtime that has connections: one that is shared between runtimes would
/// stand still with the one that its task is on.
static TIMEKEEPERS: Mutex<Vec<(runtime::Id, Weak<Inner>)>> = Mutex::new(Vec::new());

#[derive(Default)]
struct State {
    deadlines: BTreeMap<(Instant, u64), Weak<dyn Timed>>,
    is_running: bool,
}

impl Timekeeper {
    /// The timekeeper of this runtime.
    pub(crate) fn of(runtime: &Handle) -> Self {
        let mut all = TIMEKEEPERS.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, known)| known.strong_count() > 0);
        let known = all.iter().find(|(id, _)| *id == runtime.id());
        if let Some(known) = known.and_then(|(_, known)| known.upgrade()) {
            return Self(known);
        }
        let inner =
            Inner { runtime: runtime.clone(), state: Mutex::default(), earlier: Notify::new() };
        let new = Self(Arc::new(inner));
        all.push((runtime.id(), Arc::downgrade(&new.0)));
        new
    }

    /// Where its task runs, and those of its connections do.
    pub(crate) fn runtime(&self) -> &Handle {
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
        let mut state = self.lock();
        if let Some(before) = instead_of {
            state.deadlines.remove(&(before, id));
        }
        let is_earliest =
            state.deadlines.first_key_value().is_none_or(|((first, _), _)| at < *first);
        state.deadlines.insert((at, id), timed);
        if !std::mem::replace(&mut state.is_running, true) {
            drop(state);
            self.0.runtime.spawn(run(Running { timekeeper: self.clone(), is_over: false }));
        } else if is_earliest {
            drop(state);
            self.0.earlier.notify_one();
        }
    }

    /// Forgets the call of this connection at `at`.
    pub(crate) fn cancel(&self, at: Instant, id: u64) {
        self.lock().deadlines.remove(&(at, id));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_due(&self, now: Instant) -> Vec<Arc<dyn Timed>> {
        let mut due = Vec::new();
        let mut state = self.lock();
        while let Some(entry) = state.deadlines.first_entry()
            && entry.key().0 <= now
        {
            due.extend(entry.remove().upgrade());
        }
        due
    }

    /// The next deadline. Without one, the task is over.
    fn next(&self) -> Option<Instant> {
        let mut state = self.lock();
        let next = state.deadlines.first_key_value().map(|((at, _), _)| *at);
        state.is_running = next.is_some();
        next
    }
}

async fn run(mut running: Running) {
    loop {
        let now = Instant::now();
        for timed in running.timekeeper.take_due(now) {
            timed.handle_deadline(now);
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
