//! The cost of idle connections, and of opening connections.

use std::time::Duration;

use anyhow::Result;
use serde::de::DeserializeOwned;

use crate::bench::outcome::{AcceptSample, MemorySample};
use crate::bench::peer::{Peer, Rank};
use crate::bench::scenario::{Compression, Kind};
use crate::bench::serving::{Bench, Setup};
use crate::bench::threads::Threads;

const AT_MOST: Duration = Duration::from_secs(120);

/// The most memory in bytes for the compressed connections of one server.
const MOST_MEMORY: u64 = 4_000_000_000;

/// The number of connections for estimating the memory of each.
const FEW: usize = 200;

/// What each connection echoes before it becomes idle.
#[derive(Clone, Copy)]
struct Echoed {
    size: usize,
    kind: Kind,
    compression: Compression,
}

const PLAIN: Echoed = Echoed { size: 1 << 10, kind: Kind::Binary, compression: Compression::Off };

/// Measures resident memory before and with the connections, each after one message of 1 KiB. The bare
/// echo is left out, since it does not try to save memory.
pub(crate) fn memory(
    bench: &Bench,
    peers: &[Peer],
    connections: usize,
    failures: &mut Vec<String>,
) -> Vec<MemorySample> {
    memory_after(PLAIN, bench, peers, connections, failures)
}

/// The same over TLS, after a message that fills a record.
pub(crate) fn tls_memory(
    bench: &Bench,
    peers: &[Peer],
    connections: usize,
    failures: &mut Vec<String>,
) -> Vec<MemorySample> {
    memory_after(Echoed { size: 16 << 10, ..PLAIN }, bench, peers, connections, failures)
}

fn memory_after(
    echoed: Echoed,
    bench: &Bench,
    peers: &[Peer],
    connections: usize,
    failures: &mut Vec<String>,
) -> Vec<MemorySample> {
    let mut samples = Vec::new();
    for peer in peers.iter().filter(|peer| !peer.is_floor()) {
        println!("memory: {}", peer.name);
        match hold(bench, peer, echoed, connections) {
            Ok(sample) => samples.push(sample),
            Err(error) => failures.push(format!("{}, memory: {error:#}", peer.name)),
        }
    }
    samples
}

/// The same after one compressed message of 4 KiB of JSON, with fewer connections if they would take too
/// much memory. Only for the documented use of libraries, and for comparison for Towline without
/// compression.
pub(crate) fn compressed_memory(
    bench: &Bench,
    peers: &[Peer],
    connections: usize,
    failures: &mut Vec<String>,
) -> Vec<MemorySample> {
    let mut samples = Vec::new();
    for compression in [Compression::Off, Compression::Alone, Compression::Takeover] {
        let is_compared = |peer: &&Peer| {
            let compared = peer.rank == Rank::Towline || compression != Compression::Off;
            compared && peer.is_plain() && peer.compresses() && !peer.is_floor()
        };
        let echoed = Echoed { size: 4 << 10, kind: Kind::Json, compression };
        for peer in peers.iter().filter(is_compared) {
            println!("memory, {}: {}", compression.about(), peer.name);
            let sample = hold(bench, peer, echoed, FEW.min(connections))
                .and_then(|few| hold(bench, peer, echoed, affordable(&few, connections)));
            match sample {
                Ok(sample) => samples.push(sample),
                Err(error) => failures.push(format!(
                    "{}, memory, {}: {error:#}",
                    peer.name,
                    compression.about()
                )),
            }
        }
    }
    samples
}

/// Returns the wanted number of connections, halved until they fit into memory, if each takes as much as
/// in the estimate.
fn affordable(few: &MemorySample, wanted: usize) -> usize {
    let growth = few.after.saturating_sub(few.before);
    let is_too_much = |count: usize| growth * count as u64 > MOST_MEMORY * few.connections;
    let mut count = wanted;
    while count > 1 && is_too_much(count) {
        count /= 2;
    }
    count
}

/// Measures processor time from the connection to the 101, for libraries that have a handshake, and for
/// the bare echo, whose own is minimal.
pub(crate) fn accept(
    bench: &Bench,
    peers: &[Peer],
    connections: usize,
    rounds: usize,
    failures: &mut Vec<String>,
) -> Vec<AcceptSample> {
    accept_by(&[false], bench, peers, connections, rounds, failures)
}

/// The same over TLS, with new and with resumed sessions.
pub(crate) fn tls_accept(
    bench: &Bench,
    peers: &[Peer],
    connections: usize,
    rounds: usize,
    failures: &mut Vec<String>,
) -> Vec<AcceptSample> {
    let samples = accept_by(&[false, true], bench, peers, connections, rounds, failures);
    for AcceptSample { peer, resume, connections, resumed, .. } in &samples {
        if *resume && resumed < connections {
            failures.push(format!("{peer}: {resumed} of {connections} sessions were resumed"));
        }
    }
    samples
}

/// With or without resumed TLS sessions.
fn accept_by(
    resume: &[bool],
    bench: &Bench,
    peers: &[Peer],
    connections: usize,
    rounds: usize,
    failures: &mut Vec<String>,
) -> Vec<AcceptSample> {
    let mut peers: Vec<_> =
        peers.iter().filter(|peer| peer.own_handshake || peer.name == "bare").collect();
    let mut samples = Vec::new();
    for round in 0..rounds {
        println!("accepting: round {} of {rounds}", round + 1);
        for &resume in resume {
            let command: &[&str] = if resume { &["accept", "--resume"] } else { &["accept"] };
            peers.retain(|peer| match once(bench, peer, command, PLAIN, connections) {
                Ok(sample) => {
                    let peer = peer.name.to_owned();
                    samples.push(AcceptSample { peer, round, resume, ..sample });
                    true
                }
                Err(error) => {
                    failures.push(format!("{}, accepting: {error:#}", peer.name));
                    false
                }
            });
        }
    }
    samples
}

fn hold(bench: &Bench, peer: &Peer, echoed: Echoed, connections: usize) -> Result<MemorySample> {
    let sample = once::<MemorySample>(bench, peer, &["hold"], echoed, connections)?;
    Ok(MemorySample { peer: peer.name.to_owned(), compression: echoed.compression, ..sample })
}

fn once<T: DeserializeOwned>(
    bench: &Bench,
    peer: &Peer,
    command: &[&str],
    echoed: Echoed,
    connections: usize,
) -> Result<T> {
    let Echoed { size, kind, compression } = echoed;
    let setup = Setup { size, in_flight: 1, compression, threads: Threads::One };
    let server = bench.serve(peer, &setup)?;
    let mut arguments: Vec<_> = command.iter().map(|&argument| argument.to_owned()).collect();
    arguments.extend([
        format!("--connections={connections}"),
        format!("--size={size}"),
        format!("--kind={}", kind.name()),
    ]);
    arguments.extend(compression.arguments());
    bench.load(&server, &arguments, AT_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_server_gets_more_connections_than_memory_allows() {
        let each = |bytes: u64| MemorySample {
            peer: String::new(),
            compression: Compression::Takeover,
            connections: 200,
            before: 7,
            after: 7 + bytes * 200,
        };
        assert_eq!(affordable(&each(400_000), 10_000), 10_000);
        assert_eq!(affordable(&each(400_001), 10_000), 5000);
        assert_eq!(affordable(&each(1_000_000), 10_000), 2500);
        assert_eq!(affordable(&each(0), 10_000), 10_000);
    }
}
