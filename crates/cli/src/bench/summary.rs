//! The results as a table.

use std::fmt::Write as _;

use crate::bench::bottleneck;
use crate::bench::figures::{count, rate, time, time_of};
use crate::bench::results::{Latencies, Load, PERCENTILES, Pacing, Results, Scenario};
use crate::quantity::in_words;
use crate::say::on_one_line;

/// The results, for people whose terminal has this many columns.
pub(crate) fn table(results: &Results, width: usize) -> String {
    let mut text = String::new();
    let totals = &results.totals;
    let _ = writeln!(
        text,
        "{} on {}, {}",
        results.load.scenario.name(),
        results.url,
        of(&results.load)
    );
    let early = if results.interrupted { ", ended early" } else { "" };
    let shard = results
        .shard
        .map_or(String::new(), |shard| format!(", part {} of {}", shard.index, shard.count));
    let _ = writeln!(
        text,
        "measured for {:.2} s of {:.2} s{shard}{early}\n",
        results.measured_s, results.elapsed_s
    );
    let is_storm = results.load.scenario == Scenario::Storm;
    let opened = match is_storm {
        true => format!(", {} per second", rate(results.per_s(totals.opened))),
        false => String::new(),
    };
    let _ = writeln!(
        text,
        "connections  {} opened, {} failed, {} lost{opened}",
        count(totals.opened),
        count(totals.failed),
        count(totals.lost)
    );
    if results.load.compression.is_some() {
        let _ =
            writeln!(text, "compression  agreed on for {} connections", count(totals.compressed));
    }
    if !matches!(results.load.scenario, Scenario::Storm | Scenario::Idle) {
        if results.load.pacing != Pacing::None {
            let sent = (totals.messages_sent, results.sent_per_s(), totals.bytes_sent);
            let _ = writeln!(text, "sent         {}", amount(results, sent));
        }
        let received = (totals.messages_received, results.received_per_s(), totals.bytes_received);
        let _ = writeln!(text, "received     {}", amount(results, received));
        if totals.has_before() {
            let _ = writeln!(
                text,
                "             in the {:.2} s that were measured; before, {} were sent and {} received",
                results.measured_s,
                count(totals.sent_before),
                count(totals.received_before)
            );
        }
        if totals.mismatched > 0 {
            let _ = writeln!(
                text,
                "mismatched   {} of those received differ from their message, and have no latency",
                count(totals.mismatched)
            );
        }
        if totals.unanswered > 0 {
            let what = match results.load.scenario {
                Scenario::Broadcast => "deliveries",
                _ => "messages, whose latencies are not among those below",
            };
            let _ = writeln!(text, "unanswered   {} {what}", count(totals.unanswered));
        }
    }
    text.push('\n');
    let latency = if results.load.scenario == Scenario::Push { "gap" } else { "latency" };
    let rows = [(latency, &results.latencies), ("handshake", &results.handshakes)];
    percentiles(&mut text, &rows, width);
    if !results.errors.is_empty() {
        let span = if totals.has_before() { " in the whole run" } else { "" };
        let _ = writeln!(text, "errors{span}");
        for (kind, failures) in &results.errors {
            let example = on_one_line(&failures.example);
            let _ =
                writeln!(text, "  {}  {} × {example}", on_one_line(kind), count(failures.count));
        }
        text.push('\n');
    }
    generator(&mut text, results);
    text
}

/// The load in words.
fn of(load: &Load) -> String {
    let mut text = format!(
        "{} connection{}",
        count(load.connections),
        if load.connections == 1 { "" } else { "s" }
    );
    let things = if load.scenario == Scenario::Storm { "handshakes" } else { "messages" };
    match load.pacing {
        Pacing::Closed { .. } if load.scenario == Scenario::Storm => {}
        Pacing::Closed { in_flight } => {
            let _ = write!(text, ", closed loop with {} in flight", count(in_flight));
        }
        Pacing::Open { messages_per_s } => {
            let _ = write!(text, ", open loop of {} {things}/s", rate(messages_per_s));
        }
        Pacing::None => {}
    }
    if load.payload.source != "none" {
        let _ = write!(text, ", {} of {}", load.payload.kind, in_words(load.payload.bytes));
    }
    text
}

fn amount(results: &Results, (messages, per_s, bytes): (u64, f64, u64)) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let bytes = in_words(results.per_s(bytes).round() as u64);
    format!("{} messages, {} per second, {bytes}/s", count(messages), rate(per_s))
}

