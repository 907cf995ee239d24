//! What is done with results: a report, a comparison, and adding up those of shards.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::bench::compare::{self, Comparison};
use crate::bench::merge::merge;
use crate::bench::output::Output;
use crate::bench::results::Results;
use crate::bench::stored::read;
use crate::exit::{Exit, Failure};
use crate::say;

/// The options.
#[derive(Debug, Args)]
#[command(next_help_heading = "Results")]
pub(crate) struct After {
    /// Write a report with plots to this file: one page of HTML that needs nothing else, for a browser, a
    /// phone and paper. Also with --merge and --compare
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Compare two results of --json, and say which differences are more than noise. See --help
    #[arg(
        long, num_args = 2, value_names = ["BEFORE", "AFTER"],
        conflicts_with_all = ["url", "merge", "json"],
    )]
    compare: Vec<PathBuf>,

    /// With --compare, exit with 1 if a figure is worse by more than this, and not by chance, or if nothing
    /// can be judged
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    fail_if_worse: Option<f64>,

    /// Add up the results of --json of all shards of a run, in place of a run. One file of an undivided
    /// run is shown again
    #[arg(long, num_args = 1.., value_name = "FILE", conflicts_with = "url")]
    merge: Vec<PathBuf>,
}

fn percent(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.trim_end_matches('%').trim().parse().ok();
    let in_reach = number.filter(|number| (0.0..=1000.0).contains(number));
    in_reach.ok_or_else(|| "write a percentage from 0 to 1000, such as 5".to_owned())
}

impl After {
    /// Does what was asked for in place of a run: compares, and returns how the program ends. `None` if
    /// there is to be a run, or `--merge`.
    pub(crate) fn compare(&self) -> Option<Result<Exit, Failure>> {
        match self.compare.as_slice() {
            [before, after] => Some(self.compare_files(before, after)),
            // clap does not require what conflicts with the URL.
            _ if self.fail_if_worse.is_some() => {
                Some(Err(Failure::new(Exit::Usage, "--fail-if-worse needs --compare")))
            }
            _ => None,
        }
    }

    fn compare_files(&self, before: &Path, after: &Path) -> Result<Exit, Failure> {
        let (before, after) = (read(before)?, read(after)?);
        let output = self.output()?;
        let comparison = compare::compare(&before, &after);
        for line in compare::table::lines(&comparison) {
            say::out(line);
        }
        if let Some(output) = output {
            output.write(&compare::page::html(&comparison, [&before.results, &after.results]))?;
        }
        Ok(self.verdict(&comparison))
    }

    fn verdict(&self, comparison: &Comparison) -> Exit {
        if !comparison.differences.is_empty() {
            return Exit::Usage;
        }
        match self.fail_if_worse {
            // What says nothing does not say that it is no worse.
            Some(_) if !comparison.is_judged() => Exit::Unclean,
            Some(percent) if comparison.is_worse_by(percent / 100.0) => Exit::Unclean,
            _ => Exit::Success,
        }
    }

    /// The results of the files to add up, if there are some.
    pub(crate) fn merged(&self) -> Option<Result<Results, Failure>> {
        if self.merge.is_empty() {
            return None;
        }
        let files = self.merge.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>();
        Some(files.and_then(|files| merge(&files)))
    }

    /// Opens the file for the report, if one was asked for.
    pub(crate) fn output(&self) -> Result<Option<Output>, Failure> {
        self.report.as_ref().map(|path| Output::open("--report", path)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_a_number_in_reach() {
        assert_eq!((percent("5"), percent("2.5%"), percent("0")), (Ok(5.0), Ok(2.5), Ok(0.0)));
        for text in ["", "much", "-1", "NaN", "inf", "1001"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }
}
