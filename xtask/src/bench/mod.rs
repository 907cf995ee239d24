//! `cargo xtask bench`: compares the processor time of Towline with that of other libraries.
//!
//! The programs are in `testing/bench`, a separate workspace. This command builds, starts and ends
//! them; `testing/bench/README.md` describes the method.

mod scenario;

mod peer;

mod threads;

mod outcome;

mod machine;

mod serving;

mod building;

mod echoing;

mod standing;

mod cores;

mod clients;

mod table;

mod tls;

mod frameworks;

mod plot;

mod fair;

mod fanout;

pub(crate) mod instructions;

mod writing;

mod session;

mod choosing;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use crate::workspace::Workspace;
use choosing::{Chosen, choose_peers, choose_scenarios, chosen, list, list_fanout};
use instructions::Verdict;
use machine::Machine;
use peer::Peer;
use scenario::Scenario;
use session::Session;

#[derive(Args)]
pub(crate) struct Options {
    /// Measure only echoes without compression (with none of these eleven options: everything)
    #[arg(long)]
    echo: bool,
    /// Measure only compressed echoes, and the memory of idle connections with compression
    #[arg(long)]
    compressed: bool,
    /// Measure only the memory of idle connections
    #[arg(long)]
    memory: bool,
    /// Measure only the cost of accepting a connection
    #[arg(long)]
    accept: bool,
    /// Measure only echoes, idle connections and handshakes over TLS
    #[arg(long)]
    tls: bool,
    /// Measure only echoes and idle connections under axum
    #[arg(long)]
    axum: bool,
    /// Measure only echoes over HTTP/2
    #[arg(long)]
    http2: bool,
    /// Measure only servers on two threads and both cores
    #[arg(long)]
    cores: bool,
    /// Measure only the effect of one connection on all others
    #[arg(long)]
    fair: bool,
    /// Measure only servers that send a message of one connection to many
    #[arg(long)]
    fanout: bool,
    /// Measure only clients, and the speed of masking
    #[arg(long)]
    client: bool,
    /// Measure for a few seconds per program, for a rough result
    #[arg(long)]
    quick: bool,
    /// The number of turns of each program [default: 5, or 2 with --quick]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// The time of measurement in each turn of an echo, in seconds [default: 3, or 1 with --quick; with
    /// --fair, 1, or 0.5 with --quick]
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// Only these scenarios, by the start of their names; only echoes, --fair and --fanout have scenarios
    /// [default: all]
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    scenario: Vec<String>,
    /// Only these peers, by name or by library; the bare echo and that of --uws are always included
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    peer: Vec<String>,
    /// Also measure this echo server, made with uWebSockets or anything else. It takes `--listen ADDRESS`
    /// and prints `listening ADDRESS`; with --tls it takes `--tls-cert FILE --tls-key FILE` too. With --fanout
    /// it takes `--fanout`: it sends the text `joined` to a connection whose request has the path
    /// `/join/TOPIC`, and then each message of a connection with the path `/publish/TOPIC`. It is first run once with `--version`, and the results include the output
    #[arg(long, value_name = "PROGRAM")]
    uws: Option<PathBuf>,
    /// The directory for the numbers of every turn [default: target/bench/results]
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
    /// Write the tables to docs/benchmarks too; for a full run on a quiet machine
    #[arg(long, conflicts_with_all = ["quick", "scenario", "peer", "instructions"])]
    publish: bool,
    /// Count the instructions of the hot paths instead, and compare them with the baseline
    #[arg(long, conflicts_with_all = ["echo", "compressed", "memory", "accept", "tls", "axum", "http2", "cores", "fair", "fanout", "client"])]
    instructions: bool,
    /// Write the counts as the new baseline
    #[arg(long, requires = "instructions")]
    update: bool,
    /// List the scenarios and the peers, without running them
    #[arg(long)]
    list: bool,
}

/// Returns true if every program could be measured, or no count exceeds the baseline.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    if options.instructions {
        return count(workspace, options.update);
    }
    let Chosen { echoes: scenarios, unfair, fanned } = choose_scenarios(options)?;
    let peers = choose_peers(options)?;
    if options.list {
        list(&scenarios, &unfair, &peers, &chosen(options, peer::frameworks()));
        list_fanout(&fanned, &chosen(options, peer::fanning_out(options.uws.as_deref())));
        return Ok(true);
    }
    let machine = Machine::look(workspace, options.uws.as_deref())?;
    if machine.load_average > 0.5 {
        println!("warning: the load average is {:.1}; others are at work", machine.load_average);
    }
    let results = || workspace.target_directory.join("bench").join("results");
    let out = options.out.clone().unwrap_or_else(results);
    let published = workspace.root.join("docs").join("benchmarks");
    let session = Session {
        bench: building::bench(workspace, options.uws.as_deref()),
        machine,
        out: &out,
        published: options.publish.then_some(published.as_path()),
        rounds: options.rounds.unwrap_or(if options.quick { 2 } else { 5 }),
        quick: options.quick,
        seconds: options.seconds,
    };
    let mut failures = Vec::new();
    let asked = Asked::of(options);
    if asked.servers() {
        let (peers, left_out) = building::build(workspace, peers)?;
        failures.extend(left_out);
        if !peers.iter().any(Peer::is_floor) {
            bail!("the bare echo, the reference for all ratios, cannot be built");
        }
        measure_servers(&session, &asked, options, &scenarios, &peers, &mut failures)?;
        if asked.tls {
            let is_all = options.scenario.is_empty();
            session.tls(is_all, (&scenarios, &peers), &mut failures)?;
        }
    }
    measure_frameworks(workspace, &session, &asked, options, &scenarios, &mut failures)?;
    if asked.fair && !unfair.is_empty() {
        let named = !options.peer.is_empty();
        let able = choose_peers(options)?.into_iter().filter(|peer| fair::is_able(peer, named));
        let (peers, left_out) = building::build(workspace, able.collect())?;
        failures.extend(left_out);
        session.fair(&unfair, &peers, &mut failures)?;
    }
    if asked.fanout && !fanned.is_empty() {
        let peers = chosen(options, peer::fanning_out(options.uws.as_deref()));
        let (peers, left_out) = building::build(workspace, peers)?;
        failures.extend(left_out);
        session.fanout(&fanned, &peers, &mut failures)?;
    }
    if asked.client {
        building::build_clients(workspace)?;
        session.clients(&options.peer, &mut failures)?;
    }
    println!("written to {}", workspace.relative(&out).display());
    for failure in &failures {
        println!("left out: {failure}");
    }
    Ok(failures.is_empty())
}

