//! The results of a load test, as `--json` writes them. Results of shards can be added up: all counts
//! are exact, and histograms are stored whole.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The version of the format. A change that old readers would misread increases it; new fields do not.
pub(crate) const FORMAT: u32 = 1;

/// Values above this are counted as this: an hour, in nanoseconds.
pub(crate) const LONGEST: u64 = 3_600_000_000_000;

/// More of the same value are counted as this many: sums of such counts do not overflow.
const MOST: u64 = 1 << 40;

/// The percentiles in [`Latencies::percentiles`].
pub(crate) const PERCENTILES: [f64; 7] = [50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99];

/// The results of a run.
///
/// Counts and latencies are those of the measured phase, unless a field says otherwise: neither the ramp
/// nor the warm-up is part of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results {
    /// [`FORMAT`].
    pub(crate) format: u32,
    /// The name and the version of the program: `towline 0.2.0`.
    pub(crate) program: String,
    /// When the run began, in UTC as RFC 3339 has it: `2026-03-01T12:00:00.123Z`.
    pub(crate) started: String,
    /// The server's URL, without user, password, query and fragment.
    pub(crate) url: String,
    /// The load that was asked for. That of a shard is its part only.
    pub(crate) load: Load,
    /// Which part of a load this is, if it was divided.
    pub(crate) shard: Option<Shard>,
    /// Seconds from the beginning of the run to its end, with the ramp and the warm-up.
    pub(crate) elapsed_s: f64,
    /// Seconds that the measured phase took. Rates are counts divided by this.
    pub(crate) measured_s: f64,
    /// For results of shards: how many seconds of those all shards measured at the same time, if that is
    /// less than nine tenths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) together_s: Option<f64>,
    /// Whether the user ended the run early.
    pub(crate) interrupted: bool,
    pub(crate) totals: Totals,
    /// Why something failed, by stable names, such as `refused`, `http_503`, `lost` and `mismatch`. Those
    /// of the whole run, with the ramp and the warm-up.
    pub(crate) errors: BTreeMap<String, Failures>,
    /// The close codes that ended connections before the run's end, by number: `1006` is a connection that
    /// was lost without a close frame. Those of the whole run.
    pub(crate) close_codes: BTreeMap<u16, u64>,
    /// How long connecting took, from the name lookup to the server's response. Those of the whole run, but
    /// in the scenario storm those of the measured phase.
    pub(crate) handshakes: Latencies,
    /// How long messages took. Empty in the scenarios storm and idle.
    ///
    /// - echo: until the answer was received. In an open loop from when the message was due, in a closed
    ///   one from when it was sent.
    /// - push: between two messages of a connection.
    /// - broadcast: from when a message was due until one receiver had it.
    pub(crate) latencies: Latencies,
    /// The whole run in parts of a second, in order. A run with many has longer ones.
    pub(crate) intervals: Vec<Interval>,
    pub(crate) generator: Generator,
}

/// The load that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) scenario: Scenario,
    pub(crate) connections: u64,
    /// Seconds over which connections are opened.
    pub(crate) ramp_s: f64,
    /// Seconds of load before the measured phase.
    pub(crate) warm_up_s: f64,
    /// Seconds that the measured phase takes at most. `None` if only messages are counted.
    pub(crate) duration_s: Option<f64>,
    /// The messages after which the run ends.
    pub(crate) messages: Option<u64>,
    pub(crate) payload: Payload,
    pub(crate) pacing: Pacing,
    /// The level at which messages are compressed if the server agrees.
    pub(crate) compression: Option<u8>,
    /// The subprotocols that are offered.
    pub(crate) protocols: Vec<String>,
    /// `1.1`, `2` or `auto`.
    pub(crate) http_version: String,
    /// Threads of the generator.
    pub(crate) threads: u64,
}

/// What connections do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// Each message is answered with the same one
    Echo,
    /// The server sends by itself; connections only receive
    Push,
    /// One connection publishes, and all others receive
    Broadcast,
    /// Connect and close as fast as possible
    Storm,
    /// Open all connections, and hold them
    Idle,
}

impl Scenario {
    /// Its name, as `--scenario` has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Push => "push",
            Self::Broadcast => "broadcast",
            Self::Storm => "storm",
            Self::Idle => "idle",
        }
    }
}

