//! The steps that need only Rust.

use std::process::Stdio;

use anyhow::Result;

use crate::house;
use crate::licences;
use crate::packages;
use crate::promises;
use crate::supply;
use crate::test::outcome::Outcome;
use crate::test::process::run;
use crate::test::step::{Context, Step};

pub(crate) const STEPS: [Step; 11] = [
    Step {
        name: "format",
        about: "the code is formatted as rustfmt does it",
        slow: false,
        run: format,
    },
    Step { name: "house", about: "the rules of the house", slow: false, run: house },
    Step { name: "clippy", about: "clippy reports no warnings", slow: false, run: clippy },
    Step {
        name: "docs",
        about: "the documentation builds without a warning",
        slow: false,
        run: docs,
    },
    Step { name: "tests", about: "unit, behaviour and doc tests", slow: false, run: tests },
    Step {
        name: "threads",
        about: "a connection under many thread schedules",
        slow: false,
        run: threads,
    },
    Step { name: "examples", about: "the examples build and run", slow: false, run: examples },
    Step {
        name: "licences",
        about: "every dependency's licence is allowed",
        slow: false,
        run: licences,
    },
    Step {
        name: "supply",
        about: "every dependency is from crates.io and has a reason",
        slow: false,
        run: supply,
    },
    Step {
        name: "promises",
        about: "the tests that SECURITY.md names exist",
        slow: false,
        run: promises,
    },
    Step {
        name: "packages",
        about: "what is published: metadata, files, versions",
        slow: false,
        run: packages,
    },
];

fn format(context: &Context) -> Result<Outcome> {
    if let Some(skipped) = lacks(context, "fmt", "rustfmt") {
        return Ok(skipped);
    }
    run(&mut context.cargo(&["fmt", "--all", "--check"]))
}

fn house(context: &Context) -> Result<Outcome> {
    Ok(verdict(house::report(&context.workspace)?, "some rules are broken"))
}

fn clippy(context: &Context) -> Result<Outcome> {
    if let Some(skipped) = lacks(context, "clippy", "clippy") {
        return Ok(skipped);
    }
    let arguments = ["--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    run(context.cargo(&["clippy"]).args(arguments))
}

fn docs(context: &Context) -> Result<Outcome> {
    let mut command = context.cargo(&["doc", "--workspace", "--no-deps", "--all-features"]);
    let outcome = run(command.env("RUSTDOCFLAGS", "-D warnings"))?;
    if outcome != Outcome::Passed {
        return Ok(outcome);
    }
    let missing =
        house::without_a_page(&context.workspace, &context.workspace.target_directory.join("doc"))?;
    for link in &missing {
        println!("error: {link}, which is no page");
    }
    Ok(verdict(missing.is_empty(), "some links of the READMEs lead nowhere"))
}

fn tests(context: &Context) -> Result<Outcome> {
    run(&mut context.cargo(&["test", "--workspace", "--all-features", "--no-fail-fast"]))
}

/// Uses a separate target directory, since other flags would rebuild everything.
fn threads(context: &Context) -> Result<Outcome> {
    let mut command = context.cargo(&["test", "--package", "towline", "--test", "threads"]);
    command.args(["--profile", "threads", "--target-dir"]);
    command.arg(context.workspace.target_directory.join("shuttle"));
    run(command.env("RUSTFLAGS", "--cfg shuttle"))
}

/// Their tests are among those of the step `tests` as well. Here they can be run alone.
fn examples(context: &Context) -> Result<Outcome> {
    let whole = ["--workspace", "--all-features"];
    for mut command in [
        context.cargo(&["build", "--examples", whole[0], whole[1]]),
        context.cargo(&["test", "--test", "examples", "--bin", "rooms", whole[0], whole[1]]),
        // As a user builds them.
        context.cargo(&["check", "--package", "towline-examples"]),
    ] {
        let outcome = run(&mut command)?;
        if !matches!(outcome, Outcome::Passed) {
            return Ok(outcome);
        }
    }
    Ok(Outcome::Passed)
}

fn licences(context: &Context) -> Result<Outcome> {
    if succeeds(context, &["deny", "--version"]) {
        // The advisories need the network, and change by the day: see CONTRIBUTING.md.
        return run(&mut context.cargo(&["deny", "check", "bans", "licenses", "sources"]));
    }
    Ok(verdict(licences::report(&context.workspace)?, "some licences are not allowed"))
}

fn supply(context: &Context) -> Result<Outcome> {
    Ok(verdict(supply::report(&context.workspace)?, "some dependencies are not as they should be"))
}

fn promises(context: &Context) -> Result<Outcome> {
    Ok(verdict(promises::report(&context.workspace)?, "some tests do not exist"))
}

/// Makes the packages, without building what is in them: the release workflow does.
fn packages(context: &Context) -> Result<Outcome> {
    if !packages::report(&context.workspace)? {
        return Ok(Outcome::Failed("something about the packages is not as it should be".into()));
    }
    let mut command = context.cargo(&["package", "--no-verify", "--allow-dirty", "--quiet"]);
    for package in packages::in_order(&context.workspace) {
        command.args(["--package", &package.name]);
    }
    run(&mut command)
}

fn verdict(passed: bool, otherwise: &str) -> Outcome {
    if passed { Outcome::Passed } else { Outcome::Failed(otherwise.into()) }
}

/// Returns a skipped step if the toolchain lacks the component of `cargo subcommand`.
pub(crate) fn lacks(context: &Context, subcommand: &str, component: &str) -> Option<Outcome> {
    let missing = !succeeds(context, &[subcommand, "--version"]);
    missing.then(|| {
        Outcome::Skipped(format!("{component} is missing: rustup component add {component}"))
    })
}

fn succeeds(context: &Context, arguments: &[&str]) -> bool {
    let mut command = context.cargo(arguments);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
