//! The measurements, and the values computed from them.

use serde::{Deserialize, Serialize};

use crate::bench::peer::Rank;
use crate::bench::scenario::{Compression, Kind};
use crate::bench::threads::Threads;

/// The usage of a process in the measured interval, as the load generator prints it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) cpu_ns: u64,
    pub(crate) user_ms: u64,
    pub(crate) system_ms: u64,
    pub(crate) voluntary_switches: u64,
    pub(crate) involuntary_switches: u64,
}

/// One turn of one server.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct EchoSample {
    /// The round, from 0.
    #[serde(default)]
    pub(crate) round: usize,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// The average payload of a reply, which is less than the message if it was compressed.
    #[serde(default)]
    pub(crate) reply_bytes: f64,
    pub(crate) seconds: f64,
    pub(crate) server: Usage,
    pub(crate) load: Usage,
    pub(crate) compared: u64,
    /// The version of TLS and the cipher suite, if TLS was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<String>,
}

/// All turns of one server under one load.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct EchoResult {
    pub(crate) peer: String,
    pub(crate) rank: Rank,
    /// The medians, for readers of the file.
    pub(crate) cpu_ns_per_message: f64,
    /// The median of the ratios of each round.
    pub(crate) ratio_to_bare: Option<f64>,
    pub(crate) samples: Vec<EchoSample>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct EchoScenario {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) connections: usize,
    pub(crate) size: usize,
    pub(crate) kind: Kind,
    pub(crate) in_flight: usize,
    #[serde(default)]
    pub(crate) compression: Compression,
    pub(crate) goal: Option<f64>,
    pub(crate) results: Vec<EchoResult>,
}

/// The memory of one server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MemorySample {
    #[serde(default)]
    pub(crate) peer: String,
    #[serde(default)]
    pub(crate) compression: Compression,
    pub(crate) connections: u64,
    pub(crate) before: u64,
    pub(crate) after: u64,
}

/// The cost of opening handshakes of one server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AcceptSample {
    #[serde(default)]
    pub(crate) peer: String,
    #[serde(default)]
    pub(crate) round: usize,
    pub(crate) connections: u64,
    /// Whether TLS sessions were to be resumed, and how many were.
    #[serde(default)]
    pub(crate) resume: bool,
    #[serde(default)]
    pub(crate) resumed: u64,
    pub(crate) seconds: f64,
    pub(crate) server: Usage,
}

/// All turns of one server under one load, with one number of threads.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CoresResult {
    pub(crate) peer: String,
    pub(crate) scenario: String,
    pub(crate) threads: Threads,
    pub(crate) samples: Vec<EchoSample>,
}

impl CoresResult {
    /// The median over the rounds.
    pub(crate) fn median(&self, of: impl Fn(&EchoSample) -> f64) -> f64 {
        median(self.samples.iter().map(of).collect()).unwrap_or(f64::NAN)
    }
}

/// One turn of one client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ClientSample {
    #[serde(default)]
    pub(crate) client: String,
    /// `send` or `receive`.
    #[serde(default)]
    pub(crate) direction: String,
    #[serde(default)]
    pub(crate) size: usize,
    #[serde(default)]
    pub(crate) round: usize,
    pub(crate) messages: u64,
    pub(crate) seconds: f64,
    /// The usage of the client's process.
    pub(crate) cpu_ns: u64,
}

/// The speed of one operation in memory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Speed {
    pub(crate) what: String,
    pub(crate) size: usize,
    /// In 10⁹ bytes per second.
    pub(crate) gb_per_s: f64,
}

impl ClientSample {
    pub(crate) fn cpu_ns_per_message(&self) -> f64 {
        ratio(self.cpu_ns, self.messages)
    }
}

impl EchoSample {
    pub(crate) fn cpu_ns_per_message(&self) -> f64 {
        ratio(self.server.cpu_ns, self.messages)
    }

    pub(crate) fn messages_per_second(&self) -> f64 {
        as_float(self.messages) / self.seconds
    }

    /// Returns the share of a processor that the server used.
    pub(crate) fn server_busy(&self) -> f64 {
        as_float(self.server.cpu_ns) / 1e9 / self.seconds
    }

    pub(crate) fn load_busy(&self) -> f64 {
        as_float(self.load.cpu_ns) / 1e9 / self.seconds
    }

    pub(crate) fn sleeps_per_message(&self) -> f64 {
        ratio(self.server.voluntary_switches, self.messages)
    }
}

impl EchoResult {
    /// The median over the rounds.
    pub(crate) fn median(&self, of: impl Fn(&EchoSample) -> f64) -> f64 {
        median(self.samples.iter().map(of).collect()).unwrap_or(f64::NAN)
    }

    /// Returns the ratio to the bare echo, for ranking, since a slow round does not change it.
    fn cost(&self) -> f64 {
        self.ratio_to_bare.unwrap_or(self.cpu_ns_per_message)
    }

