//! Counts the work for one connection, so that a task yields in time.

use std::task::{Context, Poll, ready};

/// Work, in fractions of a unit of tokio's budget. A task has 128 units before it must yield, which
/// should take less than a millisecond: so a unit is some microseconds of work.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Work(u32);

const UNIT: u32 = 1 << 16;

/// A message, whatever its length.
const MESSAGE: u32 = UNIT / 64;

/// A frame that is not a whole message.
const FRAME: u32 = MESSAGE;

/// A byte that is read or written, including its processing: 16 KiB per unit.
const BYTE: u32 = UNIT / (16 << 10);

/// A call to the transport.
const CALL: u32 = 2 * UNIT;

/// A byte of decompressed data: 2 KiB per unit.
const INFLATED: u32 = UNIT / (2 << 10);

/// A byte that was compressed: 1 KiB per unit.
const DEFLATED: u32 = UNIT / (1 << 10);

impl Work {
    /// Adds a message of this length that was received or sent.
    #[inline]
    pub(crate) fn add_message(&mut self, len: usize) {
        // That is more than a task's whole budget.
        let bytes = u32::try_from(len).unwrap_or(u32::MAX).min(1 << 24);
        self.0 = self.0.saturating_add(MESSAGE + BYTE * bytes);
    }

    /// Adds messages that were sent together.
    pub(crate) fn add_messages(&mut self, messages: u64, payload_bytes: u64) {
        self.0 = self.0.saturating_add(times(MESSAGE, messages));
        self.0 = self.0.saturating_add(times(BYTE, payload_bytes));
    }

    /// Adds received frames that are not whole messages.
    pub(crate) fn add_frames(&mut self, frames: u32) {
        self.0 = self.0.saturating_add(times(FRAME, frames.into()));
    }

    /// Adds decompressed bytes.
    pub(crate) fn add_inflated(&mut self, bytes: u64) {
        self.0 = self.0.saturating_add(times(INFLATED, bytes));
    }

    /// Adds bytes that were compressed.
    pub(crate) fn add_deflated(&mut self, bytes: u64) {
        self.0 = self.0.saturating_add(times(DEFLATED, bytes));
    }

    /// Adds a call to the transport.
    pub(crate) fn add_call(&mut self) {
        self.0 = self.0.saturating_add(CALL);
    }

    /// Adds work that was counted elsewhere.
    pub(crate) fn add(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }

    /// Whether there is at least one unit to charge.
    #[inline]
    pub(crate) fn is_due(self) -> bool {
        self.0 >= UNIT
    }

    /// Charges the work to the task's budget. Pending if the budget is used up.
    pub(crate) fn poll_pay(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.is_due() {
            ready!(tokio::task::coop::poll_proceed(cx)).made_progress();
            self.0 -= UNIT;
        }
        Poll::Ready(())
    }
}

/// Multiplies, saturating.
#[inline]
fn times(each: u32, count: u64) -> u32 {
    each.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
}
