//! The results as Markdown tables, which are readable in a terminal too.

use std::fmt::Write;

use crate::bench::clients::{DIRECTIONS, SIZES, WAYS, Way};
use crate::bench::outcome::{
    AcceptSample, ClientSample, CoresResult, EchoResult, EchoSample, EchoScenario, MemorySample,
    Speed, median,
};
use crate::bench::peer::Rank;
use crate::bench::scenario::{Compression, size};
use crate::bench::threads::Threads;

/// Processor time per message: first a line for each scenario, then all servers.
pub(crate) fn echo(scenarios: &[EchoScenario]) -> String {
    echo_over("loopback", "bare TCP", scenarios)
}

/// The same over TLS.
pub(crate) fn tls(scenarios: &[EchoScenario]) -> String {
    echo_over("TLS", "bare TLS", scenarios)
}

fn echo_over(what: &str, bare: &str, scenarios: &[EchoScenario]) -> String {
    if scenarios.is_empty() {
        return String::new();
    }
    let mut table = format!(
        "| echo, over {what} | {bare} | best other Rust library | those with plain `send` \
         | best other language | **towline** | **towline, split** | to the best Rust library \
         | goal |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for scenario in scenarios {
        let floor = scenario.floor().map(|floor| time(floor.cpu_ns_per_message));
        let plain = scenario.ranked(|rank| rank == Rank::Plain);
        let range = match (plain.first(), plain.last()) {
            (Some(first), Some(last)) => format!("{} to {}", ratio(first), ratio(last)),
            _ => "–".to_owned(),
        };
        let best = scenario.best_peer();
        let foreign = scenario.ranked(|rank| rank == Rank::Foreign).first().copied();
        let towline = scenario.of("towline");
        let against = towline.zip(best).and_then(|(towline, best)| towline.ratio_to(best));
        let columns = [
            scenario.about.clone(),
            floor.map_or_else(|| "–".to_owned(), |floor| format!("1.00 ({floor})")),
            named(best),
            range,
            named(foreign),
            towline.map_or_else(|| "–".to_owned(), |towline| format!("**{}**", ratio(towline))),
            scenario.of("towline-split").map_or_else(|| "–".to_owned(), ratio),
            number(against),
            number(scenario.goal),
        ];
        line(&mut table, &columns);
    }
    table + "\n" + &everyone(bare, scenarios)
}

/// The ratio to the bare echo, for every server and scenario.
fn everyone(bare: &str, scenarios: &[EchoScenario]) -> String {
    let heads = scenarios.iter().map(|scenario| scenario.name.clone());
    let mut table = String::new();
    line(&mut table, &[format!("ratio to {bare}")].into_iter().chain(heads).collect::<Vec<_>>());
    line(&mut table, &vec!["---".to_owned(); scenarios.len() + 1]);
    for name in names(scenarios.iter()) {
        let cells = scenarios
            .iter()
            .map(|scenario| scenario.of(name).map_or_else(|| "–".to_owned(), ratio));
        line(&mut table, &[name.to_owned()].into_iter().chain(cells).collect::<Vec<_>>());
    }
    table
}

/// Processor time per compressed message, and its size. A ratio to the bare echo, which does not compress,
/// would not be useful.
pub(crate) fn compressed(scenarios: &[EchoScenario]) -> String {
    let mut text = String::new();
    for compression in [Compression::Alone, Compression::Takeover] {
        let own: Vec<_> =
            scenarios.iter().filter(|scenario| scenario.compression == compression).collect();
        if own.is_empty() {
            continue;
        }
        let about = format!("JSON echo, {}", compression.about());
        let heads = own.iter().map(|scenario| size(scenario.size));
        line(&mut text, &[about].into_iter().chain(heads).collect::<Vec<_>>());
        line(&mut text, &vec!["---".to_owned(); own.len() + 1]);
        for name in names(own.iter().copied()) {
            let cells = own
                .iter()
                .map(|scenario| scenario.of(name).map_or_else(|| "–".to_owned(), time_and_bytes));
            line(&mut text, &[name.to_owned()].into_iter().chain(cells).collect::<Vec<_>>());
        }
        text.push('\n');
    }
    text
}

