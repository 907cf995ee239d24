//! The developer commands that need more than one cargo command: `cargo xtask help` lists them.
//! They run on Unix.

mod workspace;

mod installed;

mod guard;

mod licences;

mod workflows;

mod supply;

mod promises;

mod packages;

mod minimal;

mod book;

mod house;

mod bench;

mod fuzz;

mod simulate;

mod soak;

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
    /// Run connections on a simulated network and clock (testing/simulate/README.md describes how)
    Simulate(simulate::Options),
    /// Soak a server on loopback in clients (testing/soak/README.md describes how)
    #[command(disable_help_flag = true)]
    Soak(soak::Options),
    /// Show which lines of towline-proto and towline their own tests reach
    Coverage(coverage::Options),
    /// Check the rules of the house (CONTRIBUTING.md lists them)
    House,
    /// Check the licence of every dependency against deny.toml
    Licences,
    /// Check where dependencies come from, and that docs/dependencies.md has a reason for each
    Supply,
    /// Build the guide as a book in target/book, or check it, or run its tutorial
    Book(book::Options),
    /// Check that the tests that SECURITY.md names exist
    Promises,
    /// Check what is published: metadata, the files of the packages, versions
    Packages,
    /// Build the libraries with the oldest dependencies that their manifests allow (some minutes)
    MinimalVersions,
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
        Command::Simulate(options) => simulate::run(&workspace, &options),
        Command::Soak(options) => soak::run(&workspace, &options),
        Command::Coverage(options) => coverage::run(&workspace, &options),
        Command::House => house::report(&workspace),
        Command::Licences => licences::report(&workspace),
        Command::Supply => supply::report(&workspace),
        Command::Promises => promises::report(&workspace),
        Command::Packages => packages::report(&workspace),
        Command::Book(options) => book::run(&workspace, &options),
        Command::MinimalVersions => minimal::run(&workspace),
    }
}
