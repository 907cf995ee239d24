//! From the options to a plan: the part of this shard, and whether the machine can do it.

use std::num::NonZero;

use crate::bench::options::Options;
use crate::bench::payload::Source;
use crate::bench::results::{Load, Pacing, Scenario};
use crate::bench::run::Plan;
use crate::bench::usage;
use crate::descriptors;
use crate::exit::{Exit, Failure};
use crate::quantity::in_words;
use crate::secrets;
use towline::HttpVersion;

/// Bytes that a connection takes at most beside its messages: its state, buffers of TLS and sockets.
const CONNECTION: u64 = 64 << 10;

/// Bytes that an unanswered message takes beside its payload.
const MESSAGE: u64 = 96;

/// The most bytes that unanswered messages of an open loop can take, and the most messages of a thread.
const UNANSWERED: u64 = 512 << 20;
const MOST_UNANSWERED: u64 = 1_000_000;

impl Plan {
    /// The plan of these options.
    ///
    /// # Errors
    ///
    /// Options that contradict each other, and loads that take more than the machine has.
    pub(crate) fn of(options: &Options) -> Result<Self, Failure> {
        let usage = |message: String| Err(Failure::new(Exit::Usage, message));
        if options.scenario == Scenario::Broadcast && options.connections < 2 {
            return usage(
                "--scenario broadcast: --connections must be 2 or more, of which one publishes"
                    .into(),
            );
        }
        if options.scenario == Scenario::Idle && options.messages.is_some() {
            return usage("--messages has no meaning in the scenario idle".into());
        }
        let paced = !matches!(options.scenario, Scenario::Push | Scenario::Idle);
        if options.rate.is_some() && !paced {
            return usage(
                "--rate has no meaning in the scenarios push and idle, which send nothing".into(),
            );
        }
        let (first, connections) = share(options, options.connections);
        if connections == 0 {
            return usage(format!(
                "--shard: {} connections have no part for each shard",
                options.connections
            ));
        }
        // The publisher of a broadcast is one connection, in the first shard.
        let is_divided = options.scenario != Scenario::Broadcast;
        let part_of = |messages| if is_divided { share(options, messages).1 } else { messages };
        let messages = options.messages.map(part_of);
        if messages == Some(0) {
            return usage("--shard: there are fewer --messages than shards".to_owned());
        }
        #[allow(clippy::cast_precision_loss)]
        let part = if is_divided { connections as f64 / options.connections as f64 } else { 1.0 };
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get) as u64;
        if options.skip > 0 && options.scenario == Scenario::Broadcast {
            return usage(
                "--skip has no meaning in the scenario broadcast: messages without a stamp are ignored"
                    .into(),
            );
        }
        let is_open = options.scenario == Scenario::Echo && options.rate.is_some();
        let in_flight = if is_open { 1 } else { options.in_flight };
        let room = Room { connections, in_flight, size: options.size.unwrap_or_default() as u64 };
        // Messages of a size that does not fit are not even made.
        room.left(0)?;
        let source = Source::of(options)?;
        let kept = (source.kept_bytes() as u64).saturating_add(MESSAGE);
        let left = room.left(kept)?;
        let threads = options.threads.unwrap_or(cores).min(connections);
        let plan = Self {
            url: options.url.clone(),
            scenario: options.scenario,
            first,
            connections,
            all_connections: options.connections,
            ramp: options.ramp,
            connecting: options.connecting,
            in_flight: usize::try_from(options.in_flight).unwrap_or(usize::MAX),
            most_unanswered: most_unanswered(left, threads, kept),
            rate: options.rate.map(|rate| rate * part),
            messages,
            source,
            on_open: Source::on_open(options)?,
            skip: options.skip,
            any_answer: options.any_answer,
            close_timeout: options.close_timeout,
            threads,
        };
        if let Err((possible, limit)) = descriptors::allow(connections) {
            return usage(format!(
                "--connections {connections} takes more descriptors than this process may have: \
                 the limit of {limit} (ulimit -n) is enough for {possible} connections"
            ));
        }
        Ok(plan)
    }

    /// What is asked for, for the results.
    pub(crate) fn load(&self, options: &Options) -> Load {
        let pacing = match (self.scenario, self.rate) {
            (Scenario::Push | Scenario::Idle, _) => Pacing::None,
            (_, Some(messages_per_s)) => Pacing::Open { messages_per_s },
            (_, None) => Pacing::Closed { in_flight: options.in_flight },
        };
        Load {
            scenario: self.scenario,
            connections: self.connections,
            ramp_s: self.ramp.as_secs_f64(),
            warm_up_s: options.warm_up.as_secs_f64(),
            duration_s: duration(options).map(|duration| duration.as_secs_f64()),
            messages: self.messages,
            payload: self.source.described(self.scenario),
            pacing,
            compression: options.connection.compress,
            protocols: secrets::offered(&options.handshake.protocol),
            http_version: match options.http_version {
                HttpVersion::Http2 => "2",
                HttpVersion::Auto => "auto",
                _ => "1.1",
            }
            .to_owned(),
            threads: self.threads,
        }
    }
}

