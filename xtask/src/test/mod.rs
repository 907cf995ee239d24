//! `cargo xtask test`: runs all checks and tests, and prints a summary.

pub(crate) mod outcome;

mod process;
pub(crate) mod step;

mod checks;
mod features;
mod fuzzing;
mod guide;
mod instructions;
pub(crate) mod interop;
mod networks;
mod relays;
mod simulating;
mod soaking;
mod workspaces;

use std::env;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use crate::workspace::Workspace;
use outcome::{Outcome, Record};
use step::{Context, Step};

#[derive(Args)]
pub(crate) struct Options {
    /// Run only these steps, in the usual order
    #[arg(long, value_name = "STEP,…", value_delimiter = ',')]
    only: Vec<String>,
    /// Skip the steps that need other programs than Rust's
    #[arg(long)]
    quick: bool,
    /// List the steps, without running them
    #[arg(long)]
    list: bool,
}

/// Returns true if no step failed.
pub(crate) fn run(workspace: Workspace, options: &Options) -> Result<bool> {
    let steps = select(options)?;
    if options.list {
        for step in steps {
            println!("{:<16} {}", step.name, step.about);
        }
        return Ok(true);
    }

    let ci = env::var("CI").is_ok_and(|value| value == "true");
    let context = Context { workspace };
    let mut records = Vec::new();
    for step in &steps {
        println!("\n==== {}: {}", step.name, step.about);
        let start = Instant::now();
        let outcome = (step.run)(&context)
            .unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")))
            .on_ci(ci);
        let record = Record { step: step.name, outcome, took: start.elapsed() };
        println!("---- {}", record.line());
        records.push(record);
    }
    println!("\n==== summary\n{}", outcome::summary(&records));
    Ok(outcome::passed(&records))
}

/// Returns the steps to run: the checks first, since they fail fastest.
fn select(options: &Options) -> Result<Vec<Step>> {
    let checks = checks::STEPS.into_iter().chain([features::STEP, instructions::STEP]);
    let mut steps: Vec<_> = checks
        .chain([simulating::STEP, soaking::STEP, fuzzing::STEP])
        .chain(workspaces::STEPS)
        .chain([networks::STEP, relays::STEP])
        .chain(guide::STEPS)
        .chain(interop::STEPS)
        .collect();
    for name in &options.only {
        if !steps.iter().any(|step| step.name == name) {
            let names: Vec<_> = steps.iter().map(|step| step.name).collect();
            bail!("unknown step {name:?}; the steps are {}", names.join(", "));
        }
    }
    steps.retain(|step| {
        let chosen = options.only.is_empty() || options.only.iter().any(|name| name == step.name);
        chosen && !(options.quick && step.slow)
    });
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: &[&str], quick: bool) -> Vec<&'static str> {
        let only = only.iter().map(|name| (*name).to_owned()).collect();
        let steps = select(&Options { only, quick, list: false }).unwrap();
        steps.iter().map(|step| step.name).collect()
    }

    #[test]
    fn no_two_steps_have_one_name() {
        let all = names(&[], false);
        for name in &all {
            assert_eq!(all.iter().filter(|other| *other == name).count(), 1, "{name}");
        }
    }

    #[test]
    fn some_steps_can_be_chosen() {
        assert_eq!(names(&["tests", "format"], false), ["format", "tests"]);
        let only = vec!["tset".to_owned()];
        assert!(select(&Options { only, quick: false, list: false }).is_err());
    }

    #[test]
    fn quick_leaves_out_what_needs_other_programs() {
        let quick = names(&[], true);
        assert!(quick.contains(&"tests"));
        assert!(!quick.contains(&"peers"));
    }
}
