//! A short run of each fuzzer.

use anyhow::Result;

use crate::fuzz;
use crate::test::outcome::Outcome;
use crate::test::step::{Context, Step};

pub(crate) const STEP: Step = Step {
    name: "fuzz",
    about: "each fuzzer for ten seconds, from the inputs that were found before",
    slow: true,
    run: fuzzing,
};

fn fuzzing(context: &Context) -> Result<Outcome> {
    if !cfg!(all(target_os = "linux", target_env = "gnu")) {
        return Ok(Outcome::Skipped("the sanitizer is tried on Linux with glibc only".to_owned()));
    }
    Ok(if fuzz::run(&context.workspace, &fuzz::Options::quick())? {
        Outcome::Passed
    } else {
        Outcome::Failed("a fuzzer found something; its output is above".to_owned())
    })
}
