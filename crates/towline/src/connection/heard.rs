//! What the receiver tells the sender and the timekeeper without the connection's lock.

use crate::connection::sync::{AtomicU8, AtomicU32, Ordering};
use crate::connection::writer::Receiving;

/// Updates of the receiver that need no lock. Only the receiver writes them.
#[derive(Default)]
pub(crate) struct Heard {
    /// The number of reads that returned bytes.
    reads: AtomicU32,
    /// The receiver's position: a [`Receiving`].
    position: AtomicU8,
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
