//! Measures each server in each scenario: once the latency of the other connections, and once with a probe
//! in the server.

use std::time::Duration;

use anyhow::Result;

use crate::bench::fair::outcome::{FairResult, FairSample};
use crate::bench::fair::scenario::Scenario;
use crate::bench::peer::{Peer, Rank, Source};
use crate::bench::scenario::Compression;
use crate::bench::serving::{Bench, Setup};
use crate::bench::threads::Threads;

const ARRANGEMENTS: [Threads; 2] = [Threads::One, Threads::Workers];

/// The libraries measured by default.
const USUAL: [&str; 2] = ["towline", "tokio-tungstenite"];

/// The duration and the number of turns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    /// The most connections that are held open.
    pub(crate) held: usize,
}

const WARM_UP: f64 = 0.3;

impl Span {
    /// After half of the measured time.
    fn keepalive(self) -> f64 {
        WARM_UP + self.seconds / 2.0
    }

    /// The additional time for opening connections and for late echoes.
    fn at_most(self) -> Duration {
        Duration::from_secs_f64(WARM_UP + self.seconds + 60.0)
    }
}

/// Returns whether it is measured: one of the Rust servers here, used as its documentation shows.
pub(crate) fn is_able(peer: &Peer, is_named: bool) -> bool {
    let usual = is_named || USUAL.contains(&peer.name);
    usual && !peer.is_floor() && peer.is_plain() && matches!(peer.source, Source::Cargo { .. })
}

/// A server that fails has no sample.
pub(crate) fn measure(
    bench: &Bench,
    scenarios: &[&Scenario],
    peers: &[Peer],
    span: Span,
    failures: &mut Vec<String>,
) -> Vec<FairResult> {
    let mut results = Vec::new();
    for peer in peers {
        let peer = greeted(peer);
        for threads in ARRANGEMENTS {
            println!("fairness: {}, {}", peer.name, threads.about());
            for scenario in scenarios.iter().filter(|scenario| scenario.suits(&peer)) {
                let mut result = prepare(scenario, &peer, threads, span);
                for round in 0..span.rounds {
                    match once(bench, scenario, &peer, threads, span) {
                        Ok(sample) => result.samples.push(FairSample { round, ..sample }),
                        Err(error) => failures.push(format!(
                            "{}, {}, {}: {error:#}",
                            peer.name,
                            scenario.name,
                            threads.about()
                        )),
                    }
                }
                results.push(result);
            }
        }
    }
    results.retain(|result| !result.samples.is_empty());
    results
}

/// Towline's server has a mode in which clients choose its behaviour; all others only echo.
fn greeted(peer: &Peer) -> Peer {
    let source = match peer.source {
        Source::Cargo { library, .. } if peer.rank == Rank::Towline => {
            Source::Cargo { library, mode: "fair" }
        }
        ref source => source.clone(),
    };
    Peer { source, ..peer.clone() }
}

fn prepare(scenario: &Scenario, peer: &Peer, threads: Threads, span: Span) -> FairResult {
    FairResult {
        peer: peer.name.to_owned(),
        scenario: scenario.name.to_owned(),
        about: scenario.about.to_owned(),
        threads,
        wanted: scenario.held.min(span.held),
        samples: Vec::new(),
    }
}

fn once(
    bench: &Bench,
    scenario: &Scenario,
    peer: &Peer,
    threads: Threads,
    span: Span,
) -> Result<FairSample> {
    let sample = turn(bench, scenario, peer, threads, span, false)?;
    let probed = turn(bench, scenario, peer, threads, span, true)?;
    Ok(FairSample { stretches: probed.stretches, ..sample })
}

fn turn(
    bench: &Bench,
    scenario: &Scenario,
    peer: &Peer,
    threads: Threads,
    span: Span,
    is_probed: bool,
) -> Result<FairSample> {
    let &Scenario { greed, size, kind, compression, held, asks, .. } = scenario;
    // The server must allow compression, and the client request it.
    let setup = Setup { size, in_flight: 1, compression: Compression::Off, threads };
    let mut wishes = Vec::new();
    if is_probed {
        wishes.push("--probe".to_owned());
    }
    if asks {
        wishes.push(format!("--keepalive={}", span.keepalive()));
    }
    let server = bench.serve_with(peer, &setup, &wishes)?;
    let mut arguments = vec![
        "fair".to_owned(),
        format!("--greed={greed}"),
        format!("--size={size}"),
        format!("--kind={}", kind.name()),
        format!("--connections={}", held.min(span.held)),
        format!("--warm-up={WARM_UP}"),
        format!("--seconds={}", span.seconds),
    ];
    arguments.extend(compression.arguments());
    arguments.extend(server.probe().map(|probe| format!("--probe={probe}")));
    bench.load(&server, &arguments, span.at_most())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::peer;

    #[test]
    fn who_is_not_named_must_be_usual() {
        let count =
            |is_named| peer::all(None).iter().filter(|peer| is_able(peer, is_named)).count();
        // One of each library of Rust, if it is named.
        assert_eq!((count(false), count(true)), (2, 7));
    }

    #[test]
    fn only_towline_does_what_a_client_asks_for() {
        for peer in peer::all(None).iter().map(greeted) {
            let is_fair = matches!(peer.source, Source::Cargo { mode: "fair", .. });
            assert_eq!(is_fair, peer.rank == Rank::Towline, "{}", peer.name);
        }
    }
}
