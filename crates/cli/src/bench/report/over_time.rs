//! Plots over the time of the run.

use crate::bench::figures::{rate, short, short_time};
use crate::bench::report::axis::{Axis, time_label};
use crate::bench::report::plot::{Plot, Point};
use crate::bench::report::series::{Column, Percentiles, Series};
use crate::bench::results::{Pacing, Results, Scenario};

/// The plots that this run has something for.
pub(crate) fn plots(results: &Results, series: &Series) -> String {
    if series.columns.is_empty() {
        return String::new();
    }
    let mut html = String::new();
    match results.load.scenario {
        Scenario::Idle => html.push_str(&connections(results, series)),
        Scenario::Storm => {
            html.push_str(&handshakes(results, series));
            html.push_str(&latencies(results, series).unwrap_or_default());
        }
        _ => {
            html.push_str(&throughput(results, series));
            html.push_str(&latencies(results, series).unwrap_or_default());
            html.push_str(&connections(results, series));
        }
    }
    html.push_str(&errors(series).unwrap_or_default());
    html
}

/// A plot over time, with its stretches that are not measured.
fn over_time<'a>(title: &'a str, note: String, series: &Series, y: Axis) -> Plot<'a> {
    let mut plot = Plot::new(title, note, Axis::of_time(series.end_s), y);
    for stretch in &series.stretches {
        plot.stretch(stretch.start_s, stretch.end_s);
    }
    for (name, area) in series.areas() {
        plot.name(&name, area.start_s, area.end_s);
    }
    plot
}

fn html(plot: &Plot<'_>, show: fn(f64) -> String) -> String {
    let step = plot.x.step();
    plot.html(show, |seconds| time_label(seconds, step))
}

/// A value of each column, in its middle. The first begins and the last ends where its column does.
fn points(series: &Series, of: impl Fn(&Column) -> Option<f64>) -> Vec<Point> {
    let at = |time: f64, column: &Column| of(column).map(|value| (time, value));
    let (Some(first), Some(last)) = (series.columns.first(), series.columns.last()) else {
        return Vec::new();
    };
    let mut points = vec![at(first.start_s, first)];
    points.extend(
        series.columns.iter().map(|column| at((column.start_s + column.end_s) / 2.0, column)),
    );
    points.push(at(last.end_s, last));
    points
}

/// The last value before the drain, where the line's name stands.
fn last(series: &Series, points: &[Point]) -> f64 {
    let drain = series.stretches.iter().find(|stretch| stretch.name == "drain");
    let end = drain.map_or(f64::INFINITY, |drain| drain.start_s);
    let known = || points.iter().flatten();
    known().rfind(|(at, _)| *at < end).or_else(|| known().last()).map_or(0.0, |(_, value)| *value)
}

/// What a point of a long run stands for.
fn grain(series: &Series) -> String {
    match series.seconds {
        short if short < 1.5 => String::new(),
        seconds => format!(" Each point covers {seconds:.0} s."),
    }
}

fn throughput(results: &Results, series: &Series) -> String {
    let columns = || series.columns.iter();
    let is_answered = results.load.scenario == Scenario::Echo;
    let asked = match results.load.pacing {
        Pacing::Open { messages_per_s } if is_answered => Some(messages_per_s),
        _ => None,
    };
    let highest = columns().map(|column| column.most_received.max(column.sent)).fold(0.0, f64::max);
    let mut note = "Messages received in each second of the run.".to_owned();
    if series.seconds >= 1.5 {
        note = format!(
            "Messages received per second.{} The band is from its slowest second to its fastest.",
            grain(series)
        );
    }
    if !series.stretches.is_empty() {
        let mut names: Vec<&str> = series.stretches.iter().map(|stretch| stretch.name).collect();
        names.dedup();
        note.push_str(&format!(" The shaded parts are not measured: {}.", names.join(", ")));
    }
    if asked.is_some() {
        note.push_str(" The dashed line is the rate that was asked for.");
    }
    let axis = Axis::from_zero(highest.max(asked.unwrap_or_default()));
    let mut plot = over_time("Throughput", note, series, axis);
    let received = points(series, |column| Some(column.received));
    plot.area("one", &received);
    if series.seconds >= 1.5 {
        let band = columns()
            .map(|c| ((c.start_s + c.end_s) / 2.0, c.least_received, c.most_received))
            .collect::<Vec<_>>();
        plot.band("one", &band);
    }
    plot.line("one", &received);
    // Messages that are sent and not answered soon are a second line. Otherwise the two are one.
    let is_behind =
        |column: &Column| (column.sent - column.received).abs() > 0.05 * column.received;
    if is_answered
        && columns().filter(|column| is_behind(column)).count() > series.columns.len() / 10
    {
        let sent = points(series, |column| Some(column.sent));
        plot.line("two thin", &sent);
        plot.end("two", "sent", last(series, &sent));
        plot.end("one", "received", last(series, &received));
    }
    if let Some(asked) = asked {
        plot.level("asked for", asked);
    }
    plot.values("received/s", "rate", columns().map(|column| Some(column.received)));
    if is_answered {
        plot.values("sent/s", "rate", columns().map(|column| Some(column.sent)));
    }
    html(&plot, short)
}

