//! The intervals of a run as the points of plots: no more than fit in the picture.

use crate::bench::results::{Interval, Phase, Results, add, coarse};

/// More points than this make the file larger and no plot clearer.
const MOST: usize = 360;

/// What happened in one interval, or in some that follow each other.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Column {
    pub(crate) start_s: f64,
    pub(crate) end_s: f64,
    /// Messages in a second.
    pub(crate) sent: f64,
    pub(crate) received: f64,
    /// The interval with the fewest, and the one with the most.
    pub(crate) least_received: f64,
    pub(crate) most_received: f64,
    /// Connections opened in a second.
    pub(crate) opened: f64,
    /// Connections at the end.
    pub(crate) connections: f64,
    /// Failures in a second.
    pub(crate) errors: f64,
    pub(crate) latencies: Option<Percentiles>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// A stretch of time that is not measured, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stretch {
    pub(crate) name: &'static str,
    pub(crate) start_s: f64,
    pub(crate) end_s: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) columns: Vec<Column>,
    pub(crate) stretches: Vec<Stretch>,
    /// How many seconds a column covers, about.
    pub(crate) seconds: f64,
    pub(crate) end_s: f64,
}

impl Series {
    /// Stretches as they are named in a plot: what follows each other without a gap is one area. It has a
    /// name for each part that has room for it, or all names in its middle, without those of slivers.
    pub(crate) fn areas(&self) -> Vec<(String, Stretch)> {
        // As shares of the width.
        const ROOM: f64 = 0.07;
        const SLIVER: f64 = 0.2;
        let mut areas = Vec::new();
        for group in self.stretches.chunk_by(|one, next| (one.end_s - next.start_s).abs() < 0.1) {
            let length = |stretches: &[&Stretch]| -> f64 {
                stretches.iter().map(|stretch| stretch.end_s - stretch.start_s).sum()
            };
            let all = length(&group.iter().collect::<Vec<_>>());
            let seen: Vec<&Stretch> =
                group.iter().filter(|stretch| length(&[stretch]) >= SLIVER * all).collect();
            let has_room = |stretch: &&Stretch| length(&[stretch]) > ROOM * self.end_s;
            if seen.iter().all(has_room) {
                areas.extend(seen.iter().map(|stretch| (stretch.name.to_owned(), **stretch)));
            } else if let [first, .., last] = seen[..]
                && length(&seen) > 2.0 * ROOM * self.end_s
            {
                let names: Vec<&str> = seen.iter().map(|stretch| stretch.name).collect();
                areas.push((names.join(", "), Stretch { end_s: last.end_s, ..*first }));
            }
        }
        areas
    }

    pub(crate) fn of(results: &Results) -> Self {
        let intervals = &results.intervals;
        let mut lengths: Vec<f64> = intervals.iter().map(|interval| interval.length_s).collect();
        lengths.sort_by(f64::total_cmp);
        let typical = lengths.get(lengths.len() / 2).copied().unwrap_or(1.0);
        let most = intervals.len().div_ceil(MOST).max(1);

        let mut columns = Vec::new();
        let mut members: Vec<&Interval> = Vec::new();
        for interval in intervals {
            // The rate of a crumb is a matter of chance.
            let is_crumb = interval.length_s < typical * 0.3;
            if members.len() >= most && !is_crumb {
                columns.push(column(&members));
                members.clear();
            }
            members.push(interval);
        }
        if !members.is_empty() {
            columns.push(column(&members));
        }
        let end_s = intervals.last().map_or(0.0, |last| last.start_s + last.length_s);
        #[allow(clippy::cast_precision_loss)]
        let seconds = typical * most as f64;
        Self { columns, stretches: stretches(results), seconds, end_s }
    }
}

fn column(members: &[&Interval]) -> Column {
    let seconds: f64 = members.iter().map(|interval| interval.length_s).sum();
    let sum = |of: fn(&Interval) -> u64| {
        let total = members.iter().map(|interval| of(interval)).fold(0, u64::saturating_add);
        per_second(total, seconds)
    };
    let longest = members.iter().map(|interval| interval.length_s).fold(0.0, f64::max);
    let rates = members
        .iter()
        .filter(|interval| interval.length_s > longest / 2.0)
        .map(|interval| per_second(interval.messages_received, interval.length_s));
    let received = sum(|interval| interval.messages_received);
    Column {
        start_s: members.first().map_or(0.0, |first| first.start_s),
        end_s: members.last().map_or(0.0, |last| last.start_s + last.length_s),
        sent: sum(|interval| interval.messages_sent),
        received,
        least_received: rates.clone().fold(received, f64::min),
        most_received: rates.fold(received, f64::max),
        opened: sum(|interval| interval.opened),
        connections: members.last().map_or(0.0, |last| precise(last.connections)),
        errors: sum(|interval| interval.errors),
        latencies: percentiles(members),
    }
}

