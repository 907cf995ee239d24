//! Short soaks.

use anyhow::Result;

use crate::installed::has;
use crate::soak;
use crate::test::outcome::Outcome;
use crate::test::step::{Context, Step};

pub(crate) const STEP: Step = Step {
    name: "soak",
    about: "300 clients that come and go, 1,000 idle ones, 1,000 at once, and a shutdown of 2,000",
    slow: true,
    run: soaking,
};

fn soaking(context: &Context) -> Result<Outcome> {
    if !cfg!(target_os = "linux") {
        return Ok(Outcome::Skipped("the figures of a process are read from Linux's /proc".into()));
    }
    let is_through_nginx = has("nginx");
    Ok(match soak::run(&context.workspace, &soak::Options::quick())? {
        true if is_through_nginx => Outcome::Passed,
        true => Outcome::Skipped("clients through nginx; not installed: nginx".into()),
        false => Outcome::Failed("the soak found something; its output is above".into()),
    })
}
