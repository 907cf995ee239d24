//! Since when a peer has taken nothing of what is queued for it.

use std::time::{Duration, Instant};

/// How long the transport has been full without taking anything. Pure: it is told the time.
#[derive(Debug)]
pub(crate) struct Stall {
    /// The most that is borne.
    timeout: Option<Duration>,
    /// When the transport was last known to take something, and how much it had taken in all.
    since: Option<Box<(Instant, u64)>>,
}

impl Stall {
    pub(crate) fn new(timeout: Option<Duration>) -> Self {
        Self { timeout, since: None }
    }

    /// The transport, which has taken `written` bytes in all, is full.
    pub(crate) fn handle_full(&mut self, now: Instant, written: u64) {
        if self.since.as_deref().is_none_or(|(_, before)| *before != written) {
            self.since = Some(Box::new((now, written)));
        }
    }

    /// The transport has taken some of what it had held back itself.
    pub(crate) fn handle_moved(&mut self) {
        self.since = None;
    }

    /// Since when the transport has taken nothing, as far as it was told.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.since.as_deref().map(|(since, _)| *since)
    }

    /// When the peer is to be given up if the transport, which has taken `written` bytes in all,
    /// takes nothing until then. Never, if it has taken something since it was full.
    pub(crate) fn deadline(&self, written: u64) -> Option<Instant> {
        let (since, before) = **self.since.as_ref()?;
        if before == written { since.checked_add(self.timeout?) } else { None }
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
