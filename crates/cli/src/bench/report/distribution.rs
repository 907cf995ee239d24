//! Plots of how latencies are distributed.

use crate::bench::figures::{percent, short_time, time};
use crate::bench::report::axis::Axis;
use crate::bench::report::plot::{Plot, Point};
use crate::bench::results::Latencies;

/// Bars of the histogram.
const BARS: i32 = 48;

/// How many values lie where. `None` if there are none.
pub(crate) fn histogram(latencies: &Latencies, title: &str, noun: &str) -> Option<String> {
    let total = total(latencies)?;
    let (low, high) = (latencies.histogram.first()?.0, latencies.histogram.last()?.0);
    let x = Axis::logarithmic(precise(low), precise(high));
    let (from, width) = (x.low(), (x.high() / x.low()).powf(1.0 / f64::from(BARS)));
    let edge = |index: i32| from * width.powi(index);
    let mut pairs = latencies.histogram.iter().peekable();
    let mut bars = Vec::new();
    for index in 0..BARS {
        let (left, right) = (edge(index), edge(index + 1));
        let is_last = index + 1 == BARS;
        let mut count = 0.0;
        while let Some((_, found)) = pairs.next_if(|(value, _)| is_last || precise(*value) < right)
        {
            count += precise(*found);
        }
        bars.push((left, right, count / total));
    }
    let highest = bars.iter().map(|(_, _, share)| *share).fold(0.0, f64::max);
    let note = format!(
        "How many {noun} took how long, as a share of all. The time is logarithmic; a single one is a hairline."
    );
    let mut plot = Plot::new(title, note, x, Axis::from_zero(highest));
    plot.bars("one", &bars);
    for (row, name) in [(0, 50.0), (1, 99.0), (2, 99.9)] {
        if let Some(value) = latencies.at(name) {
            plot.mark(&format!("p{name} {}", time(precise(value))), precise(value), row);
        }
    }
    Some(plot.html(percent, short_time))
}

/// What each share of the values does not exceed. `None` if there are too few.
pub(crate) fn percentiles(latencies: &Latencies, noun: &str) -> Option<String> {
    curves(&[("one", "", latencies)], noun)
}

/// The same for more than one run: how each is drawn, its name, and its latencies.
pub(crate) fn curves(runs: &[(&'static str, &str, &Latencies)], noun: &str) -> Option<String> {
    let all = runs.iter().flat_map(|(_, _, latencies)| &latencies.histogram);
    let (low, high) = (all.clone().map(|pair| pair.0).min()?, all.map(|pair| pair.0).max()?);
    let most = runs.iter().filter_map(|(_, _, latencies)| total(latencies)).fold(0.0, f64::max);
    if most < 20.0 {
        return None;
    }
    // As far to the right as there are values for: 99.9 % needs a thousand.
    let most = most.log10().min(5.0);
    let y = Axis::of_latencies(precise(low), precise(high));
    let scale = if y.is_logarithmic() { " Both scales are logarithmic." } else { "" };
    let note = format!(
        "The time that this share of the {noun} does not exceed. The right end is the slowest few.{scale}"
    );
    let mut plot = Plot::new("Latency by percentile", note, Axis::of_nines(most), y);
    for (class, name, latencies) in runs {
        let points = curve(latencies, most);
        plot.line(class, &points);
        if let Some((_, last)) = points.iter().rev().flatten().next().filter(|_| !name.is_empty()) {
            plot.end(class, *name, *last);
        }
    }
    let share = |nines: f64| {
        let text = format!("{:.4}", 100.0 - 100.0 * 10.0_f64.powf(-nines));
        format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
    };
    Some(plot.html(short_time, share))
}

/// The points of a curve: nines and times.
fn curve(latencies: &Latencies, most: f64) -> Vec<Point> {
    let (Some(total), Some(first)) = (total(latencies), latencies.histogram.first()) else {
        return Vec::new();
    };
    let mut points: Vec<Point> = vec![Some((0.0, precise(first.0)))];
    let (mut below, mut shown) = (0.0, 0.0);
    for (index, (value, count)) in latencies.histogram.iter().enumerate() {
        below += precise(*count);
        let left = (total - below) / total;
        let place = if left > 0.0 { (-left.log10()).min(most) } else { total.log10().min(most) };
        // Thousands of values are no more than the picture is wide.
        if place - shown > most / 300.0 || index + 1 == latencies.histogram.len() {
            points.push(Some((place, precise(*value))));
            shown = place;
        }
    }
    points
}

/// `None` if nothing was measured.
fn total(latencies: &Latencies) -> Option<f64> {
    let total: f64 = latencies.histogram.iter().map(|(_, count)| precise(*count)).sum();
    (total > 0.0).then_some(total)
}

#[expect(clippy::cast_precision_loss, reason = "a plot shows three digits")]
fn precise(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::precise as histogram_of;
    use crate::bench::sample;

    #[test]
    fn nothing_measured_has_no_plot() {
        let none = Latencies::default();
        assert_eq!((histogram(&none, "", ""), percentiles(&none, "")), (None, None));
    }

    #[test]
    fn few_values_and_equal_ones_have_a_histogram() {
        for values in [&[1][..], &[5_000_000; 30], &[0, 3_600_000_000_000], &[u64::MAX >> 1]] {
            let mut all = histogram_of();
            for value in values {
                all.saturating_record(*value);
            }
            let latencies = Latencies::of(&all);
            let html = histogram(&latencies, "Title", "messages").unwrap();
            assert!(html.contains("class=\"bars one\""), "{values:?}: {html}");
            let curve = percentiles(&latencies, "messages");
            assert_eq!(curve.is_some(), values.len() >= 20);
            let html = html + &curve.unwrap_or_default();
            assert!(!html.contains("NaN") && !html.contains("inf"), "{values:?}: {html}");
        }
    }

    #[test]
    fn all_values_are_in_the_bars() {
        let latencies = sample::troubled(20).latencies;
        let html = histogram(&latencies, "Title", "messages").unwrap();
        assert!(html.contains("p99.9 "), "{html}");
        let curve = percentiles(&latencies, "messages").unwrap();
        assert!(curve.contains(">99.9 %<") && curve.len() < 8_000, "{} {curve}", curve.len());
    }
}
