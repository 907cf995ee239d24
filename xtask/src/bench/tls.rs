//! The measurements over TLS, and the table of handshakes.

use std::fmt::Write;

use crate::bench::outcome::{AcceptSample, median};
use crate::bench::scenario::Scenario;
use crate::bench::table::{number, time};

/// The scenarios, which differ in the size of messages and not in their content.
const SCENARIOS: [&str; 5] =
    ["32B-one", "32B-flight", "1KiB-flight", "16KiB-binary", "1MiB-binary"];

/// The goals for Towline, as ratios to the bare echo over TLS.
const GOAL: f64 = 1.10;

/// Returns the chosen scenarios that are measured over TLS.
pub(crate) fn scenarios(chosen: &[&Scenario]) -> Vec<Scenario> {
    let own = chosen.iter().filter(|scenario| SCENARIOS.contains(&scenario.name));
    own.map(|&scenario| Scenario { goal: Some(GOAL), ..scenario.clone() }).collect()
}

/// Processor time and wall time of an accepted connection, with a new and with a resumed session.
pub(crate) fn accept(samples: &[AcceptSample]) -> String {
    let mut rows: Vec<(f64, &str)> = Vec::new();
    for AcceptSample { peer, .. } in samples {
        if !rows.iter().any(|(_, name)| name == peer) {
            let cost = cost(samples, peer, false, AcceptSample::cpu_ns_per_connection);
            rows.push((cost.unwrap_or(f64::INFINITY), peer));
        }
    }
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut table = String::from(
        "| accepting a connection over TLS | new: CPU | to bare TLS | time | resumed: CPU \
         | to bare TLS | time |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for (_, peer) in rows {
        let cells = [false, true].map(|resume| cells(samples, peer, resume)).concat();
        let _ = writeln!(table, "| {peer} | {} |", cells.join(" | "));
    }
    table
}

fn cells(samples: &[AcceptSample], peer: &str, resume: bool) -> [String; 3] {
    let own = of(samples, peer, resume);
    let ratios = own.filter_map(|own| {
        let floor = of(samples, "bare", resume).find(|floor| floor.round == own.round)?;
        Some(own.cpu_ns_per_connection() / floor.cpu_ns_per_connection())
    });
    let shown = |cost: Option<f64>| cost.map_or_else(|| "–".to_owned(), time);
    [
        shown(cost(samples, peer, resume, AcceptSample::cpu_ns_per_connection)),
        number(median(ratios.collect())),
        shown(cost(samples, peer, resume, AcceptSample::ns_per_connection)),
    ]
}

/// The median over the rounds.
fn cost(
    samples: &[AcceptSample],
    peer: &str,
    resume: bool,
    value: impl Fn(&AcceptSample) -> f64,
) -> Option<f64> {
    median(of(samples, peer, resume).map(value).collect())
}

/// The turns in which all sessions were resumed, or none.
fn of<'a>(
    samples: &'a [AcceptSample],
    peer: &'a str,
    resume: bool,
) -> impl Iterator<Item = &'a AcceptSample> {
    let own = samples.iter().filter(move |own| own.peer == peer && own.resume == resume);
    own.filter(|own| own.resumed == if own.resume { own.connections } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::outcome::Usage;
    use crate::bench::scenario::SCENARIOS as ALL;

    #[test]
    fn all_that_is_measured_is_there() {
        let own = scenarios(&ALL.iter().collect::<Vec<_>>());
        assert_eq!(own.len(), SCENARIOS.len());
        assert!(own.iter().all(|scenario| scenario.goal == Some(GOAL)));
    }

    #[test]
    fn sessions_that_were_not_resumed_do_not_count_as_resumed() {
        let sample = |peer: &str, resume, resumed, cpu_ns| AcceptSample {
            peer: peer.to_owned(),
            round: 0,
            connections: 100,
            resume,
            resumed,
            seconds: 0.05,
            server: Usage { cpu_ns, ..Usage::default() },
        };
        let table = accept(&[
            sample("towline", false, 0, 20_000_000),
            sample("towline", true, 100, 11_000_000),
            sample("bare", false, 0, 16_000_000),
            sample("bare", true, 100, 10_000_000),
            sample("other", false, 0, 32_000_000),
            sample("other", true, 7, 31_000_000),
        ]);
        let rows: Vec<_> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| bare | 160 µs | 1.00 | 500 µs | 100 µs | 1.00 | 500 µs |",
                "| towline | 200 µs | 1.25 | 500 µs | 110 µs | 1.10 | 500 µs |",
                "| other | 320 µs | 2.00 | 500 µs | – | – | – |",
            ]
        );
    }
}
