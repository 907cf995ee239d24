//! `towline bench`: a load test for any WebSocket server.

mod results;

mod random;

#[cfg(test)]
mod sample;

mod figures;

mod bottleneck;

mod stored;

mod output;

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

mod lack;

mod engine;

mod summary;

use std::io::IsTerminal as _;
use std::path::Path;

pub(crate) use options::Options;

use crate::bench::engine::Outcome;
use crate::bench::output::Output;
use crate::bench::results::{Results, Scenario};
use crate::bench::run::Plan;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use crate::say;
use crate::screen;

/// Runs a load test, and reports.
pub(crate) async fn run(options: Options) -> Result<Exit, Failure> {
    if let Some(compared) = options.after.compare() {
        return compared;
    }
    if let Some(merged) = options.after.merged() {
        let results = merged?;
        let outputs = Outputs::open(&options)?;
        let exit = verdict(&results, None);
        outputs.show(&options, &results)?;
        return exit;
    }
    let outputs = Outputs::open(&options)?;
    // Files can be pipes: until they are read, a signal ends the program as usual.
    let (plan, tls) = (Plan::of(&options)?, options.network.tls()?);
    let interrupts = Interrupts::listen()
        .map_err(|error| Failure::new(Exit::Unclean, format!("can't handle signals: {error}")))?;
    if options.network.insecure && !options.quiet {
        say::note("warning: --insecure accepts any certificate: this may be any server");
    }
    let Outcome { results, failure } = engine::run(&options, plan, tls, interrupts).await?;
    let exit = verdict(&results, failure);
    outputs.show(&options, &results)?;
    exit
}

/// The files that results are written to.
struct Outputs {
    json: Option<Output>,
    report: Option<Output>,
}

impl Outputs {
    fn open(options: &Options) -> Result<Self, Failure> {
        let json = options.json.as_deref().filter(|path| *path != Path::new("-"));
        let json = json.map(|path| Output::open("--json", path)).transpose()?;
        Ok(Self { json, report: options.after.output()? })
    }

    /// Shows the results, and writes them as the options say. A file that fails keeps no other from being
    /// written.
    fn show(self, options: &Options, results: &Results) -> Result<(), Failure> {
        let is_json = options.json.is_some() && self.json.is_none();
        if is_json {
            say::out(json(results)?);
        } else {
            say::out(summary::table(results, width()).trim_end());
        }
        let written = self.json.map_or(Ok(()), |file| file.write(&json(results)?));
        let reported = self.report.map_or(Ok(()), |file| file.write(&report::html(results)));
        written.and(reported)
    }
}

/// The columns of the terminal. What is no terminal has enough of them.
fn width() -> usize {
    if std::io::stdout().is_terminal() { screen::width() } else { usize::MAX }
}

/// How the program ends.
fn verdict(results: &Results, failure: Option<Failure>) -> Result<Exit, Failure> {
    if results.interrupted {
        return Ok(Exit::Interrupted);
    }
    let opened = results.intervals.iter().map(|interval| interval.opened);
    let opened = opened.fold(0, u64::saturating_add);
    if let Some(failure) = failure.filter(|_| opened == 0) {
        return Err(failure);
    }
    let has_errors = results.errors.values().any(|failures| failures.count > 0);
    let is_short = match results.load.scenario {
        Scenario::Echo => results.totals.unanswered > 0 || results.totals.messages_sent == 0,
        // The publisher can be in another shard.
        Scenario::Broadcast => {
            results.totals.unanswered > 0 || results.totals.messages_received == 0
        }
        Scenario::Push => results.totals.messages_received == 0,
        Scenario::Storm | Scenario::Idle => false,
    };
    Ok(if has_errors || is_short { Exit::Unclean } else { Exit::Success })
}

fn json(results: &Results) -> Result<String, Failure> {
    serde_json::to_string(results)
        .map_err(|error| Failure::new(Exit::Unclean, format!("can't write the results: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::Failures;

    #[test]
    fn counts_of_a_file_can_be_anything() {
        let mut results = sample::troubled(5);
        for failures in results.errors.values_mut() {
            failures.count = u64::MAX;
        }
        for interval in &mut results.intervals {
            interval.opened = u64::MAX;
        }
        let other = Failures { count: u64::MAX, example: String::new() };
        results.errors.insert("other".to_owned(), other);
        assert_eq!(verdict(&results, None).unwrap(), Exit::Unclean);
    }
}
