//! Compares two runs: `towline bench --compare a.json b.json`.

mod spread;

mod loads;

pub(crate) mod table;

pub(crate) mod page;

use crate::bench::compare::loads::{differences, reservations};
use crate::bench::compare::spread::{Blocks, Figure, Spread, confidence};
use crate::bench::figures::{NOTHING, change, count, rate, time};
use crate::bench::results::{Latencies, Results, Scenario};
use crate::bench::stored::Stored;

/// How `--compare` tells differences from noise, for `--help`.
pub(crate) const METHOD: &str = "\
--compare asks how much each figure varies within a run: it draws the measured seconds of
the run 1,000 times, with repetition, and calculates the figure of each draw. From that
follows the range in which the difference lies with 99 % confidence. A difference is noise if
the range contains zero, or if it is below 1 %. A figure that is gone, and more failures in
the same time, are always a difference. Only what varies within a run is known: for
what varies between runs, repeat both.";

/// Two runs side by side.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) sides: [Side; 2],
    /// Why the figures are not comparable. Then nothing is judged.
    pub(crate) differences: Vec<String>,
    /// What limits the worth of the comparison.
    pub(crate) reservations: Vec<String>,
    pub(crate) rows: Vec<Row>,
    /// Whether the load is one of which counts alone say how it went.
    is_counted: bool,
}

#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) file: String,
    pub(crate) url: String,
    pub(crate) started: String,
    pub(crate) program: String,
}

/// A figure of both runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) before: String,
    pub(crate) after: String,
    pub(crate) change: String,
    /// The change as a share.
    pub(crate) share: Option<f64>,
    /// From where to where the change may be, as shares.
    pub(crate) range: Option<(f64, f64)>,
    pub(crate) verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Better,
    Worse,
    Noise,
    /// The figure has no spread that is known.
    Open,
}

impl Verdict {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Noise => "noise",
            Self::Open => NOTHING,
        }
    }
}

/// A smaller change is noise however sure it is: machines differ by more.
const LEAST_CHANGE: f64 = 0.01;

/// Compares the second run with the first.
pub(crate) fn compare(before: &Stored, after: &Stored) -> Comparison {
    let (a, b) = (&before.results, &after.results);
    let differences = differences(a, b);
    let blocks = [Blocks::of(a), Blocks::of(b)];
    let intervals = [blocks[0].intervals, blocks[1].intervals];
    let figures = Figures { runs: [a, b], blocks, is_judged: differences.is_empty() };
    Comparison {
        sides: [side(before), side(after)],
        reservations: reservations(["A", "B"], [a, b], intervals),
        rows: figures.rows(),
        is_counted: a.load.scenario == Scenario::Idle,
        differences,
    }
}

fn side(stored: &Stored) -> Side {
    Side {
        file: stored.name(),
        url: stored.results.url.clone(),
        started: stored.results.started.clone(),
        program: stored.results.program.clone(),
    }
}

struct Figures<'a> {
    runs: [&'a Results; 2],
    blocks: [Blocks; 2],
    is_judged: bool,
}

/// What is judged, in order.
const JUDGED: [Figure; 5] = [
    Figure::Rate,
    Figure::Quantile(0.5),
    Figure::Quantile(0.9),
    Figure::Quantile(0.99),
    Figure::Mean,
];

impl Figures<'_> {
    fn rows(&self) -> Vec<Row> {
        let spreads = match self.is_judged {
            true => [0, 1].map(|index: usize| self.blocks[index].spread(JUDGED)),
            false => [[None; 5]; 2],
        };
        let spread = |index: usize| spreads[0][index].zip(spreads[1][index]);
        let scenario = self.runs[0].load.scenario;
        let mut rows = Vec::new();
        match scenario {
            Scenario::Idle => {}
            Scenario::Storm => {
                rows.push(self.rate(
                    "connections/s",
                    |run| run.per_s(run.totals.opened),
                    spread(0),
                ));
            }
            _ => rows.push(self.rate("messages/s", Results::received_per_s, spread(0))),
        }
        let latencies: fn(&Results) -> &Latencies = match scenario {
            Scenario::Storm | Scenario::Idle => |run| &run.handshakes,
            _ => |run| &run.latencies,
        };
        let at = |percentile: f64| move |run: &Results| latencies(run).at(percentile).map(precise);
        rows.push(self.time("p50", at(50.0), spread(1)));
        rows.push(self.time("p90", at(90.0), spread(2)));
        rows.push(self.time("p99", at(99.0), spread(3)));
        rows.push(self.time("p99.9", at(99.9), None));
        let mean =
            |run: &Results| Some(latencies(run).mean_ns).filter(|_| latencies(run).count > 0);
        rows.push(self.time("mean", mean, spread(4)));
        let longest =
            |run: &Results| (latencies(run).count > 0).then(|| precise(latencies(run).max_ns));
        rows.push(self.time("longest", longest, None));
        rows.push(self.count("connections failed", |run| run.totals.failed));
        rows.push(self.count("connections lost", |run| run.totals.lost));
        rows.push(self.count("unanswered", |run| run.totals.unanswered));
        rows.push(self.count("answers that differ", |run| run.totals.mismatched));
        let cost = |run: &Results| {
            let messages = run.totals.messages_sent.max(run.totals.messages_received);
            let seconds = run.generator.measured_cpu_s.filter(|_| messages > 0)?;
            Some(seconds * 1e9 / precise(messages))
        };
        rows.push(row("CPU per message", self.runs.map(cost), time, Direction::LessIsBetter, None));
        // What neither run has says nothing.
        rows.retain(|row| {
            [&row.before, &row.after].iter().any(|text| !matches!(text.as_str(), NOTHING | "0"))
        });
        rows
    }

    fn rate(
        &self,
        name: &'static str,
        of: impl Fn(&Results) -> f64,
        spread: Option<(Spread, Spread)>,
    ) -> Row {
        let values = self.runs.map(|run| Some(of(run)));
        self.unless_gone(row(name, values, rate, Direction::MoreIsBetter, spread), values)
    }

    fn time(
        &self,
        name: &'static str,
        of: impl Fn(&Results) -> Option<f64>,
        spread: Option<(Spread, Spread)>,
    ) -> Row {
        let values = self.runs.map(of);
        self.unless_gone(row(name, values, time, Direction::LessIsBetter, spread), values)
    }

    /// A server that does nothing any more is worse, and that is not by chance.
    fn unless_gone(&self, row: Row, [before, after]: [Option<f64>; 2]) -> Row {
        let is_there = |value: Option<f64>| value.is_some_and(|value| value > 0.0);
        match self.is_judged && is_there(before) && !is_there(after) {
            true => Row { change: "gone".to_owned(), share: None, verdict: Verdict::Worse, ..row },
            false => row,
        }
    }

    fn count(&self, name: &'static str, of: impl Fn(&Results) -> u64) -> Row {
        let [before, after] = self.runs.map(&of);
        // A longer run has more of them.
        let [often, oftener] = self.runs.map(|run| run.per_s(of(run)));
        let is_worse = after > before && (before == 0 || oftener > often * (1.0 + LEAST_CHANGE));
        let values = [Some(precise(before)), Some(precise(after))];
        let row = row(name, values, rate, Direction::LessIsBetter, None);
        let verdict = if self.is_judged && is_worse { Verdict::Worse } else { row.verdict };
        let change = if before == 0 && after > 0 { "new".to_owned() } else { row.change };
        Row { before: count(before), after: count(after), change, verdict, ..row }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    MoreIsBetter,
    LessIsBetter,
}

