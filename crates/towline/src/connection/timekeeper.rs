//! One timer for many connections.
//!
//! A connection has one entry, with the earliest moment at which something might be due. That it
//! isn't, because bytes have come since, is found when the moment comes: receiving costs no timer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What has deadlines.
pub(crate) trait Timed: Send + Sync {
    /// Does what is due. What is due next is scheduled anew.
    fn handle_deadline(self: Arc<Self>, now: Instant);
}

/// Calls connections at their deadlines. Clones are the same timekeeper; its task runs while
/// there is a deadline.
#[derive(Clone, Default)]
pub(crate) struct Timekeeper(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    earlier: Notify,
}

#[derive(Default)]
struct State {
    deadlines: BTreeMap<(Instant, u64), Weak<dyn Timed>>,
    is_running: bool,
}

impl Timekeeper {
    /// Calls `timed`, which goes by this number, at `at`, and not at `instead_of`. The task for
    /// it, where there is none yet, runs on `runtime`.
    pub(crate) fn schedule(
        &self,
        instead_of: Option<Instant>,
        at: Instant,
        id: u64,
        timed: Weak<dyn Timed>,
        runtime: &Handle,
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
            runtime.spawn(self.clone().run());
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

    async fn run(self) {
        let running = Running(&self);
        loop {
            let now = Instant::now();
            for timed in self.take_due(now) {
                timed.handle_deadline(now);
            }
            let Some(next) = self.next() else {
                // From here on another task may be the running one.
                std::mem::forget(running);
                return;
            };
            // Whichever comes first: the deadline, or word of an earlier one.
            let _ = tokio::time::timeout_at(next, self.0.earlier.notified()).await;
        }
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

/// A task that is thrown away with its runtime must not be taken for a running one.
struct Running<'t>(&'t Timekeeper);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.lock().is_running = false;
    }
}
