//! The step that counts instructions, if valgrind is installed.

use anyhow::Result;

use crate::bench::instructions::{self, Verdict};
use crate::test::outcome::Outcome;
use crate::test::step::{Context, Step};

pub(crate) const STEP: Step = Step {
    name: "instructions",
    about: "the hot paths need no more instructions than the baseline",
    slow: true,
    run,
};

fn run(context: &Context) -> Result<Outcome> {
    Ok(match instructions::check(&context.workspace)? {
        Verdict::Held => Outcome::Passed,
        Verdict::Broken(what) => Outcome::Failed(format!(
            "more than the baseline: {what}; if intended, run `cargo xtask bench --instructions \
             --update`"
        )),
        // The machine differs from that of the baseline, which CI cannot change either.
        Verdict::NotCompared(why) => {
            println!("not compared: {why}");
            Outcome::Passed
        }
        Verdict::NoValgrind => Outcome::Skipped("valgrind is not installed".into()),
    })
}
