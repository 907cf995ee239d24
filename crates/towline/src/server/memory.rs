//! The memory that all connections of a server hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The sum of what connections hold, and its limit.
pub(crate) struct Memory {
    most: usize,
    held: AtomicUsize,
    is_relieving: AtomicBool,
}

/// The one who relieves the memory. Dropping it lets the next one do so.
pub(crate) struct Relieving(Arc<Memory>);

impl Memory {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, held: AtomicUsize::new(0), is_relieving: AtomicBool::new(false) })
    }

    /// The limit.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// A connection holds `after` bytes now.
    pub(crate) fn change(&self, before: usize, after: usize) {
        // The counter wraps around, so that a difference can be negative.
        self.held.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
    }

    pub(crate) fn is_exceeded(&self) -> bool {
        self.held() > self.most
    }

    /// How much to free. Then an eighth is left, so that the next message does not exceed the limit
    /// again.
    pub(crate) fn excess(&self) -> usize {
        self.held().saturating_sub(self.most - self.most / 8)
    }

    /// Returns `None` if the limit is held, or somebody sees to that already.
    pub(crate) fn begin_to_relieve(self: &Arc<Self>) -> Option<Relieving> {
        let is_mine = self.is_exceeded() && !self.is_relieving.swap(true, Ordering::AcqRel);
        is_mine.then(|| Relieving(self.clone()))
    }
}

impl Drop for Relieving {
    fn drop(&mut self) {
        self.0.is_relieving.store(false, Ordering::Release);
    }
}
