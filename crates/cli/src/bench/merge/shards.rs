//! Whether files are all shards of one run.

use crate::bench::merge::clock::seconds_of;
use crate::bench::results::{Load, Pacing, Results, Scenario};
use crate::bench::stored::Stored;

/// Puts the shards in order.
///
/// # Errors
///
/// A sentence that names the file or the shard: one is missing or there twice, or they are not of one run.
pub(crate) fn in_order(files: &[Stored]) -> Result<Vec<&Stored>, String> {
    let mut numbered = Vec::with_capacity(files.len());
    for file in files {
        let shard = file.results.shard.ok_or_else(|| {
            format!("{} is a whole run; --merge adds up those of --shard", file.name())
        })?;
        numbered.push((shard, file));
    }
    let Some(&(first, of)) = numbered.first() else {
        return Err("no file is given".to_owned());
    };
    for (shard, file) in &numbered {
        let Some(difference) = difference(of, file).or_else(|| {
            (shard.count != first.count)
                .then(|| format!("one is of {} shards, the other of {}", first.count, shard.count))
        }) else {
            continue;
        };
        let (of, file) = (of.name(), file.name());
        return Err(format!("{of} and {file} are shards of different runs: {difference}"));
    }
    numbered.sort_by_key(|(shard, _)| shard.index);
    for pair in numbered.windows(2) {
        let [(one, first), (other, second)] = pair else { continue };
        if one.index == other.index {
            let (index, count) = (one.index, one.count);
            let (first, second) = (first.name(), second.name());
            return Err(format!("shard {index} of {count} is there twice: {first} and {second}"));
        }
    }
    // All are different now. A file can have any number as its count.
    let expected = (1..=first.count).zip(numbered.iter().map(Some).chain(std::iter::repeat(None)));
    for (index, found) in expected {
        if found.is_none_or(|(shard, _)| shard.index != index) {
            return Err(format!("shard {index} of {} is missing", first.count));
        }
    }
    if numbered.len() as u64 > first.count {
        let file = numbered[numbered.len() - 1];
        let (index, count) = (file.0.index, file.0.count);
        return Err(format!("{} is shard {index} of {count}", file.1.name()));
    }
    Ok(numbered.into_iter().map(|(_, file)| file).collect())
}

/// Why two files are not of one run, if they are not.
fn difference(one: &Stored, other: &Stored) -> Option<String> {
    let (a, b) = (&one.results, &other.results);
    if a.url != b.url {
        return Some(format!("the URL is {} and {}", a.url, b.url));
    }
    if let Some(difference) = of_loads(&a.load, &b.load) {
        return Some(difference);
    }
    // The results of a run have no name in common; but its shards run at the same time.
    let (Some(start_a), Some(start_b)) = (seconds_of(&a.started), seconds_of(&b.started)) else {
        let not = if seconds_of(&a.started).is_none() { one } else { other };
        return Some(format!("{:?} in {} is no time in UTC", not.results.started, not.name()));
    };
    let is_together = start_a <= start_b + b.elapsed_s && start_b <= start_a + a.elapsed_s;
    (!is_together).then(|| {
        format!(
            "they did not run at the same time: {} for {:.0} s and {} for {:.0} s",
            a.started, a.elapsed_s, b.started, b.elapsed_s
        )
    })
}

/// How the loads differ apart from what is divided: connections, rate, messages, and threads.
fn of_loads(a: &Load, b: &Load) -> Option<String> {
    let differ =
        |name: &str, a: String, b: String| (a != b).then(|| format!("{name} is {a} and {b}"));
    let name = |scenario: Scenario| scenario.name().to_owned();
    let seconds = |seconds: f64| format!("{seconds} s");
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    differ("the scenario", name(a.scenario), name(b.scenario))
        .or_else(|| differ("the ramp", seconds(a.ramp_s), seconds(b.ramp_s)))
        .or_else(|| differ("the warm-up", seconds(a.warm_up_s), seconds(b.warm_up_s)))
        .or_else(|| {
            let of = |load: &Load| or_none(load.duration_s.map(seconds));
            differ("the duration", of(a), of(b))
        })
        .or_else(|| differ("the loop", pacing(a.pacing), pacing(b.pacing)))
        .or_else(|| differ("the messages' kind", a.payload.kind.clone(), b.payload.kind.clone()))
        .or_else(|| {
            let of = |load: &Load| match load.payload.source.as_str() {
                // Counters of templates have more digits in one shard than in another.
                "template" => "a template".to_owned(),
                source => format!("{source} of {} B", load.payload.bytes),
            };
            differ("the payload", of(a), of(b))
        })
        .or_else(|| {
            let of = |load: &Load| or_none(load.compression.map(|level| level.to_string()));
            differ("the compression", of(a), of(b))
        })
        .or_else(|| {
            let of = |load: &Load| {
                or_none(Some(load.protocols.join(", ")).filter(|all| !all.is_empty()))
            };
            differ("the subprotocol", of(a), of(b))
        })
        .or_else(|| differ("the version of HTTP", a.http_version.clone(), b.http_version.clone()))
        .or_else(|| parts(a, b))
}

/// Why two loads are not parts of one. Connections and messages are divided evenly, and the rate as the
/// connections are.
fn parts(a: &Load, b: &Load) -> Option<String> {
    let uneven = |name: &str, a: u64, b: u64| {
        (a.abs_diff(b) > 1).then(|| format!("{name} are {a} and {b}, which are no even parts"))
    };
    uneven("connections", a.connections, b.connections)
        .or_else(|| {
            uneven("messages", a.messages.unwrap_or_default(), b.messages.unwrap_or_default())
        })
        .or_else(|| {
            let [one, other] = [a, b].map(rate_of_connection);
            ((one - other).abs() > one.abs() * 1e-6)
                .then(|| format!("the rate of a connection is {one:.3}/s and {other:.3}/s"))
        })
}

#[expect(clippy::cast_precision_loss, reason = "rates are compared with less precision")]
fn rate_of_connection(load: &Load) -> f64 {
    match load.pacing {
        Pacing::Open { messages_per_s } if load.scenario == Scenario::Broadcast => messages_per_s,
        Pacing::Open { messages_per_s } => messages_per_s / load.connections.max(1) as f64,
        _ => 0.0,
    }
}

/// The loop without what is divided.
fn pacing(pacing: Pacing) -> String {
    match pacing {
        Pacing::Closed { in_flight } => format!("closed with {in_flight} in flight"),
        Pacing::Open { .. } => "open".to_owned(),
        Pacing::None => "none".to_owned(),
    }
}

/// The load of which each shard has its part.
pub(crate) fn whole_load(shards: &[&Results]) -> Option<Load> {
    let mut whole = shards.first()?.load.clone();
    let loads = || shards.iter().map(|results| &results.load);
    let sum = |part: fn(&Load) -> u64| loads().map(part).fold(0, u64::saturating_add);
    whole.connections = sum(|load| load.connections);
    whole.threads = sum(|load| load.threads);
    // A mean, as each of them is.
    whole.payload.bytes = sum(|load| load.payload.bytes) / (shards.len() as u64).max(1);
    if whole.scenario == Scenario::Broadcast {
        // One of them publishes, at the whole rate.
        return Some(whole);
    }
    whole.messages = whole.messages.map(|_| sum(|load| load.messages.unwrap_or_default()));
    if let Pacing::Open { messages_per_s } = &mut whole.pacing {
        let rate_of = |load: &Load| match load.pacing {
            Pacing::Open { messages_per_s } => messages_per_s,
            _ => 0.0,
        };
        *messages_per_s = loads().map(rate_of).sum();
    }
    Some(whole)
}
