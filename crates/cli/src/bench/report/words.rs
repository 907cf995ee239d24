//! The run in words: what was done, what is odd about it, and every option.

use crate::bench::figures::{NOTHING, count, counted, percent, rate, short_time, time};
use crate::bench::results::{Load, Pacing, Results, Scenario, Totals};
use crate::quantity::in_words;

/// What was run, in sentences.
pub(crate) fn sentences(results: &Results) -> String {
    let load = &results.load;
    let connections = counted(load.connections, "connection");
    if results.totals.opened == 0 {
        return format!("None of {connections} could be opened. The errors below say why.");
    }
    let lasted = format!("for {}", seconds(results.measured_s));
    let totals = &results.totals;
    let message = message(load);
    let mut text = match (load.scenario, load.pacing) {
        (Scenario::Echo, Pacing::Open { messages_per_s }) => format!(
            "{connections} were to send {} messages/s together {lasted}, whether answers came or not (an \
             open loop), and sent {}. Each was {message}. Latency counts from when a message was due, so a pause of the server counts \
             for every message that it delayed.",
            rate(messages_per_s),
            rate(results.sent_per_s())
        ),
        (Scenario::Echo, pacing) => {
            let in_flight = match pacing {
                Pacing::Closed { in_flight } => in_flight,
                _ => 1,
            };
            format!(
                "{connections} sent messages {lasted}, each with {} unanswered at most (a closed loop). Each \
                 was {message}. Latency is the time from sending a message to receiving its answer. A server \
                 that pauses is sent less meanwhile, so users can see worse latencies than these.",
                counted(in_flight, "message")
            )
        }
        (Scenario::Push, _) => format!(
            "{connections} received {} that the server sent by itself {lasted}. Latency is the gap between \
             two messages of a connection.",
            counted(totals.messages_received, "message")
        ),
        (Scenario::Broadcast, _) => format!(
            "One of {connections} published {} {lasted}, and the others received them: {} in all. Each was \
             {message}. Latency counts from when a message was due until one receiver had it.",
            counted(totals.messages_sent, "message"),
            counted(totals.messages_received, "message")
        ),
        (Scenario::Storm, Pacing::Open { messages_per_s }) => format!(
            "{} connections/s were opened and closed {lasted}, {} at a time at most: {} in all. Latency is \
             how long one took to open, from the name lookup to the server's response.",
            rate(messages_per_s),
            count(load.connections),
            counted(totals.opened, "connection")
        ),
        (Scenario::Storm, _) => format!(
            "{connections} at a time were opened and closed as fast as the server allowed {lasted}: {} in \
             all. Latency is how long one took to open, from the name lookup to the server's response.",
            counted(totals.opened, "connection")
        ),
        (Scenario::Idle, _) => format!(
            "{connections} were opened and held {lasted}. Of these, {} were lost. Latency is how long one \
             took to open, from the name lookup to the server's response.",
            if totals.lost == 0 { "none".to_owned() } else { count(totals.lost) }
        ),
    };
    if load.scenario == Scenario::Echo {
        text.push_str(&format!(
            " {} of {} were answered.",
            count(totals.messages_received),
            counted(totals.messages_sent, "message")
        ));
    }
    if totals.has_before() {
        text.push_str(&format!(
            " {} Of all figures, only the plots over time and the errors have them.",
            before(totals)
        ));
    }
    text
}

/// What was sent and received before the measured time.
fn before(totals: &Totals) -> String {
    format!(
        "Before the measured time, {} sent and {} received.",
        were(totals.sent_before),
        count(totals.received_before)
    )
}

fn were(messages: u64) -> String {
    let verb = if messages == 1 { "was" } else { "were" };
    format!("{} {verb}", counted(messages, "message"))
}

fn message(load: &Load) -> String {
    let size = in_words(load.payload.bytes);
    match load.payload.source.as_str() {
        "size" => format!("{size} of {}", load.payload.kind),
        _ => format!("{} of {size} on average", load.payload.kind),
    }
}

