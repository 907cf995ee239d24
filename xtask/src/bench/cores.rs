//! Servers on two threads and both cores, which the load generator shares: two workers of one runtime,
//! or two runtimes; and on one thread for comparison.

use crate::bench::echoing::{Pace, once};
use crate::bench::outcome::{CoresResult, EchoSample};
use crate::bench::peer::Peer;
use crate::bench::scenario::Scenario;
use crate::bench::serving::Bench;
use crate::bench::threads::Threads;

const ARRANGEMENTS: [Threads; 3] = [Threads::One, Threads::Workers, Threads::Apart];

/// The libraries measured by default, whose servers can have several threads.
const USUAL: [&str; 4] = ["bare", "towline", "tokio-tungstenite", "fastwebsockets-direct"];

/// The scenarios measured by default.
const SCENARIOS: [&str; 3] = ["32B-one", "32B-flight", "1KiB-flight"];

pub(crate) fn is_usual_peer(name: &str) -> bool {
    USUAL.contains(&name)
}

pub(crate) fn is_usual_scenario(name: &str) -> bool {
    SCENARIOS.contains(&name)
}

/// A server that fails has no result.
pub(crate) fn measure(
    bench: &Bench,
    scenarios: &[&Scenario],
    peers: &[&Peer],
    pace: Pace,
    failures: &mut Vec<String>,
) -> Vec<CoresResult> {
    let mut results: Vec<CoresResult> = Vec::new();
    for scenario in scenarios {
        for peer in peers {
            for threads in ARRANGEMENTS {
                let (peer, scenario) = (peer.name.to_owned(), scenario.name.to_owned());
                results.push(CoresResult { peer, scenario, threads, samples: Vec::new() });
            }
        }
    }
    for round in 0..pace.rounds() {
        println!("cores: round {} of {}", round + 1, pace.rounds());
        for turn in 0..results.len() {
            let result = &mut results[(turn + round) % (scenarios.len() * peers.len() * 3)];
            let peer = peers.iter().find(|peer| peer.name == result.peer);
            let scenario = scenarios.iter().find(|scenario| scenario.name == result.scenario);
            let (Some(peer), Some(scenario)) = (peer, scenario) else { continue };
            match once(bench, scenario, peer, result.threads, pace) {
                Ok(sample) => result.samples.push(EchoSample { round, ..sample }),
                Err(error) => failures.push(format!(
                    "{}, {}, {}: {error:#}",
                    peer.name,
                    scenario.name,
                    result.threads.about()
                )),
            }
        }
    }
    results.retain(|result| !result.samples.is_empty());
    results
}
