//! Results for tests, as runs write them.

// Clippy takes only the test functions themselves for tests.
#![allow(clippy::unwrap_used)]
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::bench::random::Random;
use crate::bench::results::{
    FORMAT, Failures, Generator, Interval, Latencies, Load, Pacing, Payload, Phase, Results,
    Scenario, Shard, Totals, coarse, pairs, precise,
};

/// An echo of 100 connections in a closed loop: a second of ramp, two of warm-up, so many measured, and a
/// drain of half a second.
pub(crate) fn echo(seconds: u32) -> Results {
    Maker { speed: 1.0, ..Maker::new(seconds) }.make()
}

/// The same, this much faster.
pub(crate) fn faster(seconds: u32, speed: f64, seed: u64) -> Results {
    Maker { speed, seed, ..Maker::new(seconds) }.make()
}

/// An open loop at 20,000/s with errors of all kinds, a stall in the middle, and a generator that was
/// the bottleneck.
pub(crate) fn troubled(seconds: u32) -> Results {
    let mut results = Maker { stalls: true, ..Maker::new(seconds) }.make();
    results.load.pacing = Pacing::Open { messages_per_s: 20_000.0 };
    results.load.compression = Some(6);
    results.totals.compressed = 100;
    for (kind, count, example) in [
        ("refused", 12, "connection refused (os error 111)"),
        ("http_503", 3, "the server answered 503 Service Unavailable: \"please come back later\""),
        ("mismatch", 1, "the answer has 12 bytes, the message has 64"),
        ("lost", 240, "the connection was lost: connection reset by peer (os error 104)"),
    ] {
        results.errors.insert(kind.to_owned(), Failures { count, example: example.to_owned() });
    }
    results.close_codes = BTreeMap::from([(1006, 240), (1011, 7), (4001, 2)]);
    results.totals.failed = 15;
    results.totals.lost = 249;
    results.totals.unanswered = 310;
    results.totals.mismatched = 1;
    results.generator.late_sends = 4_211;
    results.generator.latest_send_ns = 48_000_000;
    results.generator.bottleneck = Some("the generator used 97 % of 2 processor cores".to_owned());
    results
}

/// Everything that a server or a user chooses is markup.
pub(crate) fn hostile() -> Results {
    const MARKUP: &str =
        "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\u{202e}\u{1b}[31m";
    let mut results = echo(5);
    let failures = Failures { count: 7, example: MARKUP.to_owned() };
    results.errors = BTreeMap::from([(MARKUP.to_owned(), failures)]);
    results.close_codes = BTreeMap::from([(4000, 1)]);
    results.url = format!("ws://host/{MARKUP}");
    results.program = MARKUP.to_owned();
    results.started = MARKUP.to_owned();
    results.load.protocols = vec![MARKUP.to_owned()];
    results.load.payload.kind = MARKUP.to_owned();
    results.load.payload.source = MARKUP.to_owned();
    results.load.http_version = MARKUP.to_owned();
    results.generator.bottleneck = Some(MARKUP.to_owned());
    results.generator.contention = Some(MARKUP.to_owned());
    results
}

/// No message was answered.
pub(crate) fn silent() -> Results {
    let mut results = echo(10);
    results.latencies = Latencies::default();
    results.totals.messages_received = 0;
    results.totals.bytes_received = 0;
    results.totals.messages_sent = 100;
    results.totals.unanswered = 100;
    for interval in &mut results.intervals {
        (interval.messages_sent, interval.messages_received) = (0, 0);
        (interval.bytes_sent, interval.bytes_received) = (0, 0);
        (interval.p50_ns, interval.p90_ns, interval.p99_ns, interval.max_ns) = (0, 0, 0, 0);
        interval.histogram.clear();
    }
    results
}

/// Nothing happened at all.
pub(crate) fn empty() -> Results {
    let mut results = silent();
    results.intervals.clear();
    results.handshakes = Latencies::default();
    results.totals = Totals::default();
    results.elapsed_s = 0.0;
    results.measured_s = 0.0;
    results.generator = Generator::default();
    results
}

/// Connections that are opened and closed.
pub(crate) fn storm() -> Results {
    let mut results = without_messages(Scenario::Storm);
    results.handshakes = echo(20).latencies;
    results.totals.opened = results.handshakes.count;
    for interval in &mut results.intervals {
        interval.opened = interval.histogram.iter().map(|(_, count)| count).sum();
    }
    results
}

/// Connections that are held.
pub(crate) fn idle() -> Results {
    without_messages(Scenario::Idle)
}

fn without_messages(scenario: Scenario) -> Results {
    let mut results = echo(20);
    let intervals = std::mem::take(&mut results.intervals);
    results.totals = Totals { opened: 100, ..Totals::default() };
    results.latencies = Latencies::default();
    results.load.scenario = scenario;
    results.load.pacing = Pacing::None;
    results.load.payload = Payload { kind: "text".to_owned(), source: "none".to_owned(), bytes: 0 };
    for mut interval in intervals {
        (interval.messages_sent, interval.messages_received) = (0, 0);
        (interval.bytes_sent, interval.bytes_received) = (0, 0);
        results.intervals.push(interval);
    }
    results
}

/// A run, and the same as so many shards would have measured it.
pub(crate) fn divided(seconds: u32, count: u64) -> (Results, Vec<Results>) {
    let maker = Maker { shards: count, ..Maker::new(seconds) };
    let shards = (1..=count).map(|index| Maker { only: Some(index), ..maker }.make());
    (maker.make(), shards.collect())
}

#[derive(Debug, Clone, Copy)]
struct Maker {
    seconds: u32,
    seed: u64,
    speed: f64,
    stalls: bool,
    shards: u64,
    only: Option<u64>,
}