/// What memory is needed for.
#[derive(Debug, Clone, Copy)]
struct Room {
    connections: u64,
    in_flight: u64,
    size: u64,
}

impl Room {
    /// Refuses a load that does not fit into the memory which is free, before the system ends the
    /// program. Returns what is left, if that is known. `kept` are the bytes of an unanswered message.
    fn left(&self, kept: u64) -> Result<Option<u64>, Failure> {
        let of_one = CONNECTION
            .saturating_add(kept.saturating_mul(self.in_flight))
            // One that is being sent, and one that is being received.
            .saturating_add(self.size.saturating_mul(2));
        let needed = of_one.saturating_mul(self.connections).saturating_add(self.size);
        let Some(free) = usage::free_memory() else { return Ok(None) };
        if needed <= free {
            return Ok(Some(free - needed));
        }
        Err(Failure::new(
            Exit::Usage,
            format!(
                "{} connections can take {} of memory, and {} are free: lower --connections, --in-flight or \
                 --size",
                self.connections,
                in_words(needed),
                in_words(free)
            ),
        ))
    }
}

/// How many messages of a thread can be unanswered in an open loop, on any server: they take half of the
/// memory that is left at most.
fn most_unanswered(left: Option<u64>, threads: u64, kept: u64) -> u64 {
    let budget = left.map_or(UNANSWERED, |left| (left / 2).min(UNANSWERED));
    (budget / threads.max(1) / kept.max(1)).clamp(1, MOST_UNANSWERED)
}

/// How long to measure at most.
pub(crate) fn duration(options: &Options) -> Option<std::time::Duration> {
    let default = options.messages.is_none().then_some(std::time::Duration::from_secs(10));
    options.duration.or(default)
}

/// Where this shard's part of a number begins, and how much it is.
fn share(options: &Options, whole: u64) -> (u64, u64) {
    let Some(shard) = options.shard else { return (0, whole) };
    let until = |index: u64| {
        let part = u128::from(whole) * u128::from(index) / u128::from(shard.count);
        u64::try_from(part).unwrap_or(whole)
    };
    let first = until(shard.index - 1);
    (first, until(shard.index) - first)
}

#[cfg(test)]
impl Plan {
    /// The plan of these options, for a server that nobody asks.
    pub(crate) fn of_options(options: &[&str]) -> Self {
        use clap::Parser as _;

        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            options: Options,
        }

        let line = [&["bench", "ws://127.0.0.1:1/"], options].concat();
        Self::of(&Line::parse_from(line).options).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unanswered_messages_fit_into_the_memory_that_is_left() {
        let kept = 64 << 10;
        for (left, threads) in [(None, 1), (Some(1 << 40), 2), (Some(100 << 20), 4), (Some(0), 1)] {
            let most = most_unanswered(left, threads, kept);
            let bytes = most * kept * threads;
            let bound = left.map_or(UNANSWERED, |left| (left / 2).min(UNANSWERED));
            assert!(bytes <= bound.max(kept * threads), "{most} with {left:?}");
        }
        assert_eq!(most_unanswered(None, 1, MESSAGE), MOST_UNANSWERED);
    }
}