/// What a reader must know before believing the figures.
pub(crate) fn warnings(results: &Results) -> Vec<(&'static str, String)> {
    let mut warnings = Vec::new();
    if let Some(reason) = &results.generator.bottleneck {
        let text = format!(
            "{}. The server may be faster than these figures. Use more machines (--shard), or less load.",
            capitalised(reason)
        );
        warnings.push(("The generator may have been the bottleneck", text));
    }
    if let Some(reason) = &results.generator.contention {
        let text = format!(
            "{}. Run the generator on another machine than the server, or with less load.",
            capitalised(reason)
        );
        warnings.push(("The machine was full", text));
    }
    if let Some(together) = results.together_s {
        let text = format!(
            "They measured at the same time for {together:.1} s of {:.1} s: rates are those of parts of the load.",
            results.measured_s
        );
        warnings.push(("The shards did not run together", text));
    }
    if results.interrupted {
        let text = format!("It measured {}.", seconds(results.measured_s));
        warnings.push(("The run was ended early", text));
    }
    if let Some(shard) = results.shard {
        let text = "--merge adds up the results of all shards.".to_owned();
        let title = "This is a part of the load only";
        warnings.push((title, format!("It is shard {} of {}. {text}", shard.index, shard.count)));
    }
    let totals = &results.totals;
    let is_sending = !matches!(results.load.scenario, Scenario::Storm | Scenario::Idle);
    if is_sending && totals.messages_received == 0 {
        let sent = format!("{} sent.", were(totals.messages_sent));
        warnings.push(match totals.has_before() {
            true => {
                let measured = seconds(results.measured_s);
                let text = format!("Measured: {measured}, in which {sent} {}", before(totals));
                ("No message was received in the measured time", text)
            }
            false => ("No message was received", sent),
        });
    }
    if totals.mismatched > 0 {
        let all = results.errors.get("mismatch").map_or(0, |failures| failures.count);
        let more = match all > totals.mismatched {
            true => format!("; {} in the whole run", count(all)),
            false => String::new(),
        };
        let text = format!(
            "Of {}, {} differ from their message{more}.",
            counted(totals.messages_received, "answer"),
            count(totals.mismatched)
        );
        warnings.push(("The server does not echo", text));
    }
    warnings
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}

/// The sum of all failures.
pub(crate) fn failures(results: &Results) -> u64 {
    results.errors.values().map(|failures| failures.count).fold(0, u64::saturating_add)
}

/// Every option of the load, and what else there is to know.
pub(crate) fn facts(results: &Results) -> Vec<(&'static str, String)> {
    let load = &results.load;
    let totals = &results.totals;
    let scenario = format!("{:?}", load.scenario).to_lowercase();
    let or_none = |text: String| if text.is_empty() { "none".to_owned() } else { text };
    let compression = load.compression.map_or_else(String::new, |level| {
        format!("level {level}, agreed on for {}", counted(totals.compressed, "connection"))
    });
    let payload = match load.payload.source.as_str() {
        "none" => "none".to_owned(),
        source => {
            format!("{} from {source}, {} bytes", load.payload.kind, count(load.payload.bytes))
        }
    };
    let mut facts = vec![
        ("URL", results.url.clone()),
        ("Started", started(results)),
        ("Scenario", scenario),
        ("Connections", count(load.connections)),
        ("Pacing", pacing(load)),
        ("Payload", payload),
        ("Ramp", seconds(load.ramp_s)),
        ("Warm-up", seconds(load.warm_up_s)),
        ("Duration asked for", load.duration_s.map_or_else(|| "no limit".to_owned(), seconds)),
        ("Messages asked for", load.messages.map_or_else(|| "no limit".to_owned(), count)),
        ("Compression", or_none(compression)),
        ("Subprotocols", or_none(load.protocols.join(", "))),
        ("HTTP", load.http_version.clone()),
        ("Measured", seconds(results.measured_s)),
        ("Whole run", seconds(results.elapsed_s)),
        ("Connections opened", count(totals.opened)),
        ("Connections failed", count(totals.failed)),
        ("Connections lost", count(totals.lost)),
        ("Messages sent", bytes(totals.messages_sent, totals.bytes_sent)),
        ("Messages received", bytes(totals.messages_received, totals.bytes_received)),
        ("Unanswered", of_all(totals.unanswered, totals.messages_sent)),
    ];
    if totals.has_before() {
        let (sent, received) = (totals.sent_before, totals.received_before);
        let text = format!("{} sent, {} received", count(sent), count(received));
        facts.push(("Before the measured time", text));
    }
    facts.extend(of_generator(results));
    facts
}

