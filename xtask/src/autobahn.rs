//! `cargo xtask autobahn`: runs the Autobahn suite, on demand all of its cases.

use anyhow::Result;
use clap::Args;

use crate::test::interop::{autobahn, programs};
use crate::test::outcome::Outcome;
use crate::test::step::Context;
use crate::workspace::Workspace;

/// The file with the counts of a full run.
const RESULTS: &str = "testing/interop/autobahn/results.json";

#[derive(Args)]
pub(crate) struct Options {
    /// Run all 517 cases, about half an hour for each role, and write results.json
    #[arg(long)]
    full: bool,
}

/// Returns true if every case is as expected in both roles.
pub(crate) fn run(workspace: Workspace, options: &Options) -> Result<bool> {
    let context = Context { workspace };
    if !matches!(programs(&context)?, Outcome::Passed) {
        return Ok(false);
    }
    let arguments: &[&str] = if options.full { &["--full", "--record", RESULTS] } else { &[] };
    let mut all_passed = true;
    for role in ["server", "client"] {
        let outcome = autobahn(&context, role, arguments)?;
        if let Outcome::Failed(why) | Outcome::Skipped(why) = &outcome {
            eprintln!("{role}: {why}");
        }
        all_passed &= matches!(outcome, Outcome::Passed);
    }
    Ok(all_passed)
}
