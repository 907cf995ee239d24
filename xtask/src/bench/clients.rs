//! Clients that send or receive as fast as they can, with a cheap peer on the other core, round by
//! round as the servers.

use std::time::Duration;

use anyhow::Result;

use crate::bench::outcome::{ClientSample, Speed};
use crate::bench::serving::Bench;

/// A library as a client, in one of its variants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    library: &'static str,
    /// Whether this variant receives differently from the others of its library.
    receives: bool,
}

const fn way(name: &'static str, library: &'static str, receives: bool) -> Way {
    Way { name, library, receives }
}

/// All of them, in the order of the tables.
pub(crate) const WAYS: [Way; 14] = [
    way("towline", "towline", true),
    way("towline-borrowed", "towline", true),
    way("tokio-tungstenite", "tokio-tungstenite", true),
    way("tokio-tungstenite-batched", "tokio-tungstenite", false),
    way("fastwebsockets", "fastwebsockets", true),
    way("fastwebsockets-corked", "fastwebsockets", false),
    way("tokio-websockets", "tokio-websockets", true),
    way("tokio-websockets-batched", "tokio-websockets", false),
    way("yawc", "yawc", true),
    way("yawc-batched", "yawc", true),
    way("sockudo-ws", "sockudo-ws", true),
    way("sockudo-ws-batched", "sockudo-ws", false),
    way("web-socket", "web-socket", true),
    way("web-socket-corked", "web-socket", false),
];

pub(crate) const SIZES: [usize; 3] = [32, 1 << 10, 1 << 20];

/// The direction of the messages, and the peer.
pub(crate) const DIRECTIONS: [(&str, &str); 2] = [("send", "sink"), ("receive", "source")];

impl Way {
    /// Returns whether it was chosen.
    pub(crate) fn is_among(&self, names: &[String]) -> bool {
        names.is_empty() || names.iter().any(|name| name == self.name || name == self.library)
    }
}

/// The time of measurement in each turn.
pub(crate) fn seconds(quick: bool) -> f64 {
    if quick { 0.3 } else { 1.5 }
}

/// A client that fails is left out of later rounds of that size and direction.
pub(crate) fn measure(
    bench: &Bench,
    ways: &[Way],
    rounds: usize,
    quick: bool,
    failures: &mut Vec<String>,
) -> Vec<ClientSample> {
    let (warm_up, seconds) = (if quick { 0.1 } else { 0.5 }, seconds(quick));
    let mut samples: Vec<ClientSample> = Vec::new();
    let mut failed = Vec::new();
    for round in 0..rounds {
        println!("clients: round {} of {rounds}", round + 1);
        for (direction, opposite) in DIRECTIONS {
            for size in SIZES {
                for turn in 0..ways.len() {
                    let way = ways[(turn + round * ways.len() / rounds) % ways.len()];
                    let key = (direction, size, way.name);
                    if failed.contains(&key) || direction == "receive" && !way.receives {
                        continue;
                    }
                    match once(bench, opposite, &key, (warm_up, seconds)) {
                        Ok(sample) => samples.push(ClientSample { round, ..sample }),
                        Err(error) => {
                            failures.push(format!("{}, {direction} {size} B: {error:#}", way.name));
                            failed.push(key);
                        }
                    }
                }
            }
        }
    }
    samples
}

fn once(
    bench: &Bench,
    opposite: &str,
    &(direction, size, way): &(&str, usize, &str),
    (warm_up, seconds): (f64, f64),
) -> Result<ClientSample> {
    let server = bench.serve_client(opposite, size)?;
    let arguments = [
        direction.to_owned(),
        format!("--address={}", server.address()),
        format!("--way={way}"),
        format!("--size={size}"),
        format!("--warm-up={warm_up}"),
        format!("--seconds={seconds}"),
    ];
    let sample: ClientSample = bench.client(&arguments, Duration::from_secs(30))?;
    Ok(ClientSample { client: way.to_owned(), direction: direction.to_owned(), size, ..sample })
}

/// Masking compared with copying, in memory.
pub(crate) fn masking(bench: &Bench, quick: bool) -> Result<Vec<Speed>> {
    let seconds = if quick { 0.05 } else { 0.5 };
    let arguments = ["masking".to_owned(), format!("--seconds={seconds}")];
    bench.client(&arguments, Duration::from_secs(60))
}
