//! The measurements.

use serde::{Deserialize, Serialize};

use crate::bench::fair::outcome::Latency;
use crate::bench::outcome::{Usage, as_float, median};
use crate::bench::peer::Rank;

/// One turn of one server, as the load generator prints it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct FanoutSample {
    #[serde(default)]
    pub(crate) round: usize,
    /// The members of each topic.
    pub(crate) members: usize,
    pub(crate) published: u64,
    pub(crate) delivered: u64,
    /// The average payload of a delivered message, which is less than the message if it was compressed.
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    pub(crate) latency: Latency,
    pub(crate) server: Usage,
    pub(crate) load: Usage,
    pub(crate) compared: u64,
}

/// All turns of one server in one scenario.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FanoutResult {
    pub(crate) scenario: String,
    pub(crate) about: String,
    pub(crate) peer: String,
    pub(crate) rank: Rank,
    pub(crate) stalled: bool,
    pub(crate) compressed: bool,
    /// The number of members that each topic should have.
    pub(crate) wanted: usize,
    pub(crate) samples: Vec<FanoutSample>,
}

impl FanoutSample {
    pub(crate) fn cpu_ns_per_delivery(&self) -> f64 {
        as_float(self.server.cpu_ns) / as_float(self.delivered)
    }

    pub(crate) fn deliveries_per_second(&self) -> f64 {
        as_float(self.delivered) / self.seconds
    }
}

impl FanoutResult {
    /// Returns the median over the rounds.
    pub(crate) fn median(&self, of: impl Fn(&FanoutSample) -> f64) -> f64 {
        median(self.samples.iter().map(of).collect()).unwrap_or(f64::NAN)
    }

    /// Returns the median of the ratios of rounds in which both had a turn.
    pub(crate) fn ratio_to(&self, other: &Self) -> Option<f64> {
        let ratios = self.samples.iter().filter_map(|own| {
            let other = other.samples.iter().find(|other| other.round == own.round)?;
            Some(own.cpu_ns_per_delivery() / other.cpu_ns_per_delivery())
        });
        median(ratios.collect())
    }

    /// Returns the smallest number of members that a topic had.
    pub(crate) fn members(&self) -> usize {
        self.samples.iter().map(|sample| sample.members).min().unwrap_or(0)
    }
}
