//! Connections that do little: what they cost to keep, and to open.

use std::time::Duration;

use anyhow::Result;
use serde::de::DeserializeOwned;

use crate::bench::outcome::{AcceptSample, MemorySample};
use crate::bench::peer::Peer;
use crate::bench::serving::{Bench, Setup};
use crate::bench::threads::Threads;

/// What each connection has echoed before it rests.
const ECHOED: usize = 1 << 10;

const AT_MOST: Duration = Duration::from_secs(120);

/// Resident memory: with so many connections, each after one message of 1 KiB, and before. The bare
/// echo is left out, as it does nothing to save any.
pub(crate) fn memory(
    bench: &Bench,
    peers: &[Peer],
    connections: usize,
    failures: &mut Vec<String>,
) -> Vec<MemorySample> {
    let mut samples = Vec::new();
    for peer in peers.iter().filter(|peer| !peer.is_floor()) {
        println!("memory: {}", peer.name);
        match once::<MemorySample>(bench, peer, "hold", connections) {
            Ok(sample) => samples.push(MemorySample { peer: peer.name.to_owned(), ..sample }),
            Err(error) => failures.push(format!("{}, memory: {error:#}", peer.name)),
        }
    }
    samples
}

/// Processor time from the connection to the 101. Only for libraries that have a handshake, and
/// for the bare echo, which has none to speak of.
pub(crate) fn accept(
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
        peers.retain(|peer| match once::<AcceptSample>(bench, peer, "accept", connections) {
            Ok(sample) => {
                samples.push(AcceptSample { peer: peer.name.to_owned(), round, ..sample });
                true
            }
            Err(error) => {
                failures.push(format!("{}, accepting: {error:#}", peer.name));
                false
            }
        });
    }
    samples
}

fn once<T: DeserializeOwned>(
    bench: &Bench,
    peer: &Peer,
    command: &str,
    connections: usize,
) -> Result<T> {
    let server = bench.serve(
        peer,
        &Setup { size: ECHOED, in_flight: 1, compressed: false, threads: Threads::One },
    )?;
    let connections = format!("--connections={connections}");
    let arguments = [command.to_owned(), connections, format!("--size={ECHOED}")];
    bench.load(&server, &arguments, AT_MOST)
}
