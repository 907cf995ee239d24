//! What the clients count.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) connections: AtomicU64,
    pub(crate) rude: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
    faults: AtomicU64,
    first: Mutex<Vec<String>>,
}

impl Tally {
    /// Counts something that must not happen, and keeps the first of them.
    pub(crate) fn fault(&self, fault: impl Into<String>) {
        self.faults.fetch_add(1, Relaxed);
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.len() < 10 {
            first.push(fault.into());
        }
    }

    pub(crate) fn faults(&self) -> (u64, Vec<String>) {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        (self.faults.load(Relaxed), first.clone())
    }
}

pub(crate) fn count(of: &AtomicU64) {
    of.fetch_add(1, Relaxed);
}
