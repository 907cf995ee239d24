//! The messages that a relay has lost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::topics::Incoming;

/// Losses of this time are reported together.
const PERIOD: Duration = Duration::from_millis(100);

/// Counts the messages that a relay has lost, and reports them together: a burst of losses is one
/// event, not thousands.
///
/// ```
/// # fn example(incoming: &towline::topics::Incoming) {
/// use towline::relaying::Losses;
///
/// let losses = Losses::default();
/// losses.add(2);
/// losses.add(1);
/// // One event, about three messages.
/// losses.report_now(incoming);
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Losses {
    unreported: AtomicU64,
    total: AtomicU64,
    more: Notify,
}

impl Losses {
    /// Returns a counter at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts messages as lost.
    pub fn add(&self, messages: u64) {
        if messages > 0 {
            self.total.fetch_add(messages, Ordering::Relaxed);
            self.unreported.fetch_add(messages, Ordering::Release);
            self.more.notify_one();
        }
    }

    /// Returns how many messages were counted so far.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Reports losses to `incoming`, those of 100 ms together, until it is dropped. One caller at a
    /// time should run it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what is not reported stays counted for the next call.
    pub async fn report(&self, incoming: &Incoming) {
        loop {
            self.more.notified().await;
            // The first loss is reported at once.
            self.report_now(incoming);
            sleep(PERIOD).await;
        }
    }

    /// Reports the losses that are not reported yet.
    pub fn report_now(&self, incoming: &Incoming) {
        let messages = self.unreported.swap(0, Ordering::AcqRel);
        if messages > 0 {
            incoming.messages_lost(messages);
        }
    }
}
