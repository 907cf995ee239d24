//! How far a figure of a run may be off by chance: the seconds of the run are drawn again and again, and
//! the figure is calculated of each draw (a block bootstrap).

use std::collections::BTreeSet;

use crate::bench::random::Random;
use crate::bench::results::{Interval, Phase, Results, Scenario};

/// A figure of which the spread is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Figure {
    /// Messages received in a second; in the scenario storm connections opened in one.
    Rate,
    /// The latency that this share of messages does not exceed.
    Quantile(f64),
    /// The mean latency.
    Mean,
}

/// Fewer seconds say nothing about what is chance.
pub(crate) const LEAST_INTERVALS: usize = 8;

/// How often to draw.
const DRAWS: usize = 1000;

/// Seconds that follow each other are alike. In a long run, blocks of them are drawn.
const MOST_BLOCKS: usize = 30;

/// The relative error of values in the histograms of intervals.
const RESOLUTION: f64 = 0.01;

/// The measured seconds of a run, in blocks.
#[derive(Debug)]
pub(crate) struct Blocks {
    /// The values of all histograms, in order.
    values: Vec<u64>,
    blocks: Vec<Block>,
    /// How many intervals they are made of.
    pub(crate) intervals: usize,
}

#[derive(Debug)]
struct Block {
    seconds: f64,
    events: u64,
    /// How often each of the values occurs.
    counts: Vec<u64>,
}

/// The standard error of a figure's logarithm, and on how many blocks it rests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) error: f64,
    pub(crate) blocks: usize,
}

impl Blocks {
    pub(crate) fn of(results: &Results) -> Self {
        let is_storm = results.load.scenario == Scenario::Storm;
        let measured =
            results.intervals.iter().filter(|interval| interval.phase == Phase::Measured);
        let mut intervals: Vec<&Interval> = measured.collect();
        // A crumb at the end of the phase is no second.
        let longest = intervals.iter().map(|interval| interval.length_s).fold(0.0, f64::max);
        intervals.retain(|interval| interval.length_s > longest / 2.0);
        let pairs = intervals.iter().flat_map(|interval| &interval.histogram);
        let values: BTreeSet<u64> = pairs.map(|(value, _)| *value).collect();
        let values: Vec<u64> = values.into_iter().collect();
        let length = intervals.len().div_ceil(MOST_BLOCKS).max(1);
        let block = |intervals: &[&Interval]| {
            let mut block = Block { seconds: 0.0, events: 0, counts: vec![0; values.len()] };
            for interval in intervals {
                block.seconds += interval.length_s;
                let events = if is_storm { interval.opened } else { interval.messages_received };
                block.events = block.events.saturating_add(events);
                for (value, count) in &interval.histogram {
                    if let Ok(index) = values.binary_search(value) {
                        block.counts[index] = block.counts[index].saturating_add(*count);
                    }
                }
            }
            block
        };
        let blocks = intervals.chunks_exact(length).map(block).collect();
        Self { blocks, intervals: intervals.len(), values }
    }

    /// The spread of each figure. `None` where the run has none, or is too short.
    pub(crate) fn spread<const N: usize>(&self, figures: [Figure; N]) -> [Option<Spread>; N] {
        if self.intervals < LEAST_INTERVALS {
            return [None; N];
        }
        // The same numbers each time, so that a comparison can be repeated.
        let mut random = Random(0x7077_6c69_6e65);
        let mut logarithms: [Vec<f64>; N] = std::array::from_fn(|_| Vec::with_capacity(DRAWS));
        let mut counts = vec![0; self.values.len()];
        for _ in 0..DRAWS {
            counts.fill(0);
            let (mut seconds, mut events) = (0.0, 0_u64);
            for _ in 0..self.blocks.len() {
                let block = &self.blocks[random.below(self.blocks.len())];
                seconds += block.seconds;
                events = events.saturating_add(block.events);
                for (sum, count) in counts.iter_mut().zip(&block.counts) {
                    *sum = u64::saturating_add(*sum, *count);
                }
            }
            for (logarithms, figure) in logarithms.iter_mut().zip(figures) {
                logarithms.extend(self.figure(figure, seconds, events, &counts).map(f64::ln));
            }
        }
        let blocks = self.blocks.len();
        std::array::from_fn(|index| {
            let grain = if figures[index] == Figure::Rate { 0.0 } else { RESOLUTION };
            // A draw without messages has no latency. If that happens, too few have some.
            let error =
                deviation(&logarithms[index]).filter(|_| logarithms[index].len() == DRAWS)?;
            let count = precise(blocks as u64);
            // Draws vary less than runs, by this factor.
            let error = error * (count / (count - 1.0)).sqrt();
            Some(Spread { error: error.hypot(grain / 12.0_f64.sqrt()), blocks })
        })
    }

