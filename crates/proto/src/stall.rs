//! Tracks since when a peer has accepted no queued bytes.

use std::time::{Duration, Instant};

use crate::nanos::Nanos;

/// The timer for a transport that is full without progress. It has no clock: the caller passes the
/// time.
#[derive(Debug)]
pub(crate) struct Stall {
    /// The longest time without progress.
    timeout: Option<Nanos>,
    /// When the transport last made progress, and how many bytes it had accepted in total.
    since: Option<Box<(Instant, u64)>>,
}

impl Stall {
    pub(crate) fn new(timeout: Option<Duration>) -> Self {
        Self { timeout: timeout.map(Nanos::from), since: None }
    }

    /// Records that the transport, which has accepted `written` bytes in total, is full.
    pub(crate) fn handle_full(&mut self, now: Instant, written: u64) {
        if self.since.as_deref().is_none_or(|(_, before)| *before != written) {
            self.since = Some(Box::new((now, written)));
        }
    }

    /// Records progress with bytes that the transport had buffered.
    pub(crate) fn handle_moved(&mut self) {
        self.since = None;
    }

    /// Returns since when the transport has made no progress, as far as recorded.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.since.as_deref().map(|(since, _)| *since)
    }

    /// Returns when the connection ends if the transport, which has accepted `written` bytes in
    /// total, accepts none until then. `None` if it has made progress since it was full.
    pub(crate) fn deadline(&self, written: u64) -> Option<Instant> {
        let (since, before) = **self.since.as_ref()?;
        if before == written { since.checked_add(self.timeout?.into()) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::start;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn whoever_takes_a_little_steadily_is_borne_with() {
        let mut stall = Stall::new(Some(60 * SECOND));
        let start = start();
        assert_eq!(stall.deadline(0), None);
        for round in 0..100u32 {
            let (now, written) = (start + 50 * SECOND * round, u64::from(round));
            stall.handle_full(now, written);
            assert_eq!(stall.deadline(written), Some(now + 60 * SECOND));
            assert_eq!(stall.deadline(written + 1), None);
        }
    }

    #[test]
    fn whoever_takes_what_the_transport_holds_back_is_borne_with() {
        let mut stall = Stall::new(Some(60 * SECOND));
        let start = start();
        stall.handle_full(start, 7);
        stall.handle_moved();
        assert_eq!(stall.deadline(7), None);
        stall.handle_full(start + 50 * SECOND, 7);
        assert_eq!(stall.deadline(7), Some(start + 110 * SECOND));
    }

    #[test]
    fn to_be_full_again_and_again_is_no_progress() {
        let mut stall = Stall::new(Some(60 * SECOND));
        let start = start();
        for round in 0..50 {
            stall.handle_full(start + SECOND * round, 7);
        }
        assert_eq!(stall.deadline(7), Some(start + 60 * SECOND));
    }
}