/// A message of the sample stands for so many.
const WEIGHT: u64 = 25;

impl Maker {
    fn new(seconds: u32) -> Self {
        Self { seconds, seed: 1, speed: 1.0, stalls: false, shards: 1, only: None }
    }

    fn make(self) -> Results {
        let mut random = Random(self.seed);
        let mut all = precise();
        let mut totals = Totals::default();
        let mut intervals = Vec::new();
        let measured = (0..self.seconds).map(|_| (Phase::Measured, 1.0));
        let phases = [(Phase::Ramp, 1.0), (Phase::WarmUp, 1.0), (Phase::WarmUp, 1.0)];
        let mut start = 0.0;
        for (phase, length) in phases.into_iter().chain(measured).chain([(Phase::Drain, 0.5)]) {
            let mut histogram = coarse();
            let mut longest = 0;
            let is_stalled = self.stalls && intervals.len() == 3 + self.seconds as usize / 2;
            let messages = match phase {
                // Of a long run a tenth is enough.
                Phase::Measured if self.seconds > 600 => random.about(72.0, 0.1),
                Phase::Measured | Phase::WarmUp => random.about(720.0 * self.speed, 0.04),
                Phase::Ramp => 200,
                Phase::Drain => 3,
            };
            for number in 0..messages {
                let mut value = 400_000.0 / self.speed * random.skewed();
                if is_stalled {
                    value += 9e8 * random.share();
                }
                if self.only.is_some_and(|index| number % self.shards + 1 != index) {
                    continue;
                }
                let value = value as u64;
                longest = longest.max(value);
                histogram.record_n(value, WEIGHT).unwrap();
                if matches!(phase, Phase::Measured | Phase::Drain) {
                    all.record_n(value, WEIGHT).unwrap();
                }
            }
            let interval = self.interval(start, length, phase, &histogram, longest);
            if matches!(phase, Phase::Measured | Phase::Drain) {
                totals.messages_sent += interval.messages_sent;
                totals.messages_received += interval.messages_received;
                totals.bytes_sent += interval.bytes_sent;
                totals.bytes_received += interval.bytes_received;
            }
            intervals.push(interval);
            start += length;
        }
        totals.opened = 60 * self.parts();
        self.results(start, totals, &all, intervals)
    }

    /// How many shards this is.
    fn parts(self) -> u64 {
        if self.only.is_some() { 1 } else { self.shards }
    }

    fn interval(
        self,
        start_s: f64,
        length_s: f64,
        phase: Phase,
        histogram: &Histogram<u64>,
        max_ns: u64,
    ) -> Interval {
        let count = histogram.len();
        let at = |quantile| histogram.value_at_quantile(quantile).min(max_ns);
        Interval {
            start_s,
            length_s,
            phase,
            messages_sent: count,
            messages_received: count,
            bytes_sent: count * 64,
            bytes_received: count * 64,
            connections: 60 * self.parts(),
            opened: if phase == Phase::Ramp { 60 * self.parts() } else { 0 },
            errors: 0,
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            max_ns,
            histogram: pairs(histogram),
        }
    }

    fn results(
        self,
        elapsed_s: f64,
        totals: Totals,
        all: &Histogram<u64>,
        intervals: Vec<Interval>,
    ) -> Results {
        let mut handshakes = precise();
        for number in 0..60 * self.parts() {
            handshakes.record(900_000 + 10_000 * (number % 60)).unwrap();
        }
        let parts = self.parts() as f64;
        let generator = Generator {
            cpu_s: Some(4.5 * parts),
            measured_cpu_s: Some(4.0 * parts),
            busy_percent: Some(40.0),
            machine_percent: Some(71.5),
            wall_s: elapsed_s,
            cores: 2,
            threads: self.parts(),
            late_sends: 0,
            latest_send_ns: 0,
            bottleneck: None,
            contention: None,
        };
        Results {
            format: FORMAT,
            program: "towline 0.2.0".to_owned(),
            started: "2026-03-01T12:00:00.000Z".to_owned(),
            url: "ws://127.0.0.1:9001/".to_owned(),
            load: Load {
                scenario: Scenario::Echo,
                connections: 60 * self.parts(),
                ramp_s: 1.0,
                warm_up_s: 2.0,
                duration_s: Some(f64::from(self.seconds)),
                messages: None,
                payload: Payload { kind: "text".to_owned(), source: "size".to_owned(), bytes: 64 },
                pacing: Pacing::Closed { in_flight: 1 },
                compression: None,
                protocols: Vec::new(),
                http_version: "1.1".to_owned(),
                threads: self.parts(),
            },
            shard: self.only.map(|index| Shard { index, count: self.shards }),
            elapsed_s,
            measured_s: f64::from(self.seconds),
            together_s: None,
            interrupted: false,
            totals,
            errors: BTreeMap::new(),
            close_codes: BTreeMap::new(),
            handshakes: exact(&handshakes, 900_000, 900_000 + 10_000 * 59),
            latencies: Latencies::of(all),
            intervals,
            generator,
        }
    }
}

fn exact(histogram: &Histogram<u64>, min_ns: u64, max_ns: u64) -> Latencies {
    Latencies { min_ns, max_ns, ..Latencies::of(histogram) }
}

impl Random {
    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Around 1, seldom much more: as latencies are.
    fn skewed(&mut self) -> f64 {
        let normal = (0..12).map(|_| self.share()).sum::<f64>() - 6.0;
        let tail = if self.share() < 0.01 { 1.0 + 6.0 * self.share() } else { 1.0 };
        (normal * 0.35).exp() * tail
    }

    fn about(&mut self, mean: f64, spread: f64) -> u64 {
        (mean * (1.0 + spread * (2.0 * self.share() - 1.0))) as u64
    }
}
