//! The latencies of echoes and of deliveries, and their percentiles.

use std::time::Duration;

use serde::Serialize;

/// The latencies of messages sent at any moment.
#[derive(Default)]
pub(crate) struct Latencies {
    nanoseconds: Vec<u64>,
    unanswered: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    count: usize,
    p50_ns: u64,
    p99_ns: u64,
    max_ns: u64,
    /// The echoes missing at the end. They count with the time waited until then.
    unanswered: usize,
}

impl Latencies {
    /// Records the latency of a message, for itself alone.
    pub(crate) fn add_one(&mut self, took: Duration) {
        self.nanoseconds.push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Records the latency of an echo. It also counts for the messages that would have been sent meanwhile,
    /// one in each `interval`, each with the time that it would have waited.
    pub(crate) fn add(&mut self, took: Duration, interval: Duration) {
        let mut left = Some(took);
        while let Some(took) = left {
            self.add_one(took);
            left = took.checked_sub(interval).filter(|left| !left.is_zero());
        }
    }

    /// Records an echo that did not arrive within this time.
    pub(crate) fn add_unanswered(&mut self, waited: Duration, interval: Duration) {
        self.add(waited, interval);
        self.unanswered += 1;
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.nanoseconds.append(&mut other.nanoseconds);
        self.unanswered += other.unanswered;
    }

    /// Returns `None` if there were no echoes.
    pub(crate) fn summary(mut self) -> Option<Summary> {
        self.nanoseconds.sort_unstable();
        let sorted = &self.nanoseconds;
        let below = |hundredths: usize| {
            // The smallest value that this share does not exceed.
            let rank = (sorted.len() * hundredths).div_ceil(100);
            sorted.get(rank.saturating_sub(1)).copied()
        };
        Some(Summary {
            count: sorted.len(),
            p50_ns: below(50)?,
            p99_ns: below(99)?,
            max_ns: below(100)?,
            unanswered: self.unanswered,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(1);

    fn of(microseconds: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::default();
        for took in microseconds {
            latencies.add(Duration::from_micros(took), INTERVAL);
        }
        latencies
    }

    #[test]
    fn percentiles_are_what_so_many_are_not_above() {
        let summary = of((1..=200).rev()).summary().expect("some");
        assert_eq!((summary.p50_ns, summary.p99_ns, summary.max_ns), (100_000, 198_000, 200_000));
        let one = of([7]).summary().expect("one");
        assert_eq!((one.p50_ns, one.p99_ns, one.max_ns), (7000, 7000, 7000));
        assert_eq!(of([]).summary(), None);
    }

    #[test]
    fn what_would_have_been_sent_meanwhile_has_waited_too() {
        let summary = of([3500]).summary().expect("some");
        assert_eq!((summary.count, summary.p50_ns, summary.max_ns), (4, 1_500_000, 3_500_000));
        // A message that would be sent when the echo arrives does not count.
        assert_eq!(of([2000]).summary().expect("some").count, 2);
        assert_eq!(of([0]).summary().expect("some").count, 1);
    }

    #[test]
    fn an_echo_that_never_came_has_waited_until_the_end() {
        let mut all = of([100; 99]);
        let mut other = Latencies::default();
        other.add_unanswered(Duration::from_secs(2), INTERVAL);
        all.append(other);
        let summary = all.summary().expect("some");
        assert_eq!((summary.count, summary.unanswered), (2099, 1));
        assert_eq!(summary.max_ns, 2_000_000_000);
    }
}
