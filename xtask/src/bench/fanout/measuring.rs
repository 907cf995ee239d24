//! Measures the servers round by round, as echoes are measured.

use std::time::Duration;

use anyhow::Result;

use crate::bench::echoing::Pace;
use crate::bench::fanout::outcome::{FanoutResult, FanoutSample};
use crate::bench::fanout::scenario::Scenario;
use crate::bench::peer::Peer;
use crate::bench::scenario::Compression;
use crate::bench::serving::{Bench, Setup};
use crate::bench::threads::Threads;

/// A server that fails in a scenario is left out of later rounds of it.
pub(crate) fn measure(
    bench: &Bench,
    scenarios: &[&Scenario],
    peers: &[Peer],
    pace: Pace,
    failures: &mut Vec<String>,
) -> Vec<FanoutResult> {
    let mut measured: Vec<Vec<(&Peer, FanoutResult)>> = scenarios
        .iter()
        .map(|scenario| {
            let able = peers.iter().filter(|peer| scenario.suits(peer));
            able.map(|peer| (peer, prepare(scenario, peer))).collect()
        })
        .collect();
    for round in 0..pace.rounds() {
        for (scenario, results) in scenarios.iter().zip(&mut measured) {
            println!("fan-out, round {} of {}: {}", round + 1, pace.rounds(), scenario.name);
            if !results.is_empty() && round > 0 {
                // Each round begins with another server.
                results.rotate_left(1);
            }
            results.retain_mut(|(peer, result)| match once(bench, scenario, peer, pace) {
                Ok(sample) => {
                    result.samples.push(FanoutSample { round, ..sample });
                    true
                }
                Err(error) => {
                    let failure = format!("{} in {}: {error:#}", peer.name, scenario.name);
                    println!("{failure}");
                    failures.push(failure);
                    false
                }
            });
        }
    }
    let place = |result: &FanoutResult| peers.iter().position(|peer| peer.name == result.peer);
    let in_order = |results: Vec<(&Peer, FanoutResult)>| {
        let mut results: Vec<_> = results.into_iter().map(|(_, result)| result).collect();
        results.sort_by_key(place);
        results
    };
    measured.into_iter().flat_map(in_order).collect()
}

fn prepare(scenario: &Scenario, peer: &Peer) -> FanoutResult {
    FanoutResult {
        scenario: scenario.name.to_owned(),
        about: scenario.about.to_owned(),
        peer: peer.name.to_owned(),
        rank: peer.rank,
        stalled: scenario.stalled,
        compressed: scenario.compression != Compression::Off,
        wanted: scenario.members,
        samples: Vec::new(),
    }
}

fn once(bench: &Bench, scenario: &Scenario, peer: &Peer, pace: Pace) -> Result<FanoutSample> {
    let &Scenario { topics, members, burst, size, kind, compression, stalled, .. } = scenario;
    let setup = Setup { size, in_flight: burst, compression, threads: Threads::One };
    let server = bench.serve_with(peer, &setup, &["--fanout".to_owned()])?;
    let mut arguments = vec![
        "fanout".to_owned(),
        format!("--topics={topics}"),
        format!("--connections={members}"),
        format!("--burst={burst}"),
        format!("--size={size}"),
        format!("--kind={}", kind.name()),
        format!("--warm-up={}", pace.warm_up()),
        format!("--seconds={}", pace.seconds()),
    ];
    arguments.extend(stalled.then(|| "--stalled".to_owned()));
    arguments.extend(compression.arguments());
    // With time for opening connections, and for filling one.
    let at_most = Duration::from_secs_f64(pace.warm_up() + pace.seconds() + 90.0);
    bench.load(&server, &arguments, at_most)
}
