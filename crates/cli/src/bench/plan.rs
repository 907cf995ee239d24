//! From the options to a plan: the part of this shard, and whether the machine can do it.

use std::num::NonZero;

use crate::bench::options::Options;
use crate::bench::payload::Source;
use crate::bench::results::{Load, Pacing, Scenario};
use crate::bench::run::Plan;
use crate::bench::usage;
use crate::exit::{Exit, Failure};
use crate::quantity::in_words;
use towline::HttpVersion;

/// Bytes that a connection takes at most beside its messages: its state, buffers of TLS and sockets.
const CONNECTION: u64 = 64 << 10;

/// Bytes that an unanswered message takes beside its payload.
const MESSAGE: u64 = 96;

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
        let plan = Self {
            url: options.url.clone(),
            scenario: options.scenario,
            first,
            connections,
            all_connections: options.connections,
            ramp: options.ramp,
            connecting: options.connecting,
            in_flight: usize::try_from(options.in_flight).unwrap_or(usize::MAX),
            rate: options.rate.map(|rate| rate * part),
            messages,
            source: Source::of(options)?,
            on_open: Source::on_open(options)?,
            skip: options.skip,
            any_answer: options.any_answer,
            close_timeout: options.close_timeout,
            threads: options.threads.unwrap_or(cores).min(connections),
        };
        plan.check_memory(options.size.unwrap_or_default() as u64)?;
        if let Err((possible, limit)) = usage::allow_descriptors(connections) {
            return usage(format!(
                "--connections {connections} takes more descriptors than this process may have: \
                 the limit of {limit} (ulimit -n) is enough for {possible} connections"
            ));
        }
        Ok(plan)
    }

    /// Refuses a load that does not fit into the memory which is free, before the system ends the
    /// program.
    fn check_memory(&self, size: u64) -> Result<(), Failure> {
        let kept = (self.source.kept_bytes() as u64).saturating_add(MESSAGE);
        let unanswered = if self.rate.is_some() { 1 } else { self.in_flight as u64 };
        let of_one = CONNECTION
            .saturating_add(kept.saturating_mul(unanswered))
            // One that is being sent, and one that is being received.
            .saturating_add(size.saturating_mul(2));
        let needed = of_one.saturating_mul(self.connections);
        let Some(free) = usage::free_memory() else { return Ok(()) };
        if needed <= free {
            return Ok(());
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
            compression: options.compress,
            protocols: options.protocol.clone(),
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
