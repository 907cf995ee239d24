//! The run in intervals.

use hdrhistogram::Histogram;

use crate::bench::results::{Interval, Phase, add, coarse, pairs};
use crate::bench::tally::Part;

/// More intervals than this are put together in pairs, so that a run of days stays small.
const MOST: usize = 3600;

/// The shortest interval, in seconds, that is worth a place: what is shorter and empty is left out.
const SHORTEST: f64 = 0.001;

/// The intervals so far.
#[derive(Debug)]
pub(crate) struct Timeline {
    pub(crate) intervals: Vec<Interval>,
    /// Where the current one begins, and how long it is to be, in nanoseconds.
    start: u64,
    length: u64,
}

impl Timeline {
    pub(crate) fn new() -> Self {
        Self { intervals: Vec::new(), start: 0, length: 1_000_000_000 }
    }

    /// When the current interval is over, unless its phase ends before.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.length
    }

    /// Ends the current interval.
    pub(crate) fn cut(&mut self, now: u64, phase: Phase, connections: u64, part: &Part) {
        let interval = Interval {
            start_s: seconds(self.start),
            length_s: seconds(now.saturating_sub(self.start)),
            phase,
            messages_sent: part.messages_sent,
            messages_received: part.messages_received,
            bytes_sent: part.bytes_sent,
            bytes_received: part.bytes_received,
            connections,
            opened: part.opened,
            errors: part.errors,
            p50_ns: at(&part.latencies, 0.5),
            p90_ns: at(&part.latencies, 0.9),
            p99_ns: at(&part.latencies, 0.99),
            max_ns: part.latencies.max(),
            histogram: pairs(&part.latencies),
        };
        self.start = now;
        let is_empty =
            interval.messages_sent + interval.messages_received + interval.opened + interval.errors
                == 0;
        if interval.length_s < SHORTEST && is_empty {
            return;
        }
        self.intervals.push(interval);
        if self.intervals.len() > MOST {
            self.length *= 2;
            self.intervals = in_pairs(std::mem::take(&mut self.intervals));
        }
    }
}

/// Puts neighbours of the same phase together.
fn in_pairs(intervals: Vec<Interval>) -> Vec<Interval> {
    let mut fewer: Vec<Interval> = Vec::with_capacity(intervals.len() / 2 + 4);
    let mut is_whole = true;
    for interval in intervals {
        match fewer.last_mut() {
            Some(last) if !is_whole && last.phase == interval.phase => {
                join(last, interval);
                is_whole = true;
            }
            _ => {
                fewer.push(interval);
                is_whole = false;
            }
        }
    }
    fewer
}

fn join(first: &mut Interval, second: Interval) {
    first.length_s += second.length_s;
    first.messages_sent += second.messages_sent;
    first.messages_received += second.messages_received;
    first.bytes_sent += second.bytes_sent;
    first.bytes_received += second.bytes_received;
    first.connections = second.connections;
    first.opened += second.opened;
    first.errors += second.errors;
    let mut histogram = coarse();
    add(&mut histogram, &first.histogram);
    add(&mut histogram, &second.histogram);
    first.p50_ns = at(&histogram, 0.5);
    first.p90_ns = at(&histogram, 0.9);
    first.p99_ns = at(&histogram, 0.99);
    first.max_ns = first.max_ns.max(second.max_ns);
    first.histogram = pairs(&histogram);
}

fn at(histogram: &Histogram<u64>, quantile: f64) -> u64 {
    if histogram.is_empty() {
        0
    } else {
        histogram.value_at_quantile(quantile).min(histogram.max())
    }
}

/// Nanoseconds as seconds, to the microsecond.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn seconds(nanoseconds: u64) -> f64 {
    (nanoseconds / 1000) as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_has_longer_intervals_and_loses_no_counts() {
        let mut timeline = Timeline::new();
        let mut now = 0;
        for number in 0..10_000_u64 {
            now = timeline.end();
            let mut part = Part::new();
            part.messages_sent = number;
            part.latencies.record(number + 1).unwrap();
            let phase = if number < 101 { Phase::WarmUp } else { Phase::Measured };
            timeline.cut(now, phase, 7, &part);
        }
        assert!(timeline.intervals.len() <= MOST, "{}", timeline.intervals.len());
        let sum = |of: fn(&Interval) -> u64| timeline.intervals.iter().map(of).sum::<u64>();
        assert_eq!(sum(|interval| interval.messages_sent), 9_999 * 10_000 / 2);
        assert_eq!(sum(|interval| interval.histogram.iter().map(|pair| pair.1).sum()), 10_000);
        let length: f64 = timeline.intervals.iter().map(|interval| interval.length_s).sum();
        assert!((length - seconds(now)).abs() < 1e-3, "{length}");
        for pair in timeline.intervals.windows(2) {
            assert!(
                (pair[0].start_s + pair[0].length_s - pair[1].start_s).abs() < 1e-3,
                "{pair:?}"
            );
        }
        assert!(timeline.intervals.iter().all(|interval| interval.connections == 7));
    }
}