fn row(
    name: &'static str,
    values: [Option<f64>; 2],
    show: fn(f64) -> String,
    direction: Direction,
    spread: Option<(Spread, Spread)>,
) -> Row {
    let [before, after] = values.map(|value| value.map_or_else(|| NOTHING.to_owned(), show));
    let measured = match values {
        [Some(before), Some(after)] if before > 0.0 => Some(after / before - 1.0),
        [Some(before), Some(after)] if before == after => Some(0.0),
        _ => None,
    };
    let range = measured
        .filter(|change| *change > -1.0)
        .zip(spread)
        .and_then(|(change, (before, after))| confidence(change, before, after));
    let verdict = match (measured, range) {
        (Some(change), Some((low, high))) => judge(change, low, high, direction),
        _ => Verdict::Open,
    };
    let text = measured.map_or_else(|| NOTHING.to_owned(), change);
    Row { name, before, after, change: text, share: measured, range, verdict }
}

fn judge(change: f64, low: f64, high: f64, direction: Direction) -> Verdict {
    if change.abs() < LEAST_CHANGE || (low <= 0.0 && high >= 0.0) {
        return Verdict::Noise;
    }
    match (change > 0.0) == (direction == Direction::MoreIsBetter) {
        true => Verdict::Better,
        false => Verdict::Worse,
    }
}

impl Row {
    /// The range of the change in words: `+1.2 % to +3.4 %`.
    pub(crate) fn range_text(&self) -> String {
        self.range
            .map_or_else(String::new, |(low, high)| format!("{} to {}", change(low), change(high)))
    }
}

impl Comparison {
    /// Whether a figure is worse by more than this share, and not by chance. A figure that is gone, and
    /// failures where there were none, are worse by any share.
    pub(crate) fn is_worse_by(&self, share: f64) -> bool {
        let mut worse = self.rows.iter().filter(|row| row.verdict == Verdict::Worse);
        worse.any(|row| row.share.is_none_or(|change| change.abs() > share))
    }

    /// Whether the runs say anything about which is better.
    pub(crate) fn is_judged(&self) -> bool {
        self.is_counted || self.rows.iter().any(|row| row.verdict != Verdict::Open)
    }

    /// The result in a sentence.
    pub(crate) fn sentence(&self) -> String {
        if !self.differences.is_empty() {
            return format!("Not comparable: the loads differ in {}.", self.differences.join("; "));
        }
        let of = |verdict| {
            let rows = self.rows.iter().filter(|row| row.verdict == verdict);
            let names: Vec<String> =
                rows.map(|row| format!("{} {}", row.name, row.change)).collect();
            names.join(", ")
        };
        let judged = self.rows.iter().filter(|row| row.verdict != Verdict::Open).count();
        match (of(Verdict::Better), of(Verdict::Worse)) {
            _ if judged == 0 => "Nothing can be judged.".to_owned(),
            (better, worse) if better.is_empty() && worse.is_empty() => {
                "No difference beyond the noise within the runs.".to_owned()
            }
            (better, worse) if worse.is_empty() => format!("B is better: {better}."),
            (better, worse) if better.is_empty() => format!("B is worse: {worse}."),
            (better, worse) => format!("B is better in {better}; worse in {worse}."),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures are shown with three digits")]
fn precise(count: u64) -> f64 {
    count as f64
}