/// The messages to send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Payload {
    /// `text` or `binary`.
    pub(crate) kind: String,
    /// What they are made of: `size`, `message`, `template`, `file`, or `none` where nothing is sent.
    pub(crate) source: String,
    /// Bytes of a message, on average if they differ.
    pub(crate) bytes: u64,
}

/// When the next message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "loop")]
pub(crate) enum Pacing {
    /// A connection sends when fewer than this many of its messages are unanswered.
    Closed { in_flight: u64 },
    /// All connections together send at this rate, no matter when answers come.
    Open { messages_per_s: f64 },
    /// The generator sends nothing.
    None,
}

/// Part `index`, from 1, of `count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shard {
    pub(crate) index: u64,
    pub(crate) count: u64,
}

/// Counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Totals {
    /// Connections that were opened, in the whole run. In the scenario storm in the measured phase.
    pub(crate) opened: u64,
    /// Connections that could not be opened, counted like `opened`.
    pub(crate) failed: u64,
    /// Connections that ended before the generator closed them, counted like `opened`.
    pub(crate) lost: u64,
    /// Connections for which compression was agreed on, counted like `opened`.
    pub(crate) compressed: u64,
    pub(crate) messages_sent: u64,
    /// Answers to these messages, even those that came after the measured phase. In the scenarios push and
    /// broadcast the messages received.
    pub(crate) messages_received: u64,
    /// Payload, before compression.
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    /// Messages without an answer at the end. In the scenario broadcast deliveries that are missing.
    pub(crate) unanswered: u64,
    /// Answers that differ from the message.
    pub(crate) mismatched: u64,
    /// Messages that were sent and received before the measured phase, in the ramp and the warm-up.
    #[serde(default)]
    pub(crate) sent_before: u64,
    #[serde(default)]
    pub(crate) received_before: u64,
}

/// How often something failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failures {
    pub(crate) count: u64,
    /// One of the error messages.
    pub(crate) example: String,
}

/// The distribution of durations, in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latencies {
    pub(crate) count: u64,
    pub(crate) min_ns: u64,
    pub(crate) max_ns: u64,
    pub(crate) mean_ns: f64,
    pub(crate) stddev_ns: f64,
    /// The [`PERCENTILES`] in order. Empty if nothing was measured.
    pub(crate) percentiles: Vec<Percentile>,
    /// Values with their counts, in order. Values are exact to three digits.
    pub(crate) histogram: Vec<(u64, u64)>,
}

/// The value which this percentage of values does not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Percentile {
    pub(crate) percentile: f64,
    pub(crate) ns: u64,
}

/// A part of the run. Counts of messages are complete in the measured phase: their sum over its
/// intervals, and over those of the drain, is in [`Totals`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Interval {
    /// Seconds since the beginning of the run.
    pub(crate) start_s: f64,
    /// Seconds that it took: about 1. It is shorter at the end of a phase.
    pub(crate) length_s: f64,
    pub(crate) phase: Phase,
    pub(crate) messages_sent: u64,
    pub(crate) messages_received: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    /// Connections that are open at its end.
    pub(crate) connections: u64,
    /// Connections opened in it.
    pub(crate) opened: u64,
    /// Failures of all kinds.
    pub(crate) errors: u64,
    /// Latencies of messages, but of handshakes in the scenarios storm and idle. In nanoseconds, 0 if there
    /// are none.
    pub(crate) p50_ns: u64,
    pub(crate) p90_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) max_ns: u64,
    /// The same latencies, as values with their counts, in order. Values are exact to two digits.
    pub(crate) histogram: Vec<(u64, u64)>,
}

/// What the run does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// Connections are being opened.
    Ramp,
    WarmUp,
    Measured,
    /// Nothing more is sent; the last answers are waited for.
    Drain,
}

/// What the load cost the generator.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Generator {
    /// Processor time of the process, user and system, in the whole run. `None` if the system does not
    /// tell.
    pub(crate) cpu_s: Option<f64>,
    /// The same in the measured phase.
    pub(crate) measured_cpu_s: Option<f64>,
    /// The same in percent of what its threads can use: a core each, or all cores if there are fewer.
    #[serde(default)]
    pub(crate) busy_percent: Option<f64>,
    /// Processor time of the whole machine in the measured phase, in percent of what it has.
    pub(crate) machine_percent: Option<f64>,
    /// Seconds of the whole run.
    pub(crate) wall_s: f64,
    /// Processor cores of the machine.
    pub(crate) cores: u64,
    /// Threads that generate load.
    pub(crate) threads: u64,
    /// Messages of an open loop that were sent more than a millisecond after they were due, although their
    /// connection had room.
    pub(crate) late_sends: u64,
    /// How much later the latest one was sent.
    pub(crate) latest_send_ns: u64,
    /// Why the generator and not the server may have set the limit, in a sentence.
    pub(crate) bottleneck: Option<String>,
    /// Why the figures are those of a machine that was full by others, in a sentence.
    #[serde(default)]
    pub(crate) contention: Option<String>,
}

