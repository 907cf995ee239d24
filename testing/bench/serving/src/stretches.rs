//! A histogram of durations that any thread can record.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;

/// The steps in each doubling, so a duration is exact to a sixteenth.
const STEPS: usize = 16;

/// Up to 2^40 ns, which is 18 minutes.
const DOUBLINGS: usize = 40;

#[derive(Debug)]
pub struct Stretches {
    counts: [AtomicU64; STEPS * DOUBLINGS],
    longest: AtomicU64,
}

/// The statistics, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub count: u64,
    /// The duration that one in a thousand exceeds.
    pub p999_ns: u64,
    pub max_ns: u64,
}

impl Default for Stretches {
    fn default() -> Self {
        Self { counts: std::array::from_fn(|_| AtomicU64::new(0)), longest: AtomicU64::new(0) }
    }
}

impl Stretches {
    pub fn add(&self, stretch: Duration) {
        let nanoseconds = u64::try_from(stretch.as_nanos()).unwrap_or(u64::MAX);
        self.counts[place(nanoseconds)].fetch_add(1, Relaxed);
        self.longest.fetch_max(nanoseconds, Relaxed);
    }

    /// Returns the statistics since the last call.
    pub fn take(&self) -> Summary {
        let counts: Vec<_> = self.counts.iter().map(|count| count.swap(0, Relaxed)).collect();
        let (count, max_ns) = (counts.iter().sum(), self.longest.swap(0, Relaxed));
        let mut above = count / 1000;
        let mut last = 0;
        for (place, count) in counts.iter().enumerate().rev() {
            last = place;
            if *count > above {
                break;
            }
            above -= count;
        }
        Summary { count, p999_ns: end(last).min(max_ns), max_ns }
    }
}

impl Summary {
    /// The same including one in progress, with its duration so far.
    pub(crate) fn with(self, nanoseconds: u64) -> Self {
        let (count, max_ns) = (self.count + 1, self.max_ns.max(nanoseconds));
        // With fewer than a thousand this is the longest.
        let p999_ns = if count < 1000 { max_ns } else { self.p999_ns };
        Self { count, p999_ns, max_ns }
    }
}

/// Returns the bucket of a duration: exact up to [`STEPS`], then by its highest bits.
fn place(nanoseconds: u64) -> usize {
    let steps = STEPS.ilog2();
    let doublings = nanoseconds.max(1).ilog2().saturating_sub(steps);
    // The highest set bit, and the four bits after it.
    let step = usize::try_from(nanoseconds >> doublings).unwrap_or(0);
    (doublings as usize * STEPS + step).min(STEPS * DOUBLINGS - 1)
}

/// Returns the longest duration of a bucket.
fn end(place: usize) -> u64 {
    if place < 2 * STEPS {
        return place as u64;
    }
    let doublings = place / STEPS - 1;
    let step = place - doublings * STEPS;
    ((step as u64 + 1) << doublings) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_right_to_a_sixteenth() {
        for length in (0..2000).chain([65_535, 65_536, 1_000_000, 1 << 35, (1 << 36) + 12_345]) {
            let end = end(place(length));
            assert!(end >= length && end - length <= length / 16, "{length} is below {end}");
        }
    }

    #[test]
    fn one_in_a_thousand_is_longer() {
        let stretches = Stretches::default();
        for length in 1..=10_000 {
            stretches.add(Duration::from_nanos(length));
        }
        let summary = stretches.take();
        assert_eq!((summary.count, summary.max_ns), (10_000, 10_000));
        assert!((9_900..=10_000).contains(&summary.p999_ns), "{summary:?}");
        stretches.add(Duration::from_secs(1 << 20));
        stretches.add(Duration::from_nanos(5));
        assert_eq!(stretches.take().max_ns, (1 << 20) * 1_000_000_000);
        assert_eq!(stretches.take(), Summary::default());
    }

    #[test]
    fn what_goes_on_yet_counts_as_well() {
        let one = Summary::default().with(7);
        assert_eq!(one, Summary { count: 1, p999_ns: 7, max_ns: 7 });
        let many = Summary { count: 5000, p999_ns: 20, max_ns: 30 };
        assert_eq!(many.with(40), Summary { count: 5001, p999_ns: 20, max_ns: 40 });
        assert_eq!(many.with(3).max_ns, 30);
    }

    #[test]
    fn few_are_below_the_longest_of_them() {
        let stretches = Stretches::default();
        stretches.add(Duration::from_nanos(7));
        stretches.add(Duration::from_millis(3));
        assert_eq!(stretches.take().p999_ns, 3_000_000);
    }
}
