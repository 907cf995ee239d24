//! The tables: processor time, deliveries per second, and latency with a member that never reads.

use std::fmt::Write;

use crate::bench::fair;
use crate::bench::fanout::outcome::{FanoutResult, FanoutSample};
use crate::bench::outcome::as_float;
use crate::bench::peer::Rank;
use crate::bench::table::{number, time};

/// The scenario that the one with a member that never reads is compared with.
const CALM: &str = "fanout-one";

pub(crate) fn table(results: &[FanoutResult]) -> String {
    let cost = |result: &FanoutResult| {
        let floor = of(results, &result.scenario).find(|other| other.rank == Rank::Floor);
        let ratio = floor.and_then(|floor| result.ratio_to(floor));
        let cost = time(result.median(FanoutSample::cpu_ns_per_delivery));
        let bytes = result.compressed.then(|| result.samples.first().map(|sample| sample.bytes));
        let bytes = bytes.flatten().map(|bytes| format!(", {bytes} B")).unwrap_or_default();
        format!("{cost}, {}{bytes}", number(ratio))
    };
    let rate = |result: &FanoutResult| count(result.median(FanoutSample::deliveries_per_second));
    let mut text = grid("a delivery: CPU, to the bare loop", results, cost);
    text.push_str(&grid("deliveries per second", results, rate));
    text.push_str(&latencies(results));
    text
}

/// The results of a scenario.
fn of<'a>(results: &'a [FanoutResult], name: &str) -> impl Iterator<Item = &'a FanoutResult> {
    results.iter().filter(move |result| result.scenario == name)
}