/// A histogram for [`Latencies`]: three digits, up to an hour.
///
/// # Panics
///
/// Never: the bounds are constants that are in order.
pub(crate) fn precise() -> Histogram<u64> {
    #[allow(clippy::expect_used)]
    Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are in order")
}

/// A histogram for [`Interval`]: two digits, up to an hour.
///
/// # Panics
///
/// Never: the bounds are constants that are in order.
pub(crate) fn coarse() -> Histogram<u64> {
    #[allow(clippy::expect_used)]
    Histogram::new_with_bounds(1, LONGEST, 2).expect("the bounds are in order")
}

/// The values of a histogram with their counts.
pub(crate) fn pairs(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    histogram
        .iter_recorded()
        .map(|value| (value.value_iterated_to(), value.count_since_last_iteration()))
        .collect()
}

/// Adds the values that [`pairs`] returned.
pub(crate) fn add(histogram: &mut Histogram<u64>, pairs: &[(u64, u64)]) {
    for (value, count) in pairs {
        // Those from a file can be anything.
        histogram.saturating_record_n(*value.min(&LONGEST), *count.min(&MOST));
    }
}

impl Latencies {
    /// What is in this histogram, one of [`precise`].
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let value_of = |percentile| Percentile {
            percentile,
            ns: histogram.value_at_quantile(percentile / 100.0).min(histogram.max()),
        };
        Self {
            count: histogram.len(),
            min_ns: histogram.min(),
            max_ns: histogram.max(),
            mean_ns: histogram.mean(),
            stddev_ns: histogram.stdev(),
            percentiles: PERCENTILES.into_iter().map(value_of).collect(),
            histogram: pairs(histogram),
        }
    }

    /// The value of a percentile in the table, if anything was measured.
    pub(crate) fn at(&self, percentile: f64) -> Option<u64> {
        let found =
            self.percentiles.iter().find(|entry| (entry.percentile - percentile).abs() < 1e-9);
        found.map(|entry| entry.ns)
    }
}

impl Totals {
    /// Whether messages were sent or received that are in no other count.
    pub(crate) fn has_before(&self) -> bool {
        self.sent_before > 0 || self.received_before > 0
    }
}

impl Results {
    /// Messages sent in a second of the measured phase.
    pub(crate) fn sent_per_s(&self) -> f64 {
        self.per_s(self.totals.messages_sent)
    }

    /// Messages received in a second of the measured phase.
    pub(crate) fn received_per_s(&self) -> f64 {
        self.per_s(self.totals.messages_received)
    }

    /// A count of the measured phase, for each second of it.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn per_s(&self, count: u64) -> f64 {
        if self.measured_s > 0.0 { count as f64 / self.measured_s } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_can_be_put_together_again() {
        let mut whole = precise();
        let mut halves = [precise(), precise()];
        for number in 1..=10_000_u64 {
            let value = number * number * 37;
            whole.record(value).unwrap();
            halves[usize::from(number % 3 == 0)].record(value).unwrap();
        }
        let mut together = precise();
        for half in &halves {
            add(&mut together, &Latencies::of(half).histogram);
        }
        let (whole, together) = (Latencies::of(&whole), Latencies::of(&together));
        assert_eq!((together.count, &together.histogram), (10_000, &whole.histogram));
        assert_eq!(together.percentiles, whole.percentiles);
    }

    #[test]
    fn values_of_a_file_are_bounded() {
        let mut histogram = precise();
        add(&mut histogram, &[(u64::MAX, u64::MAX), (1, u64::MAX), (5, 1)]);
        assert!(Latencies::of(&histogram).max_ns >= LONGEST);
    }

    #[test]
    fn nothing_measured_has_no_percentiles() {
        let none = Latencies::of(&precise());
        assert_eq!((none.count, none.at(50.0)), (0, None));
    }
}
