//! The developer commands that need more than one cargo command: `cargo xtask help` lists them.

mod workspace;

mod licences;

mod house;

mod bench;

mod fuzz;

mod coverage;

mod test;

mod autobahn;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run all checks and tests, and print a summary
    Test(test::Options),
    /// Run the Autobahn suite in both roles
    Autobahn(autobahn::Options),
    /// Compare Towline with other libraries (testing/bench/README.md describes how)
    Bench(bench::Options),
    /// Run the fuzzers of testing/fuzz (its README.md describes them)
    Fuzz(fuzz::Options),
    /// Show which lines of towline-proto and towline their own tests reach
    Coverage(coverage::Options),
    /// Check the rules of the house (CONTRIBUTING.md lists them)
    House,
    /// Check the licence of every dependency against deny.toml
    Licences,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns true if the command succeeded.
fn run(command: Command) -> Result<bool> {
    let workspace = Workspace::load()?;
    match command {
        Command::Test(options) => test::run(workspace, &options),
        Command::Autobahn(options) => autobahn::run(workspace, &options),
        Command::Bench(options) => bench::run(&workspace, &options),
        Command::Fuzz(options) => fuzz::run(&workspace, &options),
        Command::Coverage(options) => coverage::run(&workspace, &options),
        Command::House => house::report(&workspace),
        Command::Licences => licences::report(&workspace),
    }
}
