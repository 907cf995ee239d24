//! Whether two runs had the same load, and what else to know before believing a difference.

use crate::bench::compare::spread::LEAST_INTERVALS;
use crate::bench::figures::{count, rate};
use crate::bench::results::{Load, Pacing, Results};

/// What makes figures of these runs not comparable, in words. Empty if they are.
pub(crate) fn differences(a: &Results, b: &Results) -> Vec<String> {
    let mut found = Vec::new();
    let mut differ = |name: &str, a: String, b: String| {
        if a != b {
            found.push(format!("{name}: {a} and {b}"));
        }
    };
    let of = |results: &Results| match results.shard {
        Some(shard) => format!("shard {} of {}", shard.index, shard.count),
        None => "a whole run".to_owned(),
    };
    differ("part of the run", of(a), of(b));
    let (a, b) = (&a.load, &b.load);
    let scenario = |load: &Load| load.scenario.name().to_owned();
    differ("scenario", scenario(a), scenario(b));
    differ("connections", count(a.connections), count(b.connections));
    differ("pacing", pacing(a.pacing), pacing(b.pacing));
    differ("kind of messages", a.payload.kind.clone(), b.payload.kind.clone());
    let size = |load: &Load| format!("{} B", count(load.payload.bytes));
    differ("size of messages", size(a), size(b));
    let level = |load: &Load| match load.compression {
        Some(level) => format!("level {level}"),
        None => "none".to_owned(),
    };
    differ("compression", level(a), level(b));
    let protocols = |load: &Load| match load.protocols.join(", ") {
        none if none.is_empty() => "none".to_owned(),
        some => some,
    };
    differ("subprotocols", protocols(a), protocols(b));
    differ("version of HTTP", a.http_version.clone(), b.http_version.clone());
    found
}

/// In a closed loop the number in flight, in an open one the rate.
pub(crate) fn pacing(pacing: Pacing) -> String {
    match pacing {
        Pacing::Closed { in_flight } => format!("closed loop, {} in flight", count(in_flight)),
        Pacing::Open { messages_per_s } => {
            format!("open loop, {} messages/s", rate(messages_per_s))
        }
        Pacing::None => "none".to_owned(),
    }
}

/// What limits the worth of a comparison, in sentences. `names` are those of the two runs.
pub(crate) fn reservations(
    names: [&str; 2],
    runs: [&Results; 2],
    intervals: [usize; 2],
) -> Vec<String> {
    let mut notes = Vec::new();
    for ((name, results), intervals) in names.into_iter().zip(runs).zip(intervals) {
        if let Some(reason) = &results.generator.bottleneck {
            notes.push(format!("{name} was limited by the generator: {reason}"));
        }
        if let Some(reason) = &results.generator.contention {
            notes.push(format!("{name} was measured on a full machine: {reason}"));
        }
        if results.interrupted {
            notes.push(format!("{name} was ended early"));
        }
        if intervals < LEAST_INTERVALS {
            notes.push(format!(
                "{name} measured {intervals} s; below {LEAST_INTERVALS} s chance can't be told apart"
            ));
        }
    }
    let [a, b] = runs;
    if a.url != b.url {
        notes.push(format!("the servers are different ones: {} and {}", a.url, b.url));
    }
    if (a.load.warm_up_s - b.load.warm_up_s).abs() > 1e-9 {
        notes.push(format!("the warm-up took {} s and {} s", a.load.warm_up_s, b.load.warm_up_s));
    }
    if a.load.threads != b.load.threads {
        notes.push(format!("the generator had {} and {} threads", a.load.threads, b.load.threads));
    }
    notes
}