fn time_and_bytes(result: &EchoResult) -> String {
    let bytes = result.median(|sample| sample.reply_bytes);
    format!("{}, {bytes:.0} B", time(result.cpu_ns_per_message))
}

/// The servers of these scenarios, each once.
pub(crate) fn names<'a>(scenarios: impl Iterator<Item = &'a EchoScenario>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for result in scenarios.flat_map(|scenario| &scenario.results) {
        if !names.contains(&result.peer.as_str()) {
            names.push(&result.peer);
        }
    }
    names
}

/// Details for the optimisation of a server.
pub(crate) fn details(scenarios: &[EchoScenario]) -> String {
    let mut text = String::new();
    for scenario in scenarios {
        let _ = writeln!(
            text,
            "\n{}: {}\n  {:<26} {:>10} {:>7} {:>11} {:>8} {:>8} {:>8} {:>10}",
            scenario.name,
            scenario.about,
            "",
            "CPU each",
            "ratio",
            "messages/s",
            "server",
            "load",
            "kernel",
            "sleeps each"
        );
        for result in scenario.ranked(|_| true) {
            let kernel = |sample: &EchoSample| {
                let (user, system) = (sample.server.user_ms, sample.server.system_ms);
                let share = system * 100 / (user + system).max(1);
                f64::from(u32::try_from(share).unwrap_or(0))
            };
            let _ = writeln!(
                text,
                "  {:<26} {:>10} {:>7} {:>11.0} {:>7.0}% {:>7.0}% {:>7.0}% {:>10.4}",
                result.peer,
                time(result.cpu_ns_per_message),
                ratio(result),
                result.median(EchoSample::messages_per_second),
                result.median(EchoSample::server_busy) * 100.0,
                result.median(EchoSample::load_busy) * 100.0,
                result.median(kernel),
                result.median(EchoSample::sleeps_per_message),
            );
        }
        if scenario.results.iter().all(was_disturbed) {
            text += "  neither server nor load was busy all the time: others were at work, or the two \
                     waited for each other\n";
        }
    }
    text
}

/// Either of the two should be busy all the time. Over HTTP/2 with one message in flight they can take turns.
fn was_disturbed(result: &EchoResult) -> bool {
    result.median(|sample| sample.server_busy().max(sample.load_busy())) < 0.9
}

/// Processor time of clients per message: a table for each direction.
pub(crate) fn clients(samples: &[ClientSample]) -> String {
    let mut text = String::new();
    for (direction, _) in DIRECTIONS {
        let own: Vec<_> = samples.iter().filter(|sample| sample.direction == direction).collect();
        let cost = |name: &str, size: usize| {
            let turns = own.iter().filter(|sample| sample.client == name && sample.size == size);
            median(turns.map(|sample| sample.cpu_ns_per_message()).collect())
        };
        let heads = SIZES.iter().map(|bytes| size(*bytes));
        let _ = writeln!(
            text,
            "| a client: {direction} | {} |\n|{}",
            heads.collect::<Vec<_>>().join(" | "),
            " --- |".repeat(SIZES.len() + 1)
        );
        for Way { name, .. } in WAYS {
            let costs = SIZES.map(|size| cost(name, size));
            if costs.iter().any(Option::is_some) {
                let cells = costs.map(|cost| cost.map_or_else(|| "–".to_owned(), time));
                line(&mut text, &[&[name.to_owned()], &cells[..]].concat());
            }
        }
        text.push('\n');
    }
    text
}

