//! The measurements.

use serde::{Deserialize, Serialize};

use crate::bench::outcome::{Usage, median};
use crate::bench::threads::Threads;

/// The latencies of the other connections, as the load generator prints them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) count: u64,
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) max_ns: u64,
    /// Without an answer at the end, some seconds after the last message was sent.
    pub(crate) unanswered: u64,
}

/// What the one connection achieved.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Greedy {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Stretch {
    pub(crate) count: u64,
    pub(crate) p999_ns: u64,
    pub(crate) max_ns: u64,
}

/// What the server's probe measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Stretches {
    /// The time between two turns of a task that always yields.
    pub(crate) gaps: Stretch,
    /// The processor time of one poll of a connection's task.
    pub(crate) polls: Stretch,
}

/// One turn of one server.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct FairSample {
    #[serde(default)]
    pub(crate) round: usize,
    /// The number of other open connections.
    pub(crate) held: usize,
    pub(crate) seconds: f64,
    pub(crate) latency: Latency,
    pub(crate) greedy: Greedy,
    /// Why the load ended before the time was over.
    pub(crate) ended: Option<String>,
    pub(crate) server: Usage,
    /// From a separate turn, since a probe takes processor time.
    pub(crate) stretches: Option<Stretches>,
}

/// All turns of one server in one scenario.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FairResult {
    pub(crate) peer: String,
    pub(crate) scenario: String,
    pub(crate) about: String,
    pub(crate) threads: Threads,
    /// The number of other connections that should be open.
    pub(crate) wanted: usize,
    pub(crate) samples: Vec<FairSample>,
}

impl FairResult {
    /// Returns the median over the rounds, in nanoseconds.
    pub(crate) fn median(&self, of: impl Fn(&FairSample) -> Option<u64>) -> Option<f64> {
        let exact = |ns: u64| u32::try_from(ns / 1000).map_or(f64::INFINITY, f64::from) * 1000.0;
        median(self.samples.iter().filter_map(of).map(exact).collect())
    }
}