/// A table of percentiles, without those that have none. It has a line for each name if that fits.
fn percentiles(text: &mut String, rows: &[(&str, &Latencies)], width: usize) {
    let rows: Vec<_> = rows.iter().filter(|(_, latencies)| latencies.count > 0).collect();
    if rows.is_empty() {
        return;
    }
    let mut table = vec![vec![String::new()]];
    table[0].extend(PERCENTILES.map(|percentile| format!("p{percentile}")));
    table[0].extend(["max", "mean", "stddev"].map(str::to_owned));
    for (name, latencies) in rows {
        let mut row = vec![(*name).to_owned()];
        row.extend(
            PERCENTILES.map(|percentile| latencies.at(percentile).map_or("-".to_owned(), time_of)),
        );
        row.extend([time_of(latencies.max_ns), time(latencies.mean_ns), time(latencies.stddev_ns)]);
        table.push(row);
    }
    let mut lines = aligned(&table);
    if lines.iter().any(|line| line.chars().count() > width) {
        let column = |index: usize| table.iter().map(|row| row[index].clone()).collect();
        let turned: Vec<Vec<String>> = (0..table[0].len()).map(column).collect();
        lines = aligned(&turned);
    }
    for line in lines {
        let _ = writeln!(text, "{line}");
    }
    text.push('\n');
}

/// The lines of a table whose rows have the same length.
fn aligned(table: &[Vec<String>]) -> Vec<String> {
    let width_of = |column: usize| table.iter().map(|row| row[column].chars().count()).max();
    let line = |row: &Vec<String>| {
        let mut line =
            format!("{:<width$}", row[0], width = width_of(0).unwrap_or_default().max(11));
        for (column, cell) in row.iter().enumerate().skip(1) {
            let _ = write!(line, "  {cell:>width$}", width = width_of(column).unwrap_or_default());
        }
        line.trim_end().to_owned()
    };
    table.iter().map(line).collect()
}

/// What the load cost the generator, and whether it was the bottleneck.
#[allow(clippy::cast_precision_loss)]
fn generator(text: &mut String, results: &Results) {
    let generator = &results.generator;
    if let Some(cpu) = generator.measured_cpu_s.filter(|_| results.measured_s > 0.0) {
        let of = format!("{:.2} of {} cores", cpu / results.measured_s, generator.cores);
        let totals = &results.totals;
        let (things, number) = match results.load.scenario {
            Scenario::Storm => ("handshake", totals.opened),
            _ => ("message", totals.messages_sent.max(totals.messages_received)),
        };
        let each = match number {
            0 => String::new(),
            number => format!(", {} per {things}", time(cpu * 1e9 / number as f64)),
        };
        let _ = writeln!(text, "generator    {of}{each}");
    }
    if let Some(together) = results.together_s {
        let _ = writeln!(
            text,
            "warning: the shards measured at the same time for {together:.1} s of {:.1} s: rates are those of \
             parts of the load",
            results.measured_s
        );
    }
    if let Some(reason) = &generator.bottleneck {
        let _ = writeln!(text, "warning: the generator may have been the bottleneck: {reason}");
    }
    if let Some(reason) = &generator.contention {
        let _ = writeln!(text, "warning: the machine was full: {reason}");
    }
    if generator.bottleneck.is_none() && generator.contention.is_none() && results.measured_s > 0.0
    {
        let _ = writeln!(text, "             {}", bottleneck::of_neither(generator));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::Failures;

    fn latencies() -> Latencies {
        let mut histogram = crate::bench::results::precise();
        for number in 1..1000_u64 {
            histogram.record(number * 1_000_000).unwrap();
        }
        Latencies::of(&histogram)
    }

    #[test]
    fn what_is_outside_of_the_measured_time_is_named_beside_what_is_inside() {
        let mut results = crate::bench::sample::troubled(10);
        (results.totals.sent_before, results.totals.received_before) = (500, 490);
        results.totals.mismatched = 36_450;
        results.errors.insert("mismatch".to_owned(), failures(38_984));
        let text = table(&results, 200);
        for words in [
            "in the 10.00 s that were measured; before, 500 were sent and 490 received\n",
            "mismatched   36,450 of those received",
            "\nerrors in the whole run\n",
            "mismatch  38,984 × ",
        ] {
            assert!(text.contains(words), "{words:?} is not in {text}");
        }
        // Where all was measured, there is nothing to tell apart.
        let text = table(&crate::bench::sample::troubled(10), 200);
        assert!(!text.contains("before, ") && text.contains("\nerrors\n"), "{text}");
    }

    fn failures(count: u64) -> Failures {
        Failures { count, example: "the answer is another".to_owned() }
    }

    #[test]
    fn a_table_of_percentiles_is_turned_where_it_does_not_fit() {
        let (latencies, none) = (latencies(), Latencies::default());
        let rows = [("latency", &latencies), ("handshake", &none), ("gap", &latencies)];
        let shown = |width| {
            let mut text = String::new();
            percentiles(&mut text, &rows, width);
            text
        };
        let wide = shown(200);
        assert_eq!(wide.lines().count(), 4, "{wide}");
        assert!(!wide.contains("handshake") && wide.contains("p99.99"), "{wide}");
        let narrow = shown(40);
        assert_eq!(narrow.lines().count(), 12, "{narrow}");
        assert!(narrow.lines().all(|line| line.chars().count() <= 40), "{narrow}");
        assert!(narrow.contains("\np50 ") && narrow.contains("500 ms"), "{narrow}");
    }
}