fn handshakes(results: &Results, series: &Series) -> String {
    let highest = series.columns.iter().map(|column| column.opened).fold(0.0, f64::max);
    let asked = match results.load.pacing {
        Pacing::Open { messages_per_s } => Some(messages_per_s),
        _ => None,
    };
    let note = format!("Connections opened per second.{}", grain(series));
    let axis = Axis::from_zero(highest.max(asked.unwrap_or_default()));
    let mut plot = over_time("Handshakes", note, series, axis);
    if let Some(asked) = asked {
        plot.level("asked for", asked);
    }
    let opened = points(series, |column| Some(column.opened));
    plot.area("one", &opened);
    plot.line("one", &opened);
    plot.values("opened/s", "rate", series.columns.iter().map(|column| Some(column.opened)));
    html(&plot, short)
}

/// How a line is drawn, its name, and its values.
type Line = (&'static str, &'static str, fn(&Percentiles) -> f64);

/// The lowest first.
const LINES: [Line; 4] = [
    ("p50", "p50", |of| of.p50),
    ("p90", "p90", |of| of.p90),
    ("p99", "p99", |of| of.p99),
    ("max", "longest", |of| of.max),
];

fn latencies(results: &Results, series: &Series) -> Option<String> {
    let known = || series.columns.iter().filter_map(|column| column.latencies);
    let low = known().map(|of| of.p50).reduce(f64::min)?;
    let high = known().map(|of| of.max).fold(low, f64::max);
    let axis = Axis::of_latencies(low, high);
    let what = match results.load.scenario {
        Scenario::Push => "Half of the gaps between messages",
        Scenario::Storm => "Half of the handshakes",
        _ => "Half of the messages",
    };
    let scale = if axis.is_logarithmic() { " The scale is logarithmic." } else { "" };
    let note = format!(
        "{what} took no longer than p50, 99 of 100 no longer than p99.{}{scale}",
        grain(series)
    );
    let mut plot = over_time("Latency over time", note, series, axis);
    let mut ends = Vec::new();
    for (class, name, of) in LINES {
        let points = points(series, |column| column.latencies.as_ref().map(of));
        plot.line(class, &points);
        ends.push((class, name, last(series, &points)));
        let values = series.columns.iter().map(|column| column.latencies.as_ref().map(of));
        plot.values(name, "time", values);
    }
    // Names of equal values stand in the order of their ends, from the top.
    for (class, name, value) in ends.into_iter().rev() {
        plot.end(class, name, value);
    }
    Some(html(&plot, short_time))
}

#[expect(clippy::cast_precision_loss, reason = "a plot shows three digits")]
fn connections(results: &Results, series: &Series) -> String {
    let asked = results.load.connections as f64;
    let highest = series.columns.iter().map(|column| column.connections).fold(asked, f64::max);
    let note = format!("Open connections at the end of each second.{}", grain(series));
    let mut plot = over_time("Connections", note, series, Axis::of_counts(highest));
    let open = points(series, |column| Some(column.connections));
    plot.area("three", &open);
    plot.line("three", &open);
    plot.level("asked for", asked);
    plot.values("open", "count", series.columns.iter().map(|column| Some(column.connections)));
    html(&plot, short)
}

/// `None` if there are none.
fn errors(series: &Series) -> Option<String> {
    let highest = series.columns.iter().map(|column| column.errors).fold(0.0, f64::max);
    if highest <= 0.0 {
        return None;
    }
    let note = format!("Failures of all kinds per second.{}", grain(series));
    let mut plot = over_time("Errors over time", note, series, Axis::from_zero(highest));
    let bars = series.columns.iter().map(|column| (column.start_s, column.end_s, column.errors));
    plot.bars("bad", &bars.collect::<Vec<_>>());
    plot.values("errors/s", "rate", series.columns.iter().map(|column| Some(column.errors)));
    Some(html(&plot, rate))
}

/// The columns' times, for the script.
pub(crate) fn times(series: &Series) -> String {
    let end = series.end_s;
    let place =
        |column: &Column| format!("{:.4}", (column.start_s + column.end_s) / 2.0 / end.max(1e-9));
    let places: Vec<String> = series.columns.iter().map(place).collect();
    let starts: Vec<String> =
        series.columns.iter().map(|column| format!("{:.0}", column.start_s)).collect();
    format!("[[{}],[{}]]", places.join(","), starts.join(","))
}
