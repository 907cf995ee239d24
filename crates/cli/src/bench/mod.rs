//! `towline bench`: a load test for any WebSocket server.

mod results;

#[cfg(test)]
mod sample;

mod figures;

mod stored;

mod merge;

mod report;

mod compare;

mod after;

mod options;

mod payload;

mod usage;

mod ticker;

mod tally;

mod run;

mod worker;

mod flight;

mod pace;

mod echo;

mod listen;

mod broadcast;

mod storm;

mod threads;

mod timeline;

mod judge;

mod display;

mod plan;

mod silence;

mod engine;

mod summary;

use std::io::IsTerminal as _;
use std::path::Path;

pub(crate) use options::Options;

use crate::bench::engine::Outcome;
use crate::bench::results::{Results, Scenario};
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use crate::say;

/// Runs a load test, and reports.
pub(crate) async fn run(options: Options) -> Result<Exit, Failure> {
    if let Some(compared) = options.after.compare() {
        return compared;
    }
    if let Some(merged) = options.after.merged() {
        let results = merged?;
        show(&options, &results)?;
        return verdict(&results, None);
    }
    let interrupts = Interrupts::listen()
        .map_err(|error| Failure::new(Exit::Unclean, format!("can't handle signals: {error}")))?;
    if options.network.insecure && !options.quiet {
        say::note("warning: --insecure accepts any certificate: this may be any server");
    }
    let Outcome { results, failure } = engine::run(&options, interrupts).await?;
    show(&options, &results)?;
    verdict(&results, failure)
}

/// Writes the results as the options say.
fn show(options: &Options, results: &Results) -> Result<(), Failure> {
    match &options.json {
        Some(path) if path == Path::new("-") => say::out(json(results)?),
        Some(path) => {
            write(path, &json(results)?)?;
            say::out(summary::table(results, width()).trim_end());
        }
        None => say::out(summary::table(results, width()).trim_end()),
    }
    options.after.report(results)
}

/// The columns of the terminal. What is no terminal has enough of them.
fn width() -> usize {
    let size = crossterm::terminal::size().ok().filter(|_| std::io::stdout().is_terminal());
    size.map_or(usize::MAX, |(width, _)| usize::from(width))
}

/// How the program ends.
fn verdict(results: &Results, failure: Option<Failure>) -> Result<Exit, Failure> {
    if results.interrupted {
        return Ok(Exit::Interrupted);
    }
    let opened = results.intervals.iter().map(|interval| interval.opened).sum::<u64>();
    if let Some(failure) = failure.filter(|_| opened == 0) {
        return Err(failure);
    }
    let errors: u64 = results.errors.values().map(|failures| failures.count).sum();
    let is_short = match results.load.scenario {
        Scenario::Echo => results.totals.unanswered > 0 || results.totals.messages_sent == 0,
        // The publisher can be in another shard.
        Scenario::Broadcast => {
            results.totals.unanswered > 0 || results.totals.messages_received == 0
        }
        Scenario::Push => results.totals.messages_received == 0,
        Scenario::Storm | Scenario::Idle => false,
    };
    Ok(if errors > 0 || is_short { Exit::Unclean } else { Exit::Success })
}

fn json(results: &Results) -> Result<String, Failure> {
    serde_json::to_string(results)
        .map_err(|error| Failure::new(Exit::Unclean, format!("can't write the results: {error}")))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| {
        Failure::new(Exit::Unclean, format!("--json: can't write {}: {error}", path.display()))
    })
}
