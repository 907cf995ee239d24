//! A short soak.

use anyhow::Result;

use crate::soak;
use crate::test::outcome::Outcome;
use crate::test::step::{Context, Step};

pub(crate) const STEP: Step = Step {
    name: "soak",
    about: "300 clients that come and go for 20 seconds, and a shutdown of 2,000 connections",
    slow: true,
    run: soaking,
};

fn soaking(context: &Context) -> Result<Outcome> {
    if !cfg!(target_os = "linux") {
        return Ok(Outcome::Skipped("the figures of a process are read from Linux's /proc".into()));
    }
    Ok(if soak::run(&context.workspace, &soak::Options::quick())? {
        Outcome::Passed
    } else {
        Outcome::Failed("the soak found something; its output is above".into())
    })
}
