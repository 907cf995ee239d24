//! Counts the work for one connection, so that a task yields in time.

use std::pin::pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::time::Instant;

use crate::connection::sync::yield_now;

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

    /// Makes at least one unit due.
    pub(crate) fn make_due(&mut self) {
        self.0 = self.0.max(UNIT);
    }

    /// Charges the work to the budget of the task that calls, for a call that cannot wait. Returns
    /// `false` if the budget is used up; the rest is forgotten, since the task may yield before it
    /// sends again.
    pub(crate) fn pay_now(&mut self) -> bool {
        // Nothing waits, so no waker is needed.
        let is_paid = self.poll_pay(&mut Context::from_waker(Waker::noop())).is_ready();
        self.0 %= UNIT;
        is_paid
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

/// How long a receiver's turn takes at most, the program's own work between two calls included.
const TURN: Duration = Duration::from_millis(1);

/// How long the turn of a receiver lasts. [`Work`] does not know what the program does with a message:
/// 8,192 tiny ones are some 100 µs of work here, and 0.8 s of a handler that needs 100 µs for each.
///
/// The clock is read with each unit that is charged, which is 64 messages or 16 KiB; more often if the
/// program has proved to be slow.
#[derive(Debug)]
pub(crate) struct Pace {
    /// When the turn began. `None` if it has ended.
    since: Option<Instant>,
    /// How much work there is between two looks at the clock, up to a unit.
    stride: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { since: None, stride: UNIT }
    }
}

impl Pace {
    /// The receiver has read, and its turn begins or goes on.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// The receiver waits, so other tasks run.
    pub(crate) fn end(&mut self) {
        self.since = None;
    }

    /// Charges the work to the task's budget. Pending if the budget is used up, or if the turn has taken
    /// too long; the task is woken when others have run.
    pub(crate) fn poll_pay(&mut self, work: &mut Work, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let is_over = match self.since.replace(now) {
            Some(since) if now.saturating_duration_since(since) >= TURN => {
                self.stride = (self.stride / 2).max(MESSAGE);
                true
            }
            Some(since) => {
                self.since = Some(since);
                self.stride = (self.stride * 2).min(UNIT);
                false
            }
            None => false,
        };
        let yielded = if is_over { pin!(yield_now()).poll(cx) } else { Poll::Ready(()) };
        if yielded.is_pending() || work.poll_pay(cx).is_pending() {
            self.end();
            return Poll::Pending;
        }
        // The next look is a stride away.
        work.0 = work.0.max(UNIT - self.stride);
        Poll::Ready(())
    }
}

/// Multiplies, saturating.
#[inline]
fn times(each: u32, count: u64) -> u32 {
    each.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
}
