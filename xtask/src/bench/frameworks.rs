//! Servers under axum and hyper: echoes over HTTP/1.1 beside servers without a framework, and over HTTP/2.

use std::fmt::Write;

use crate::bench::outcome::{EchoResult, EchoScenario};
use crate::bench::scenario::Scenario;
use crate::bench::table::{names, number, ratio, time};

/// The scenarios over HTTP/2. hyper's servers allow 200 streams on a connection, so `512B-many` is not among
/// them.
const OVER_HTTP2: [&str; 5] =
    ["32B-one", "32B-flight", "1KiB-flight", "16KiB-binary", "1MiB-binary"];

/// The server whose times the others are relative to, over HTTP/2.
const REFERENCE: &str = "axum";

/// Returns the chosen scenarios that are measured over HTTP/2.
pub(crate) fn over_http2<'a>(chosen: &[&'a Scenario]) -> Vec<&'a Scenario> {
    chosen.iter().copied().filter(|scenario| OVER_HTTP2.contains(&scenario.name)).collect()
}

/// Processor time per message over HTTP/1.1, and its ratio to the bare echo.
pub(crate) fn axum(scenarios: &[EchoScenario]) -> String {
    table("echo under axum: CPU, to bare TCP", scenarios, |_, result| ratio(result))
}

/// Processor time per message over HTTP/2, and its ratio to axum's own extractor.
pub(crate) fn http2(scenarios: &[EchoScenario]) -> String {
    table("echo over HTTP/2: CPU, to axum", scenarios, |scenario, result| {
        number(scenario.of(REFERENCE).and_then(|reference| result.ratio_to(reference)))
    })
}

fn table(
    what: &str,
    scenarios: &[EchoScenario],
    ratio: impl Fn(&EchoScenario, &EchoResult) -> String,
) -> String {
    let heads: Vec<_> = scenarios.iter().map(|scenario| scenario.about.as_str()).collect();
    let mut table = format!("| {what} | {} |\n|", heads.join(" | "));
    let _ = writeln!(table, "{}", " --- |".repeat(scenarios.len() + 1));
    for name in names(scenarios.iter()) {
        let cells = scenarios.iter().map(|scenario| match scenario.of(name) {
            Some(own) => format!("{}, {}", time(own.cpu_ns_per_message), ratio(scenario, own)),
            None => "–".to_owned(),
        });
        let _ = writeln!(table, "| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::outcome::{EchoSample, Usage};
    use crate::bench::peer::Rank;
    use crate::bench::scenario::{Compression, Kind, SCENARIOS};

    #[test]
    fn all_scenarios_over_http2_are_there() {
        let own = over_http2(&SCENARIOS.iter().collect::<Vec<_>>());
        assert_eq!(own.len(), OVER_HTTP2.len());
        // The limit of hyper's servers.
        assert!(own.iter().all(|scenario| scenario.connections <= 200));
    }

    fn scenario(name: &str, results: &[(&str, Rank, &[u64])]) -> EchoScenario {
        let sample = |(round, &cpu_ns): (usize, &u64)| EchoSample {
            round,
            messages: 10,
            server: Usage { cpu_ns, ..Usage::default() },
            ..EchoSample::default()
        };
        let result = |&(peer, rank, costs): &(&str, Rank, &[u64])| EchoResult {
            peer: peer.to_owned(),
            rank,
            cpu_ns_per_message: 0.0,
            ratio_to_bare: None,
            samples: costs.iter().enumerate().map(sample).collect(),
        };
        let mut scenario = EchoScenario {
            name: name.to_owned(),
            about: name.to_owned(),
            connections: 1,
            size: 1,
            kind: Kind::Binary,
            in_flight: 1,
            compression: Compression::Off,
            goal: None,
            results: results.iter().map(result).collect(),
        };
        scenario.sum_up();
        scenario
    }

    #[test]
    fn a_row_has_times_and_ratios() {
        let scenarios = [
            scenario(
                "a",
                &[
                    ("bare", Rank::Floor, &[1000, 2000]),
                    ("towline-axum", Rank::Towline, &[1500, 3000]),
                    ("axum", Rank::Plain, &[3000, 4000]),
                ],
            ),
            scenario("b", &[("bare", Rank::Floor, &[1000]), ("axum", Rank::Plain, &[])]),
        ];
        assert_eq!(
            axum(&scenarios),
            "| echo under axum: CPU, to bare TCP | a | b |\n| --- | --- | --- |\n\
             | bare | 150 ns, 1.00 | 100 ns, 1.00 |\n\
             | towline-axum | 225 ns, 1.50 | – |\n\
             | axum | 350 ns, 2.50 | – |\n"
        );
    }

    #[test]
    fn over_http2_ratios_are_to_axum() {
        let scenarios = [
            scenario(
                "a",
                &[
                    ("towline-hyper", Rank::Towline, &[1000, 3000]),
                    ("axum", Rank::Plain, &[2000, 4000]),
                ],
            ),
            scenario("b", &[("towline-hyper", Rank::Towline, &[1000])]),
        ];
        assert_eq!(
            http2(&scenarios),
            "| echo over HTTP/2: CPU, to axum | a | b |\n| --- | --- | --- |\n\
             | towline-hyper | 200 ns, 0.62 | 100 ns, – |\n\
             | axum | 300 ns, 1.00 | – |\n"
        );
    }
}