fn of_generator(results: &Results) -> Vec<(&'static str, String)> {
    let (generator, totals) = (&results.generator, &results.totals);
    let cpu = |time: Option<f64>| time.map_or_else(|| "unknown".to_owned(), seconds);
    let (noun, number) = match results.load.scenario {
        Scenario::Storm => ("CPU time per handshake", totals.opened),
        // Those of an echo are sent and received.
        _ => ("CPU time per message", totals.messages_sent.max(totals.messages_received)),
    };
    let each = generator.measured_cpu_s.filter(|_| number > 0);
    let mut facts = vec![
        ("Generator", results.program.clone()),
        ("Generator's threads", count(generator.threads)),
        ("Generator's cores", count(generator.cores)),
        ("Generator's CPU time", cpu(generator.cpu_s)),
        ("CPU time while measuring", cpu(generator.measured_cpu_s)),
    ];
    if let Some(each) = each {
        facts.push((noun, time(each * 1e9 / precise(number))));
    }
    if let Some(busy) = generator.busy_percent {
        facts.push(("Generator's threads busy", percent(busy / 100.0)));
    }
    if let Some(busy) = generator.machine_percent {
        facts.push(("Machine busy", percent(busy / 100.0)));
    }
    if matches!(results.load.pacing, Pacing::Open { .. }) {
        let late = match generator.late_sends {
            0 => "none".to_owned(),
            sends => {
                format!("{}, by {} at most", count(sends), time(precise(generator.latest_send_ns)))
            }
        };
        facts.push(("Sent late by the generator", late));
    }
    facts
}

fn pacing(load: &Load) -> String {
    match load.pacing {
        Pacing::Closed { .. } if load.scenario == Scenario::Storm => {
            "as fast as possible".to_owned()
        }
        Pacing::Closed { in_flight } => {
            let each =
                if load.scenario == Scenario::Broadcast { "" } else { " on each connection" };
            format!("closed loop: {} in flight{each}", counted(in_flight, "message"))
        }
        Pacing::Open { messages_per_s } => format!("open loop: {}/s in all", rate(messages_per_s)),
        Pacing::None => "none".to_owned(),
    }
}

fn bytes(messages: u64, bytes: u64) -> String {
    format!("{}, {}", count(messages), in_words(bytes))
}

fn of_all(part: u64, all: u64) -> String {
    match (part, all) {
        (0, _) | (_, 0) => count(part),
        _ => format!("{}, {}", count(part), percent(precise(part) / precise(all))),
    }
}

/// When the run began: `2026-03-01 12:00:00 UTC`.
pub(crate) fn started(results: &Results) -> String {
    let text = results.started.trim_end_matches('Z').replacen('T', " ", 1);
    let whole = text.split('.').next().unwrap_or_default();
    format!("{whole} UTC")
}

fn seconds(seconds: f64) -> String {
    if seconds == 0.0 { "none".to_owned() } else { short_time(seconds * 1e9) }
}

/// A time in nanoseconds, if anything was measured.
pub(crate) fn known(nanoseconds: Option<u64>) -> String {
    nanoseconds.map_or_else(|| NOTHING.to_owned(), |value| time(precise(value)))
}

#[expect(clippy::cast_precision_loss, reason = "figures are shown with three digits")]
fn precise(count: u64) -> f64 {
    count as f64
}
