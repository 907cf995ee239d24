//! What the receiver tells the sender and the timekeeper without the connection's lock, and they it.

use crate::connection::sync::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use crate::connection::writer::Receiving;

/// Updates that need no lock.
#[derive(Default)]
pub(crate) struct Heard {
    /// The number of reads that returned bytes. Only the receiver writes it, and the position.
    reads: AtomicU32,
    /// The receiver's position: a [`Receiving`].
    position: AtomicU8,
    /// Whether a call that cannot wait has used up the budget of its task, which is possibly the
    /// receiver's.
    is_used_up: AtomicBool,
}

impl Heard {
    /// Counts a read that returned bytes.
    pub(crate) fn note(&self) {
        self.reads.store(self.reads().wrapping_add(1), Ordering::Relaxed);
    }

    /// The number of reads that returned bytes.
    #[inline]
    pub(crate) fn reads(&self) -> u32 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Notes that a call that cannot wait has used up the budget of its task.
    pub(crate) fn note_used_up(&self) {
        self.is_used_up.store(true, Ordering::Relaxed);
    }

    /// Whether the budget of the receiver's task is possibly used up.
    #[inline]
    pub(crate) fn is_used_up(&self) -> bool {
        self.is_used_up.load(Ordering::Relaxed)
    }

    /// The receiver has asked for budget.
    pub(crate) fn has_asked(&self) {
        self.is_used_up.store(false, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn position(&self) -> Receiving {
        match self.position.load(Ordering::Relaxed) {
            0 => Receiving::Waits,
            1 => Receiving::HandedOut,
            2 => Receiving::HasMore,
            3 => Receiving::HasWhole,
            _ => Receiving::MidFrame,
        }
    }

    #[inline]
    pub(crate) fn set_position(&self, position: Receiving) {
        if self.position.load(Ordering::Relaxed) != position as u8 {
            self.position.store(position as u8, Ordering::Relaxed);
        }
    }
}