/// Processor time per message and messages per second, on one thread and on two.
pub(crate) fn cores(results: &[CoresResult]) -> String {
    let mut scenarios: Vec<&str> = Vec::new();
    let mut rows: Vec<(&str, Threads)> = Vec::new();
    for CoresResult { peer, scenario, threads, .. } in results {
        if !scenarios.contains(&scenario.as_str()) {
            scenarios.push(scenario);
        }
        if !rows.contains(&(peer.as_str(), *threads)) {
            rows.push((peer, *threads));
        }
    }
    let mut table = format!("| several cores | | {} |\n|", scenarios.join(" | "));
    let _ = writeln!(table, "{}", " --- |".repeat(scenarios.len() + 2));
    for (peer, threads) in rows {
        let cell = |scenario: &&str| {
            let own = results.iter().find(|result| {
                result.peer == peer && result.threads == threads && result.scenario == *scenario
            });
            own.map_or_else(
                || "–".to_owned(),
                |own| {
                    let each = time(own.median(EchoSample::cpu_ns_per_message));
                    let rate = own.median(EchoSample::messages_per_second) / 1000.0;
                    format!("{each}, {rate:.0} k/s")
                },
            )
        };
        let cells: Vec<_> = scenarios.iter().map(cell).collect();
        let names = [peer.to_owned(), threads.about().to_owned()];
        line(&mut table, &[&names[..], &cells[..]].concat());
    }
    table
}

/// Gigabytes per second, in memory.
pub(crate) fn masking(speeds: &[Speed]) -> String {
    let (mut whats, mut sizes): (Vec<&str>, Vec<usize>) = (Vec::new(), Vec::new());
    for Speed { what, size, .. } in speeds {
        if !whats.contains(&what.as_str()) {
            whats.push(what);
        }
        if !sizes.contains(size) {
            sizes.push(*size);
        }
    }
    let heads = sizes.iter().map(|bytes| size(*bytes)).collect::<Vec<_>>();
    let mut table = format!("| GB/s | {} |\n|", heads.join(" | "));
    let _ = writeln!(table, "{}", " --- |".repeat(sizes.len() + 1));
    for what in whats {
        let of = |size: &usize| {
            let mut all = speeds.iter();
            let speed = all.find(|speed| speed.what == what && speed.size == *size);
            speed.map_or_else(|| "–".to_owned(), |speed| format!("{:.1}", speed.gb_per_s))
        };
        line(
            &mut table,
            &[&[what.to_owned()], &sizes.iter().map(of).collect::<Vec<_>>()[..]].concat(),
        );
    }
    table
}

/// Memory of an idle connection.
pub(crate) fn memory(samples: &[MemorySample]) -> String {
    memory_of("an idle connection", samples)
}

/// The same under axum.
pub(crate) fn axum_memory(samples: &[MemorySample]) -> String {
    memory_of("an idle connection, under axum or without", samples)
}

/// The same over TLS.
pub(crate) fn tls_memory(samples: &[MemorySample]) -> String {
    memory_of("an idle connection over TLS", samples)
}

fn memory_of(what: &str, samples: &[MemorySample]) -> String {
    let mut sorted: Vec<_> = samples.iter().collect();
    sorted.sort_by(|a, b| a.per_connection().total_cmp(&b.per_connection()));
    let count = sorted.first().map_or(0, |sample| sample.connections);
    let mut table = format!("| memory of {what}, of {count} | |\n| --- | --- |\n");
    for sample in sorted {
        line(&mut table, &[sample.peer.clone(), bytes(sample.per_connection())]);
    }
    table
}

/// Memory of an idle connection, by how it compresses.
pub(crate) fn compressed_memory(samples: &[MemorySample]) -> String {
    let mut sorted: Vec<_> = samples.iter().collect();
    sorted.sort_by(|a, b| a.per_connection().total_cmp(&b.per_connection()));
    let mut table = String::from(
        "| memory of an idle connection, after 4 KiB of JSON | | | connections |\n\
         | --- | --- | --- | --- |\n",
    );
    for sample in sorted {
        let (about, held) = (sample.compression.about(), bytes(sample.per_connection()));
        let count = sample.connections.to_string();
        line(&mut table, &[sample.peer.clone(), about.to_owned(), held, count]);
    }
    table
}