    fn figure(&self, figure: Figure, seconds: f64, events: u64, counts: &[u64]) -> Option<f64> {
        let total = counts.iter().copied().fold(0, u64::saturating_add);
        let value = match figure {
            Figure::Rate => precise(events) / seconds,
            Figure::Quantile(share) => {
                let rank = precise(total) * share;
                let mut below = 0_u64;
                let found = self.values.iter().zip(counts).find(|(_, count)| {
                    below = below.saturating_add(**count);
                    **count > 0 && precise(below) >= rank
                });
                precise(*found?.0)
            }
            Figure::Mean => {
                let product = |(value, count): (&u64, &u64)| precise(*value) * precise(*count);
                self.values.iter().zip(counts).map(product).sum::<f64>() / precise(total)
            }
        };
        (value.is_finite() && value > 0.0).then_some(value)
    }
}

/// The interval in which the change from one run to the other lies with 99 % confidence, as shares:
/// -0.02 to 0.05. `change` is what was measured.
pub(crate) fn confidence(change: f64, before: Spread, after: Spread) -> Option<(f64, f64)> {
    let (a, b) = (before.error.powi(2), after.error.powi(2));
    let freedom = |spread: Spread| precise(spread.blocks as u64) - 1.0;
    // Welch and Satterthwaite.
    let degrees = (a + b).powi(2) / (a.powi(2) / freedom(before) + b.powi(2) / freedom(after));
    let reach = student(degrees) * (a + b).sqrt();
    let middle = change.ln_1p();
    let bounds = ((middle - reach).exp_m1(), (middle + reach).exp_m1());
    (bounds.0.is_finite() && bounds.1.is_finite()).then_some(bounds)
}

/// The 99.5 % quantile of Student's distribution, within 1 % from three degrees of freedom on: the
/// expansion around the normal distribution (Abramowitz and Stegun, 26.7.5).
fn student(degrees: f64) -> f64 {
    const Z: f64 = 2.575_829_303_548_901;
    let n = if degrees.is_nan() { f64::INFINITY } else { degrees.max(3.0) };
    let z = |power: i32| Z.powi(power);
    Z + (z(3) + Z) / (4.0 * n)
        + (5.0 * z(5) + 16.0 * z(3) + 3.0 * Z) / (96.0 * n.powi(2))
        + (3.0 * z(7) + 19.0 * z(5) + 17.0 * z(3) - 15.0 * Z) / (384.0 * n.powi(3))
        + (79.0 * z(9) + 776.0 * z(7) + 1482.0 * z(5) - 1920.0 * z(3) - 945.0 * Z)
            / (92_160.0 * n.powi(4))
}

fn deviation(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let count = precise(values.len() as u64);
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (count - 1.0)).sqrt())
}

#[expect(clippy::cast_precision_loss, reason = "figures are shown with three digits")]
fn precise(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::sample;

    #[test]
    fn quantiles_of_student_are_those_of_the_tables() {
        for (degrees, expected) in
            [(3.0, 5.841), (4.0, 4.604), (5.0, 4.032), (9.0, 3.250), (29.0, 2.756), (1e9, 2.576)]
        {
            let found = student(degrees);
            assert!((found / expected - 1.0).abs() < 0.01, "{degrees}: {found} is not {expected}");
        }
    }

    #[test]
    fn the_error_of_the_rate_is_that_of_the_mean() {
        let results = sample::echo(25);
        let blocks = Blocks::of(&results);
        let [spread] = blocks.spread([Figure::Rate]);
        let rates = results.intervals.iter().filter(|interval| interval.phase == Phase::Measured);
        let rates: Vec<f64> = rates.map(|interval| precise(interval.messages_received)).collect();
        let mean = rates.iter().sum::<f64>() / 25.0;
        let expected = deviation(&rates).unwrap() / 5.0 / mean;
        let found = spread.unwrap().error;
        assert!((found / expected - 1.0).abs() < 0.1, "{found} is not about {expected}");
    }

    #[test]
    fn a_run_that_is_too_short_has_no_spread() {
        let figures = [Figure::Rate, Figure::Quantile(0.5), Figure::Mean];
        assert_eq!(Blocks::of(&sample::echo(7)).spread(figures), [None; 3]);
        assert!(Blocks::of(&sample::echo(8)).spread(figures).iter().all(Option::is_some));
        assert_eq!(Blocks::of(&sample::empty()).spread(figures), [None; 3]);
        assert_eq!(Blocks::of(&sample::silent()).spread(figures), [None; 3]);
    }

    #[test]
    fn a_long_run_is_drawn_in_blocks() {
        let blocks = Blocks::of(&sample::echo(95));
        assert_eq!((blocks.intervals, blocks.blocks.len()), (95, 23));
        assert!(blocks.blocks.iter().all(|block| (block.seconds - 4.0).abs() < 1e-9));
    }
}
