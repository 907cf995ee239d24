//! The memory that all connections of a server hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The sum of what connections hold, and its limit.
pub(crate) struct Memory {
    most: usize,
    held: AtomicUsize,
    is_relieving: AtomicBool,
}

/// The right to relieve the memory, which one task has at a time. Dropping it frees the right.
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

    /// Returns `None` if the memory is within the limit, or another task is relieving it.
    pub(crate) fn begin_to_relieve(self: &Arc<Self>) -> Option<Relieving> {
        let is_mine = self.is_exceeded() && !self.is_relieving.swap(true, Ordering::AcqRel);
        is_mine.then(|| Relieving(self.clone()))
    }
}

impl Relieving {
    /// Ends a pass. Connections that exceeded the limit meanwhile have left it to this task: returns
    /// `Some` if another pass is due. Without holders, it would find nothing to close.
    pub(crate) fn end(self, had_holders: bool) -> Option<Self> {
        let memory = self.0.clone();
        drop(self);
        if had_holders { memory.begin_to_relieve() } else { None }
    }
}

impl Drop for Relieving {
    fn drop(&mut self) {
        // Acquires what a task has added before it found the right taken: whoever asks after this
        // whether the limit is exceeded counts it.
        self.0.is_relieving.swap(false, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_excess_that_was_left_to_a_pass_is_followed_by_another() {
        let memory = Memory::new(100);
        assert!(memory.begin_to_relieve().is_none(), "it is within the limit");
        memory.change(0, 101);
        let first = memory.begin_to_relieve().unwrap();
        // The pass has found it within the limit, and then it is exceeded again.
        memory.change(101, 50);
        memory.change(0, 51);
        assert!(memory.begin_to_relieve().is_none(), "one is at it");
        let second = first.end(true).expect("another pass");
        // Nobody to close: the next excess asks again.
        assert!(second.end(false).is_none());
        let third = memory.begin_to_relieve().unwrap();
        memory.change(101, 80);
        assert!(third.end(true).is_none(), "it is within the limit");
        assert!(!memory.is_relieving.load(Ordering::Relaxed));
    }
}
