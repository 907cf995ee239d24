//! The intervals of shards that began at different times, as those of one run.

use std::ops::Range;

use crate::bench::results::{Interval, Phase, add, coarse, pairs};

/// The intervals of a shard, and how many seconds after the first shard it began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Track<'a> {
    pub(crate) offset_s: f64,
    pub(crate) intervals: &'a [Interval],
}

/// A run has fewer.
const MOST: f64 = 100_000.0;

/// Puts all on one clock. Counts are divided where an interval of a shard lies in two of the whole; their
/// sums stay exact. But what a shard measures while another does not yet is in no measured interval.
pub(crate) fn aligned(tracks: &[Track<'_>]) -> Vec<Interval> {
    let mut cursors: Vec<Cursor<'_>> = tracks.iter().map(|&track| Cursor::new(track)).collect();
    let times = times(tracks);
    times.windows(2).map(|pair| one(&mut cursors, pair[0]..pair[1])).collect()
}

/// Where intervals of the whole begin and end: as those of the shard with the most, and evenly before and
/// after.
fn times(tracks: &[Track<'_>]) -> Vec<f64> {
    let end = tracks.iter().map(Track::end).fold(0.0, f64::max);
    let Some(model) = tracks.iter().rev().max_by_key(|track| track.intervals.len()) else {
        return Vec::new();
    };
    // A file can have any length.
    let width = typical(model.intervals).max(end / MOST);
    if width <= 0.0 {
        return Vec::new();
    }
    let mut times = vec![0.0];
    let mut advance = |until: f64, is_evenly: bool| {
        while let Some(last) = times.last().copied().filter(|last| until - last > 1e-9) {
            // No crumb at the end: clocks are rounded.
            let is_step = is_evenly && until - last > width * 1.25;
            times.push(if is_step { last + width } else { until });
        }
    };
    advance(model.offset_s, true);
    for interval in model.intervals {
        advance(model.offset_s + interval.start_s, true);
        advance(model.offset_s + interval.start_s + interval.length_s, false);
    }
    advance(end, true);
    times
}

/// The whole's interval at this time.
fn one(cursors: &mut [Cursor<'_>], time: Range<f64>) -> Interval {
    let mut interval = Interval {
        start_s: time.start,
        length_s: time.end - time.start,
        phase: phase_of(cursors, &time),
        messages_sent: 0,
        messages_received: 0,
        bytes_sent: 0,
        bytes_received: 0,
        connections: 0,
        opened: 0,
        errors: 0,
        p50_ns: 0,
        p90_ns: 0,
        p99_ns: 0,
        max_ns: 0,
        histogram: Vec::new(),
    };
    let mut histogram = coarse();
    let mut total = [0; 6];
    for cursor in cursors {
        total = sum(total, cursor.counts_until(time.end));
        let connections = cursor.connections_at(time.end);
        interval.connections = interval.connections.saturating_add(connections);
        for part in cursor.histograms_until(time.end) {
            add(&mut histogram, &part.histogram);
            interval.max_ns = interval.max_ns.max(part.max_ns);
        }
    }
    [
        interval.messages_sent,
        interval.messages_received,
        interval.bytes_sent,
        interval.bytes_received,
        interval.opened,
        interval.errors,
    ] = total;
    if !histogram.is_empty() {
        let at = |quantile| histogram.value_at_quantile(quantile).min(interval.max_ns);
        (interval.p50_ns, interval.p90_ns, interval.p99_ns) = (at(0.5), at(0.9), at(0.99));
        interval.histogram = pairs(&histogram);
    }
    interval
}

/// Measured if all shards measure in the middle of it.
fn phase_of(cursors: &[Cursor<'_>], time: &Range<f64>) -> Phase {
    let middle = (time.start + time.end) / 2.0;
    let phases: Vec<Phase> = cursors.iter().map(|cursor| cursor.track.phase_at(middle)).collect();
    [Phase::Ramp, Phase::WarmUp, Phase::Drain]
        .into_iter()
        .find(|phase| phases.contains(phase))
        .unwrap_or(Phase::Measured)
}

/// The length of most intervals: their median.
fn typical(intervals: &[Interval]) -> f64 {
    let mut lengths: Vec<f64> = intervals.iter().map(|interval| interval.length_s).collect();
    lengths.sort_by(f64::total_cmp);
    lengths.get(lengths.len() / 2).copied().unwrap_or_default()
}

impl Track<'_> {
    fn end(&self) -> f64 {
        self.intervals.last().map_or(0.0, |last| self.offset_s + last.start_s + last.length_s)
    }

    fn phase_at(&self, time: f64) -> Phase {
        let time = time - self.offset_s;
        let ends_later = |interval: &&Interval| interval.start_s + interval.length_s > time;
        match self.intervals.iter().find(ends_later) {
            // Not begun yet.
            Some(_) if time < 0.0 => Phase::Ramp,
            Some(interval) => interval.phase,
            None => Phase::Drain,
        }
    }
}

/// A walk through a track. Within an interval its counts come evenly.
struct Cursor<'a> {
    track: Track<'a>,
    /// The interval that has not ended.
    current: usize,
    /// The counts of all before.
    before: [u64; 6],
    /// What has been handed out.
    given: [u64; 6],
    /// The interval whose histogram comes next.
    histogram: usize,
}

impl<'a> Cursor<'a> {
    fn new(track: Track<'a>) -> Self {
        Self { track, current: 0, before: [0; 6], given: [0; 6], histogram: 0 }
    }

    /// What happened until then, since the last call.
    fn counts_until(&mut self, time: f64) -> [u64; 6] {
        let time = time - self.track.offset_s;
        // The very end is all, however clocks are rounded.
        let has_ended = |interval: &Interval| interval.start_s + interval.length_s <= time + 1e-6;
        while let Some(interval) = self.track.intervals.get(self.current).filter(|i| has_ended(i)) {
            self.before = sum(self.before, counts(interval));
            self.current += 1;
        }
        let mut until = self.before;
        if let Some(interval) = self.track.intervals.get(self.current) {
            let share = ((time - interval.start_s) / interval.length_s).clamp(0.0, 1.0);
            until = sum(until, counts(interval).map(|count| part(count, share)));
        }
        let new = std::array::from_fn(|index| until[index].saturating_sub(self.given[index]));
        self.given = sum(self.given, new);
        new
    }

    fn connections_at(&self, time: f64) -> u64 {
        let time = time - self.track.offset_s;
        let begun =
            self.track.intervals.iter().take_while(|interval| interval.start_s < time - 1e-6);
        let is_over = self.track.end() < time + self.track.offset_s - 1e-6;
        begun.last().filter(|_| !is_over).map_or(0, |interval| interval.connections)
    }

    /// The intervals whose middle lies before then, since the last call.
    fn histograms_until(&mut self, time: f64) -> &'a [Interval] {
        let time = time - self.track.offset_s;
        let rest = &self.track.intervals[self.histogram..];
        let is_before = |interval: &&Interval| interval.start_s + interval.length_s / 2.0 <= time;
        let count = rest.iter().take_while(is_before).count();
        self.histogram += count;
        &rest[..count]
    }
}

fn counts(interval: &Interval) -> [u64; 6] {
    [
        interval.messages_sent,
        interval.messages_received,
        interval.bytes_sent,
        interval.bytes_received,
        interval.opened,
        interval.errors,
    ]
}

fn sum(a: [u64; 6], b: [u64; 6]) -> [u64; 6] {
    std::array::from_fn(|index| a[index].saturating_add(b[index]))
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count is a count, and `as` saturates"
)]
fn part(count: u64, share: f64) -> u64 {
    ((count as f64 * share).round() as u64).min(count)
}