fn measure_servers(
    session: &Session<'_>,
    asked: &Asked,
    options: &Options,
    scenarios: &[&Scenario],
    peers: &[Peer],
    failures: &mut Vec<String>,
) -> Result<()> {
    let (compressed, plain): (Vec<_>, Vec<_>) =
        scenarios.iter().copied().partition(|scenario| scenario.is_compressed());
    // If no scenario was chosen, the file of an earlier run stays.
    if asked.echo && !plain.is_empty() {
        session.echo(&plain, peers, failures)?;
    }
    if asked.compressed && !compressed.is_empty() {
        session.compressed(&compressed, peers, failures)?;
    }
    if asked.memory {
        session.memory(peers, failures)?;
    }
    if asked.compressed_memory {
        session.compressed_memory(peers, failures)?;
    }
    if asked.accept {
        session.accept(peers, failures)?;
    }
    if asked.cores {
        let named = !options.scenario.is_empty();
        let scenarios: Vec<_> = scenarios
            .iter()
            .copied()
            .filter(|scenario| named || cores::is_usual_scenario(scenario.name))
            .collect();
        let named = !options.peer.is_empty();
        let peers: Vec<_> =
            peers.iter().filter(|peer| named || cores::is_usual_peer(peer.name)).collect();
        session.cores(&scenarios, &peers, failures)?;
    }
    Ok(())
}

/// Servers under axum, and over HTTP/2.
fn measure_frameworks(
    workspace: &Workspace,
    session: &Session<'_>,
    asked: &Asked,
    options: &Options,
    scenarios: &[&Scenario],
    failures: &mut Vec<String>,
) -> Result<()> {
    let scenarios: Vec<_> =
        scenarios.iter().copied().filter(|scenario| !scenario.is_compressed()).collect();
    if asked.axum {
        let (peers, left_out) = building::build(workspace, chosen(options, peer::under_axum()))?;
        failures.extend(left_out);
        session.axum(options.scenario.is_empty(), (&scenarios, &peers), failures)?;
    }
    if asked.http2 {
        let (peers, left_out) = building::build(workspace, chosen(options, peer::over_http2()))?;
        failures.extend(left_out);
        session.http2(&scenarios, &peers, failures)?;
    }
    Ok(())
}

/// What to measure.
struct Asked {
    echo: bool,
    compressed: bool,
    memory: bool,
    compressed_memory: bool,
    accept: bool,
    tls: bool,
    axum: bool,
    http2: bool,
    cores: bool,
    fair: bool,
    fanout: bool,
    client: bool,
}

impl Asked {
    /// Returns everything if no kind was chosen.
    fn of(options: &Options) -> Self {
        let &Options {
            echo,
            compressed,
            memory,
            accept,
            tls,
            axum,
            http2,
            cores,
            fair,
            fanout,
            client,
            ..
        } = options;
        // A named scenario means echoes.
        let all = options.scenario.is_empty();
        let servers = echo || compressed || memory || accept || tls || cores;
        if servers || axum || http2 || fair || fanout || client {
            let compressed_memory = compressed && all;
            return Self {
                echo,
                compressed,
                memory,
                compressed_memory,
                accept,
                tls,
                axum,
                http2,
                cores,
                fair,
                fanout,
                client,
            };
        }
        Self {
            echo: true,
            compressed: true,
            memory: all,
            compressed_memory: all,
            accept: all,
            tls: all,
            axum: all,
            http2: all,
            cores: all,
            fair: all,
            fanout: all,
            client: all,
        }
    }

    fn servers(&self) -> bool {
        self.echo || self.compressed || self.memory || self.accept || self.tls || self.cores
    }
}

fn count(workspace: &Workspace, update: bool) -> Result<bool> {
    if update {
        let table = instructions::table(&instructions::update(workspace)?);
        let page = workspace.root.join("docs").join("benchmarks").join("README.md");
        writing::publish(&page, "instructions", table.trim_end())?;
        return Ok(true);
    }
    match instructions::check(workspace)? {
        Verdict::Held => return Ok(true),
        Verdict::Broken(what) => println!("more than the baseline: {what}"),
        Verdict::NotCompared(why) => println!("not compared: {why}"),
        Verdict::NoValgrind => println!("not counted: valgrind is not installed"),
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    /// Whoever names a program should know all that it is run with.
    #[test]
    fn the_help_tells_how_the_given_program_is_run() {
        let mut command = Options::augment_args(Command::new("bench"));
        let help = command.render_long_help().to_string();
        for argument in ["--listen", "--tls-cert", "--tls-key", "--fanout", "/join/", "--version"] {
            assert!(help.contains(argument), "{argument} is not in {help}");
        }
    }
}
