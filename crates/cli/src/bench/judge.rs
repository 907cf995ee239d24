//! From the counts to the results, with a verdict on the generator.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::bench::bottleneck;
use crate::bench::results::{
    FORMAT, Failures, Generator, Interval, Latencies, Load, Results, Scenario, Shard,
};
use crate::bench::tally::{Tally, Whole};
use crate::bench::timeline::seconds;
use crate::bench::usage::{self, Machine};
use crate::connect::clock::rfc3339;

/// What was used until a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    cpu: Option<Duration>,
    machine: Option<Machine>,
}

impl Usage {
    pub(crate) fn now() -> Self {
        Self { cpu: usage::cpu(), machine: Machine::now() }
    }
}

/// What the measured phase took.
#[derive(Debug)]
pub(crate) struct Cost {
    /// Its length in nanoseconds.
    pub(crate) measured: u64,
    pub(crate) before: Usage,
    pub(crate) after: Usage,
}

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) started: String,
    pub(crate) url: String,
    pub(crate) load: Load,
    pub(crate) shard: Option<Shard>,
    /// Nanoseconds.
    pub(crate) elapsed: u64,
    pub(crate) is_interrupted: bool,
    /// Whether the publisher of a broadcast was in this process.
    pub(crate) has_publisher: bool,
    pub(crate) whole: Whole,
    pub(crate) intervals: Vec<Interval>,
    pub(crate) cost: Cost,
}

/// The results of a run.
pub(crate) fn results(run: Run) -> Results {
    let mut totals = run.whole.totals;
    totals.unanswered = match run.load.scenario {
        Scenario::Echo => totals.messages_sent.saturating_sub(totals.messages_received),
        // Here it is what was to be delivered.
        Scenario::Broadcast if run.has_publisher => {
            totals.unanswered.saturating_sub(totals.messages_received)
        }
        _ => 0,
    };
    let mut results = Results {
        format: FORMAT,
        program: concat!("towline ", env!("CARGO_PKG_VERSION")).to_owned(),
        started: run.started,
        url: run.url,
        load: run.load,
        shard: run.shard,
        elapsed_s: seconds(run.elapsed),
        measured_s: seconds(run.cost.measured),
        together_s: None,
        interrupted: run.is_interrupted,
        totals,
        errors: run.whole.errors,
        close_codes: run.whole.close_codes,
        handshakes: Latencies::of(&run.whole.handshakes),
        latencies: Latencies::of(&run.whole.latencies),
        intervals: run.intervals,
        generator: Generator::default(),
    };
    let generator = generator(&results, &run.cost, run.whole.late_sends, run.whole.latest_send);
    results.generator = generator;
    results
}

fn generator(results: &Results, cost: &Cost, late_sends: u64, latest_send_ns: u64) -> Generator {
    let difference = |after: Duration, before: Duration| after.saturating_sub(before).as_secs_f64();
    let cpu = usage::cpu();
    let measured_cpu_s = match (cost.after.cpu, cost.before.cpu) {
        (Some(after), Some(before)) => Some(difference(after, before)),
        _ => None,
    };
    let machine_percent = match (cost.after.machine, cost.before.machine) {
        (Some(after), Some(before)) => after.percent_since(before),
        _ => None,
    };
    let mut generator = Generator {
        cpu_s: cpu.map(|cpu| cpu.as_secs_f64()),
        measured_cpu_s,
        busy_percent: None,
        machine_percent,
        wall_s: results.elapsed_s,
        cores: std::thread::available_parallelism().map_or(1, NonZero::get) as u64,
        threads: results.load.threads,
        late_sends,
        latest_send_ns,
        bottleneck: None,
        contention: None,
    };
    generator.busy_percent = bottleneck::busy(&generator, results.measured_s);
    generator.bottleneck = bottleneck::of_generator(results, &generator);
    generator.contention = bottleneck::of_machine(&generator);
    generator
}

/// How often something failed until now, by kind.
pub(crate) fn errors(tallies: &[Arc<Tally>]) -> BTreeMap<String, u64> {
    let mut errors = BTreeMap::new();
    for tally in tallies {
        for (kind, Failures { count, .. }) in &tally.lock().whole.errors {
            *errors.entry(kind.clone()).or_default() += count;
        }
    }
    errors
}

/// The time, as RFC 3339 has it.
pub(crate) fn utc_now() -> String {
    rfc3339(SystemTime::now())
}