/// Processor time of an accepted connection, and its ratio to the bare echo's.
pub(crate) fn accept(samples: &[AcceptSample]) -> String {
    let mut names: Vec<&str> = samples.iter().map(|sample| sample.peer.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mut rows: Vec<_> = names
        .iter()
        .map(|name| {
            let own = samples.iter().filter(|sample| sample.peer == *name);
            let costs = own.clone().map(AcceptSample::cpu_ns_per_connection).collect();
            let ratios = own.filter_map(|own| {
                let mut floors = samples.iter().filter(|sample| sample.peer == "bare");
                let floor = floors.find(|floor| floor.round == own.round)?;
                Some(own.cpu_ns_per_connection() / floor.cpu_ns_per_connection())
            });
            (median(costs).unwrap_or(f64::NAN), name, median(ratios.collect()))
        })
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut table =
        String::from("| accepting a connection | CPU | to bare TCP |\n| --- | --- | --- |\n");
    for (cost, name, ratio) in rows {
        line(&mut table, &[(*name).to_owned(), time(cost), number(ratio)]);
    }
    table
}

fn line(table: &mut String, columns: &[String]) {
    let _ = writeln!(table, "| {} |", columns.join(" | "));
}

fn named(result: Option<&EchoResult>) -> String {
    result.map_or_else(|| "–".to_owned(), |best| format!("{} {}", ratio(best), best.peer))
}

pub(crate) fn ratio(result: &EchoResult) -> String {
    number(result.ratio_to_bare)
}

pub(crate) fn number(value: Option<f64>) -> String {
    match value {
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
        None => "–".to_owned(),
    }
}

pub(crate) fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        time if time >= 100_000.0 => format!("{:.0} µs", time / 1000.0),
        time if time >= 1000.0 => format!("{:.2} µs", time / 1000.0),
        time => format!("{time:.0} ns"),
    }
}

fn bytes(bytes: f64) -> String {
    if bytes < 1024.0 { format!("{bytes:.0} B") } else { format!("{:.1} KiB", bytes / 1024.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::outcome::Usage;
    use crate::bench::scenario::Kind;

    #[test]
    fn numbers_have_as_many_digits_as_mean_something() {
        assert_eq!(number(Some(1.234)), "1.23");
        assert_eq!(number(Some(37.04)), "37.0");
        assert_eq!((time(112.4), time(7034.0)), ("112 ns".into(), "7.03 µs".into()));
        assert_eq!(time(430_400.0), "430 µs");
        assert_eq!((bytes(272.0), bytes(1536.0)), ("272 B".into(), "1.5 KiB".into()));
    }

    #[test]
    fn compressed_echoes_have_a_table_for_each_way() {
        let scenario = |compression, size, cpu_ns, reply_bytes| {
            let server = Usage { cpu_ns, ..Usage::default() };
            let sample = EchoSample { messages: 10, reply_bytes, server, ..EchoSample::default() };
            let mut scenario = EchoScenario {
                name: "n".into(),
                about: "a".into(),
                connections: 1,
                size,
                kind: Kind::Json,
                in_flight: 1,
                compression,
                goal: None,
                results: vec![EchoResult {
                    peer: "p".into(),
                    rank: Rank::Towline,
                    cpu_ns_per_message: 0.0,
                    ratio_to_bare: None,
                    samples: vec![sample],
                }],
            };
            scenario.sum_up();
            scenario
        };
        let scenarios = [
            scenario(Compression::Alone, 100, 1000, 90.0),
            scenario(Compression::Alone, 1024, 20_000, 350.4),
            scenario(Compression::Takeover, 100, 2000, 30.0),
        ];
        assert_eq!(
            compressed(&scenarios),
            "| JSON echo, no context takeover | 100 B | 1 KiB |\n| --- | --- | --- |\n\
             | p | 100 ns, 90 B | 2.00 µs, 350 B |\n\n\
             | JSON echo, context takeover | 100 B |\n| --- | --- |\n| p | 200 ns, 30 B |\n\n"
        );
    }
}
