//! Echoes, round by round: every server under every load, so that a slow minute affects all alike.

use std::time::Duration;

use anyhow::Result;

use crate::bench::outcome::{EchoResult, EchoSample, EchoScenario};
use crate::bench::peer::Peer;
use crate::bench::scenario::Scenario;
use crate::bench::serving::{Bench, Setup};
use crate::bench::threads::Threads;

#[derive(Clone, Copy)]
pub(crate) struct Pace {
    rounds: usize,
    warm_up: f64,
    seconds: f64,
}

impl Pace {
    pub(crate) fn rounds(self) -> usize {
        self.rounds
    }

    pub(crate) fn warm_up(self) -> f64 {
        self.warm_up
    }

    pub(crate) fn seconds(self) -> f64 {
        self.seconds
    }

    pub(crate) fn new(rounds: usize, quick: bool, seconds: Option<f64>) -> Self {
        let seconds = seconds.unwrap_or(if quick { 1.0 } else { 3.0 }).clamp(0.1, 600.0);
        Self { rounds, warm_up: (seconds / 3.0).min(1.0), seconds }
    }
}

/// A server that fails under a load is left out of later rounds of it.
pub(crate) fn measure(
    bench: &Bench,
    scenarios: &[&Scenario],
    peers: &[Peer],
    pace: Pace,
    failures: &mut Vec<String>,
) -> Vec<EchoScenario> {
    let able = |scenario: &Scenario| -> Vec<&Peer> {
        peers.iter().filter(|peer| !scenario.is_compressed() || peer.compresses()).collect()
    };
    let mut outcomes: Vec<_> =
        scenarios.iter().map(|scenario| prepare(scenario, &able(scenario))).collect();
    let mut failed: Vec<(usize, usize)> = Vec::new();
    for round in 0..pace.rounds {
        for (at, scenario) in scenarios.iter().enumerate() {
            let peers = able(scenario);
            println!("round {} of {}: {}", round + 1, pace.rounds, scenario.name);
            for turn in 0..peers.len() {
                // Each round begins with another server.
                let number = (turn + round * peers.len() / pace.rounds) % peers.len();
                if failed.contains(&(at, number)) {
                    continue;
                }
                match once(bench, scenario, peers[number], Threads::One, pace) {
                    Ok(sample) => {
                        outcomes[at].results[number].samples.push(EchoSample { round, ..sample })
                    }
                    Err(error) => {
                        let failure =
                            format!("{} under {}: {error:#}", peers[number].name, scenario.name);
                        println!("{failure}");
                        failures.push(failure);
                        failed.push((at, number));
                        outcomes[at].results[number].samples.clear();
                    }
                }
            }
        }
    }
    for outcome in &mut outcomes {
        outcome.sum_up();
    }
    outcomes
}

/// One turn of one server.
pub(crate) fn once(
    bench: &Bench,
    scenario: &Scenario,
    peer: &Peer,
    threads: Threads,
    pace: Pace,
) -> Result<EchoSample> {
    let &Scenario { size, in_flight, compression, .. } = scenario;
    let server = bench.serve(peer, &Setup { size, in_flight, compression, threads })?;
    let Pace { warm_up, seconds, .. } = pace;
    let mut arguments = vec![
        "echo".to_owned(),
        format!("--connections={}", scenario.connections),
        format!("--size={}", scenario.size),
        format!("--kind={}", scenario.kind.name()),
        format!("--in-flight={}", scenario.in_flight),
        format!("--warm-up={warm_up}"),
        format!("--seconds={seconds}"),
    ];
    arguments.extend(compression.arguments());
    let at_most = Duration::from_secs_f64(warm_up + seconds + 40.0);
    bench.load(&server, &arguments, at_most)
}

fn prepare(scenario: &Scenario, peers: &[&Peer]) -> EchoScenario {
    let result = |peer: &&Peer| EchoResult {
        peer: peer.name.to_owned(),
        rank: peer.rank,
        cpu_ns_per_message: 0.0,
        ratio_to_bare: None,
        samples: Vec::new(),
    };
    EchoScenario {
        name: scenario.name.to_owned(),
        about: scenario.about(),
        connections: scenario.connections,
        size: scenario.size,
        kind: scenario.kind,
        in_flight: scenario.in_flight,
        compression: scenario.compression,
        goal: scenario.goal,
        results: peers.iter().map(result).collect(),
    }
}