/// Those of all messages of these intervals.
fn percentiles(members: &[&Interval]) -> Option<Percentiles> {
    let max = members.iter().map(|interval| interval.max_ns).max().filter(|max| *max > 0)?;
    if let [one] = members {
        let [p50, p90, p99] = [one.p50_ns, one.p90_ns, one.p99_ns].map(precise);
        return Some(Percentiles { p50, p90, p99, max: precise(max) });
    }
    let mut histogram = coarse();
    for interval in members {
        add(&mut histogram, &interval.histogram);
    }
    let at = |quantile| precise(histogram.value_at_quantile(quantile).min(max));
    Some(Percentiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: precise(max) })
}

fn stretches(results: &Results) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for interval in &results.intervals {
        let name = match interval.phase {
            // Without a --ramp, too, connections are being opened until all are there.
            Phase::Ramp if results.load.ramp_s == 0.0 => "connecting",
            Phase::Ramp => "ramp",
            Phase::WarmUp => "warm-up",
            Phase::Drain => "drain",
            Phase::Measured => continue,
        };
        let end_s = interval.start_s + interval.length_s;
        match stretches.last_mut() {
            Some(last) if last.name == name && (last.end_s - interval.start_s).abs() < 0.1 => {
                last.end_s = end_s;
            }
            _ => stretches.push(Stretch { name, start_s: interval.start_s, end_s }),
        }
    }
    stretches
}

fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { precise(count) / seconds } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "a plot shows three digits")]
fn precise(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::sample;

    #[test]
    fn a_short_run_has_a_column_for_each_interval() {
        let results = sample::echo(30);
        let series = Series::of(&results);
        assert_eq!(series.columns.len(), results.intervals.len());
        let (column, interval) = (&series.columns[10], &results.intervals[10]);
        assert_eq!(column.received, precise(interval.messages_received));
        assert_eq!(column.latencies.unwrap().p99, precise(interval.p99_ns));
        assert_eq!(
            series.stretches.iter().map(|s| s.name).collect::<Vec<_>>(),
            ["ramp", "warm-up", "drain"]
        );
    }

    #[test]
    fn names_of_what_is_not_measured_stand_where_it_is() {
        let named = |ramp_s: f64, lengths: [f64; 3]| -> Vec<String> {
            let mut results = sample::echo(8);
            results.load.ramp_s = ramp_s;
            // Its ramp, and both seconds of its warm-up.
            let mut start = 0.0;
            for (index, interval) in results.intervals.iter_mut().enumerate() {
                interval.length_s = *lengths.get(index).unwrap_or(&interval.length_s);
                interval.start_s = start;
                start += interval.length_s;
            }
            Series::of(&results).areas().into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(named(1.0, [1.0, 0.5, 0.5]), ["ramp", "warm-up"]);
        assert_eq!(named(0.0, [1.0, 0.5, 0.5]), ["connecting", "warm-up"]);
        // The first part is hardly seen, and does not give the whole its name.
        assert_eq!(named(0.0, [0.05, 0.5, 0.5]), ["warm-up"]);
        assert_eq!(named(0.0, [1.0, 0.3, 0.3]), ["connecting, warm-up"]);
        assert!(named(0.0, [0.1, 0.1, 0.1]).is_empty());
    }

    #[test]
    fn an_hour_is_thinned_and_no_message_is_lost() {
        let results = sample::echo(3600);
        let series = Series::of(&results);
        assert!(series.columns.len() <= MOST, "{}", series.columns.len());
        let shown: f64 = series.columns.iter().map(|c| c.received * (c.end_s - c.start_s)).sum();
        let all: u64 = results.intervals.iter().map(|interval| interval.messages_received).sum();
        assert!((shown - precise(all)).abs() < 1.0);
        let column = &series.columns[100];
        assert!(column.least_received < column.received && column.received < column.most_received);
        let max =
            series.columns.iter().map(|column| column.latencies.unwrap().max).fold(0.0, f64::max);
        assert_eq!(max, precise(results.intervals.iter().map(|i| i.max_ns).max().unwrap()));
    }

    #[test]
    fn a_crumb_joins_the_interval_before() {
        let mut results = sample::echo(5);
        results.intervals[7].length_s = 0.01;
        results.intervals[7].messages_received = 900;
        let series = Series::of(&results);
        assert_eq!(series.columns.len(), results.intervals.len() - 1);
    }
}
