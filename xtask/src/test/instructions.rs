//! The step that counts instructions, where valgrind is there.

use anyhow::Result;

use crate::bench::instructions::{self, Verdict};
use crate::test::outcome::Outcome;
use crate::test::step::{Context, Step};

pub(crate) const STEP: Step = Step {
    name: "instructions",
    about: "the hot paths take no more instructions than they did",
    slow: true,
    run,
};

fn run(context: &Context) -> Result<Outcome> {
    Ok(match instructions::check(&context.workspace)? {
        Verdict::Held => Outcome::Passed,
        Verdict::Broken(what) => Outcome::Failed(format!(
            "more than the baseline: {what}; if it must be so, `cargo xtask bench --instructions \
             --update`"
        )),
        // Nobody can do anything about it, on CI neither.
        Verdict::NotCompared(why) => {
            println!("not compared: {why}");
            Outcome::Passed
        }
        Verdict::NoValgrind => Outcome::Skipped("valgrind is not installed".into()),
    })
}
