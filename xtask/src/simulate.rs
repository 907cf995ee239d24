//! `cargo xtask simulate`: connections on a simulated network and clock, from many seeds.

use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::workspace::{Workspace, cargo};

#[derive(Args)]
pub(crate) struct Options {
    /// How many seeds to run
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    pub(crate) seeds: u64,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub(crate) from: u64,
    /// Run this seed only, to see a failure again
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    pub(crate) seed: Option<u64>,
}

impl Options {
    /// Returns the short run, for the tests.
    pub(crate) fn quick() -> Self {
        Self { seeds: 500, from: 0, seed: None }
    }
}

/// Returns true if every seed kept the promises.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let (from, seeds) = match options.seed {
        Some(seed) => (seed, 1),
        None => (options.from, options.seeds),
    };
    let status = Command::new(cargo())
        .current_dir(&workspace.root)
        // Without optimization, a seed takes eight times as long.
        .args(["test", "--package", "towline-simulate", "--profile", "threads"])
        .args(["--test", "simulate", "--", "--nocapture", "every_seed_keeps_the_promises"])
        .env("SIMULATE_FROM", from.to_string())
        .env("SIMULATE_SEEDS", seeds.to_string())
        .status()
        .context("cannot run cargo")?;
    Ok(status.success())
}
