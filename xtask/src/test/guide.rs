//! The steps for the guide in `docs/`.

use anyhow::Result;

use crate::book;
use crate::test::outcome::Outcome;
use crate::test::step::{Context, Step};

pub(crate) const STEPS: [Step; 2] = [
    Step {
        name: "guide",
        about: "the guide's links lead somewhere, and its Rust is compiled",
        slow: false,
        run: check,
    },
    Step {
        name: "tutorial",
        about: "the tutorial and other commands of the guide, as printed",
        slow: true,
        run: follow,
    },
];

fn check(context: &Context) -> Result<Outcome> {
    Ok(match book::report(&context.workspace)? {
        true => Outcome::Passed,
        false => Outcome::Failed("something is wrong with the pages".into()),
    })
}

fn follow(context: &Context) -> Result<Outcome> {
    Ok(match book::follow(&context.workspace)? {
        None => Outcome::Passed,
        Some(missing) => Outcome::Skipped(format!("{missing} is missing")),
    })
}
