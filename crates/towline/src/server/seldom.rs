//! Lines of the log that any client can cause.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The time from one line of a kind to the next.
const REST: Duration = Duration::from_secs(1);

/// Lets a line through once a second at most, so that clients can't fill the log. The next one says
/// how many were left out.
#[derive(Debug)]
pub struct Seldom {
    since: Instant,
    /// When the next line may be written, in milliseconds.
    next: AtomicU64,
    left_out: AtomicU64,
}

/// How many lines of a kind were left out before one.
#[derive(Debug)]
pub struct LeftOut(u64);

impl LeftOut {
    /// Returns the value for a field of an event, which is missing if there were none.
    pub fn count(&self) -> Option<u64> {
        (self.0 > 0).then_some(self.0)
    }
}

impl Default for Seldom {
    fn default() -> Self {
        Self { since: Instant::now(), next: AtomicU64::new(0), left_out: AtomicU64::new(0) }
    }
}

impl Seldom {
    /// Asks to write a line. Returns `None` if it is to be left out.
    pub fn turn(&self) -> Option<LeftOut> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let now = millis(self.since.elapsed());
        let next = self.next.load(Ordering::Relaxed);
        let then = now.saturating_add(millis(REST));
        let order = Ordering::Relaxed;
        if now < next || self.next.compare_exchange(next, then, order, order).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(LeftOut(self.left_out.swap(0, Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_a_second_says_how_many_were_left_out() {
        let seldom = Seldom::default();
        let turn = || seldom.turn().map(|left_out| left_out.count());
        assert_eq!(turn(), Some(None));
        for _ in 0..500 {
            assert_eq!(turn(), None);
        }
        tokio::time::advance(REST).await;
        assert_eq!(turn(), Some(Some(500)));
        assert_eq!(turn(), None);
        tokio::time::advance(10 * REST).await;
        assert_eq!(turn(), Some(Some(1)));
        tokio::time::advance(REST).await;
        assert_eq!(turn(), Some(None));
    }
}
