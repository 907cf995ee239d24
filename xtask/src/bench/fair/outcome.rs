//! What was measured.

use serde::{Deserialize, Serialize};

use crate::bench::outcome::{Usage, median};
use crate::bench::threads::Threads;

/// How soon those were answered who have little to say, as the load generator prints it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) count: u64,
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) max_ns: u64,
    /// In the end, which was some seconds after the last was sent.
    pub(crate) unanswered: u64,
}

/// What the one connection came to.
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

/// What the server's probe saw.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Stretches {
    /// From one turn of a task that always yields to its next.
    pub(crate) gaps: Stretch,
    /// Processor time of one poll of a connection's task.
    pub(crate) polls: Stretch,
}

/// One turn of one server.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct FairSample {
    #[serde(default)]
    pub(crate) round: usize,
    /// Connections that were open besides.
    pub(crate) held: usize,
    pub(crate) seconds: f64,
    pub(crate) latency: Latency,
    pub(crate) greedy: Greedy,
    /// Why it was greedy for less than all the time.
    pub(crate) ended: Option<String>,
    pub(crate) server: Usage,
    /// Of a turn of its own, as a probe takes its part of the processor.
    pub(crate) stretches: Option<Stretches>,
}

/// All turns of one server, in which one connection did one thing.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FairResult {
    pub(crate) peer: String,
    pub(crate) scenario: String,
    pub(crate) about: String,
    pub(crate) threads: Threads,
    /// Connections that were to be open besides.
    pub(crate) wanted: usize,
    pub(crate) samples: Vec<FairSample>,
}

impl FairResult {
    /// The median over the rounds, in nanoseconds.
    pub(crate) fn median(&self, of: impl Fn(&FairSample) -> Option<u64>) -> Option<f64> {
        let exact = |ns: u64| u32::try_from(ns / 1000).map_or(f64::INFINITY, f64::from) * 1000.0;
        median(self.samples.iter().filter_map(of).map(exact).collect())
    }
}