    /// Returns the median of the ratios of rounds in which both had a turn.
    pub(crate) fn ratio_to(&self, other: &EchoResult) -> Option<f64> {
        let ratios = self.samples.iter().filter_map(|own| {
            let other = other.samples.iter().find(|other| other.round == own.round)?;
            Some(own.cpu_ns_per_message() / other.cpu_ns_per_message())
        });
        median(ratios.collect())
    }
}

impl EchoScenario {
    /// Fills in the computed values.
    pub(crate) fn sum_up(&mut self) {
        self.results.retain(|result| !result.samples.is_empty());
        let floor = self.floor().cloned();
        for result in &mut self.results {
            result.cpu_ns_per_message = result.median(EchoSample::cpu_ns_per_message);
            result.ratio_to_bare = floor.as_ref().and_then(|floor| result.ratio_to(floor));
        }
    }

    pub(crate) fn floor(&self) -> Option<&EchoResult> {
        self.results.iter().find(|result| result.rank == Rank::Floor)
    }

    pub(crate) fn of(&self, peer: &str) -> Option<&EchoResult> {
        self.results.iter().find(|result| result.peer == peer)
    }

    /// Returns the results of these ranks, the cheapest first.
    pub(crate) fn ranked(&self, ranks: impl Fn(Rank) -> bool) -> Vec<&EchoResult> {
        let mut results: Vec<_> = self.results.iter().filter(|each| ranks(each.rank)).collect();
        results.sort_by(|a, b| a.cost().total_cmp(&b.cost()));
        results
    }

    /// Returns the cheapest variant of the other Rust libraries.
    pub(crate) fn best_peer(&self) -> Option<&EchoResult> {
        self.ranked(Rank::is_rust_peer).first().copied()
    }
}

impl MemorySample {
    pub(crate) fn per_connection(&self) -> f64 {
        ratio(self.after.saturating_sub(self.before), self.connections)
    }
}

impl AcceptSample {
    pub(crate) fn cpu_ns_per_connection(&self) -> f64 {
        ratio(self.server.cpu_ns, self.connections)
    }

    /// Returns the wall time from one to the next.
    pub(crate) fn ns_per_connection(&self) -> f64 {
        self.seconds * 1e9 / as_float(self.connections)
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length.is_multiple_of(2) => Some((values[middle - 1] + values[middle]) / 2.0),
        _ => Some(values[middle]),
    }
}

fn ratio(of: u64, to: u64) -> f64 {
    as_float(of) / as_float(to)
}

/// Exact up to 2^53, more than any count here.
pub(crate) fn as_float(count: u64) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let float = count as f64;
    float
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(peer: &str, rank: Rank, costs: &[(usize, u64)]) -> EchoResult {
        let sample = |&(round, cpu_ns)| EchoSample {
            round,
            messages: 10,
            server: Usage { cpu_ns, ..Usage::default() },
            ..EchoSample::default()
        };
        let samples = costs.iter().map(sample).collect();
        let peer = peer.to_owned();
        EchoResult { peer, rank, cpu_ns_per_message: 0.0, ratio_to_bare: None, samples }
    }

    #[test]
    fn ratios_are_those_of_the_same_round() {
        let floor = result("bare", Rank::Floor, &[(0, 100), (1, 200), (2, 400)]);
        let other = result("a", Rank::Plain, &[(1, 220), (2, 420), (0, 300)]);
        assert_eq!(other.ratio_to(&floor), Some(1.1));
        let once = result("b", Rank::Plain, &[(2, 800)]);
        assert_eq!(once.ratio_to(&floor), Some(2.0));
        assert_eq!(result("c", Rank::Plain, &[(7, 1)]).ratio_to(&floor), None);
    }

    #[test]
    fn the_best_peer_is_another_library_of_rust() {
        let mut scenario = EchoScenario {
            name: "n".into(),
            about: "a".into(),
            connections: 1,
            size: 1,
            kind: Kind::Binary,
            in_flight: 1,
            compression: Compression::Off,
            goal: Some(1.0),
            results: vec![
                result("bare", Rank::Floor, &[(0, 100)]),
                result("towline", Rank::Towline, &[(0, 110)]),
                result("ws", Rank::Foreign, &[(0, 120)]),
                result("a", Rank::Plain, &[(0, 300)]),
                result("b", Rank::Tuned, &[(0, 200)]),
                result("failed", Rank::Tuned, &[]),
            ],
        };
        scenario.sum_up();
        assert_eq!(scenario.best_peer().map(|best| best.peer.as_str()), Some("b"));
        assert_eq!(scenario.of("towline").and_then(|towline| towline.ratio_to_bare), Some(1.1));
        assert!(scenario.of("failed").is_none());
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
        assert_eq!(median(vec![]), None);
    }
}
