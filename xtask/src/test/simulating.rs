//! Some hundreds of seeds of the simulation.

use anyhow::Result;

use crate::simulate;
use crate::test::outcome::Outcome;
use crate::test::step::{Context, Step};

pub(crate) const STEP: Step = Step {
    name: "simulate",
    about: "many connections on a simulated network, from 500 seeds",
    slow: false,
    run: simulating,
};

fn simulating(context: &Context) -> Result<Outcome> {
    Ok(if simulate::run(&context.workspace, &simulate::Options::quick())? {
        Outcome::Passed
    } else {
        Outcome::Failed("a seed failed; the line that repeats it is above".to_owned())
    })
}
