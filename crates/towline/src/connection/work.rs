//! What is done for one connection in one go, counted so that others have their turn.

use std::task::{Context, Poll, ready};

/// Work, in parts of a unit of tokio's budget. A task has 128 units before it must yield, which are
/// to take it less than a millisecond: so a unit is what takes some microseconds.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Work(u32);

const UNIT: u32 = 1 << 16;

/// A message, whatever its length.
const MESSAGE: u32 = UNIT / 64;

/// A frame that is no message by itself.
const FRAME: u32 = MESSAGE;

/// A byte that is read or written, with all that is done with it in between: 16 KiB a unit.
const BYTE: u32 = UNIT / (16 << 10);

/// A call of the transport.
const CALL: u32 = 2 * UNIT;

/// A byte that came of inflating: 2 KiB a unit.
const INFLATED: u32 = UNIT / (2 << 10);

/// A byte that was deflated: 1 KiB a unit.
const DEFLATED: u32 = UNIT / (1 << 10);

impl Work {
    /// A message of this length was received or sent.
    #[inline]
    pub(crate) fn add_message(&mut self, len: usize) {
        // A longer one is more than a task has anyway.
        let bytes = u32::try_from(len).unwrap_or(u32::MAX).min(1 << 24);
        self.0 = self.0.saturating_add(MESSAGE + BYTE * bytes);
    }

    /// So many frames were received that are no messages by themselves.
    pub(crate) fn add_frames(&mut self, frames: u32) {
        self.0 = self.0.saturating_add(times(FRAME, frames.into()));
    }

    /// So many bytes came of inflating.
    pub(crate) fn add_inflated(&mut self, bytes: u64) {
        self.0 = self.0.saturating_add(times(INFLATED, bytes));
    }

    /// So many bytes were deflated.
    pub(crate) fn add_deflated(&mut self, bytes: u64) {
        self.0 = self.0.saturating_add(times(DEFLATED, bytes));
    }

    /// The transport was called.
    pub(crate) fn add_call(&mut self) {
        self.0 = self.0.saturating_add(CALL);
    }

    /// What was counted elsewhere.
    pub(crate) fn add(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }

    /// Whether so much has been done that it is to be paid for.
    #[inline]
    pub(crate) fn is_due(self) -> bool {
        self.0 >= UNIT
    }

    /// Pays for what was done with the budget of the task; waits for its next turn if that is used
    /// up.
    pub(crate) fn poll_pay(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.is_due() {
            ready!(tokio::task::coop::poll_proceed(cx)).made_progress();
            self.0 -= UNIT;
        }
        Poll::Ready(())
    }
}

/// So much for so many bytes.
#[inline]
fn times(each: u32, count: u64) -> u32 {
    each.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
}