/// A row for each server, and a column for each scenario.
fn grid(what: &str, results: &[FanoutResult], cell: impl Fn(&FanoutResult) -> String) -> String {
    let (mut scenarios, mut peers) = (Vec::new(), Vec::new());
    for result in results {
        if !scenarios.contains(&&*result.scenario) {
            scenarios.push(&*result.scenario);
        }
        if !peers.contains(&&*result.peer) {
            peers.push(&*result.peer);
        }
    }
    let heads =
        scenarios.iter().map(|name| of(results, name).next().map_or_else(String::new, about));
    let mut text = format!("| {what} | {} |\n|", heads.collect::<Vec<_>>().join(" | "));
    let _ = writeln!(text, "{}", " --- |".repeat(scenarios.len() + 1));
    for peer in peers {
        let own = |name: &&str| of(results, name).find(|result| result.peer == peer);
        let cells = scenarios.iter().map(|name| own(name).map_or("–".to_owned(), &cell));
        let _ = writeln!(text, "| {peer} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    text.push('\n');
    text
}

/// Latency from the write of the publisher to the read of a member, without and with one that never reads.
fn latencies(results: &[FanoutResult]) -> String {
    let mut text = String::new();
    for stalled in results.iter().filter(|result| result.stalled) {
        let calm = of(results, CALM).find(|calm| calm.peer == stalled.peer);
        if text.is_empty() {
            let _ = writeln!(
                text,
                "| latency of a delivery, {} | p50 without it | p50 with it | p99 without it | p99 with it \
                 |\n|{}",
                about(stalled),
                " --- |".repeat(5)
            );
        }
        let cells = [p50, p99].map(|part| {
            let latency = |result: &FanoutResult| fair::time(Some(result.median(part)));
            format!("{} | {}", calm.map_or("–".to_owned(), latency), latency(stalled))
        });
        let _ = writeln!(text, "| {} | {} |", stalled.peer, cells.join(" | "));
    }
    text
}

fn p50(sample: &FanoutSample) -> f64 {
    as_float(sample.latency.p50_ns)
}

fn p99(sample: &FanoutSample) -> f64 {
    as_float(sample.latency.p99_ns)
}

fn about(result: &FanoutResult) -> String {
    let members = result.members();
    let mut count = members.to_string();
    if members < result.wanted {
        let _ = write!(count, " (of {}, by the limit of descriptors)", result.wanted);
    }
    result.about.replace("{members}", &count)
}

/// Formats a number with three digits.
fn count(count: f64) -> String {
    match count {
        count if count >= 999_500.0 => format!("{:.2} M", count / 1e6),
        count => format!("{:.0} k", count / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::fair::outcome::Latency;
    use crate::bench::outcome::Usage;

    fn result(scenario: &str, peer: &str, rank: Rank, costs: &[u64]) -> FanoutResult {
        let sample = |(round, &cpu_ns): (usize, &u64)| FanoutSample {
            round,
            members: 900,
            published: 10,
            delivered: 9000,
            bytes: 700,
            seconds: 0.01,
            latency: Latency { p50_ns: cpu_ns, p99_ns: 2 * cpu_ns, ..Latency::default() },
            server: Usage { cpu_ns: 9000 * cpu_ns, ..Usage::default() },
            ..FanoutSample::default()
        };
        FanoutResult {
            scenario: scenario.into(),
            about: format!("{{members}}, {scenario}"),
            peer: peer.into(),
            rank,
            stalled: scenario == "stalled",
            compressed: scenario == "json",
            wanted: 900,
            samples: costs.iter().enumerate().map(sample).collect(),
        }
    }

    #[test]
    fn a_cell_has_the_time_and_its_ratio_in_the_same_round() {
        let text = table(&[
            result(CALM, "bare", Rank::Floor, &[1000, 2000]),
            result(CALM, "towline-topics", Rank::Towline, &[1100, 4400]),
            result("json", "towline-topics", Rank::Towline, &[300]),
        ]);
        let expected = "| a delivery: CPU, to the bare loop | 900, fanout-one | 900, json |\n\
                        | --- | --- | --- |\n\
                        | bare | 1.50 µs, 1.00 | – |\n\
                        | towline-topics | 2.75 µs, 1.65 | 300 ns, –, 700 B |\n\n\
                        | deliveries per second | 900, fanout-one | 900, json |\n\
                        | --- | --- | --- |\n\
                        | bare | 900 k | – |\n\
                        | towline-topics | 900 k | 900 k |\n\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn latencies_are_beside_those_without_the_member() {
        let mut short = result("stalled", "ws", Rank::Foreign, &[7000]);
        short.wanted = 1000;
        let text = table(&[
            result(CALM, "bare", Rank::Floor, &[1000]),
            result("stalled", "bare", Rank::Floor, &[3000]),
            short,
        ]);
        let rows: Vec<_> = text.lines().skip_while(|line| !line.contains("latency")).collect();
        assert_eq!(
            rows,
            [
                "| latency of a delivery, 900, stalled | p50 without it | p50 with it \
                 | p99 without it | p99 with it |",
                "| --- | --- | --- | --- | --- |",
                "| bare | 1.00 µs | 3.00 µs | 2.00 µs | 6.00 µs |",
                "| ws | – | 7.00 µs | – | 14.0 µs |",
            ]
        );
    }

    #[test]
    fn a_topic_with_fewer_members_says_why() {
        let mut short = result("a", "p", Rank::Plain, &[1]);
        short.wanted = 1000;
        assert_eq!(about(&short), "900 (of 1000, by the limit of descriptors), a");
    }

    #[test]
    fn counts_have_a_unit() {
        assert_eq!((count(812_345.0), count(1_234_567.0)), ("812 k".into(), "1.23 M".into()));
    }

    #[test]
    fn what_the_load_prints_is_a_sample() {
        let printed = r#"{"members":1000,"published":74,"delivered":74000,"bytes":128,"seconds":1.0,
            "latency":{"count":74000,"p50_ns":6787141,"p99_ns":39235227,"max_ns":50728305,
            "unanswered":0},"server":{"cpu_ns":390146379,"user_ms":40,"system_ms":350,
            "voluntary_switches":74,"involuntary_switches":5993},"load":{"cpu_ns":348807490,
            "user_ms":10,"system_ms":340,"voluntary_switches":6065,"involuntary_switches":17},
            "compared":7000}"#;
        let sample: FanoutSample = serde_json::from_str(printed).unwrap();
        assert_eq!(sample.cpu_ns_per_delivery().round(), 5272.0);
        assert_eq!(sample.deliveries_per_second(), 74000.0);
    }
}
