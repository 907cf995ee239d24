//! `cargo xtask soak`: a server, and clients that come, talk, misbehave, vanish and return.

use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::workspace::{Workspace, cargo};

#[derive(Args)]
pub(crate) struct Options {
    /// How long the clients come and go
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// The same in seconds
    #[arg(long, conflicts_with = "minutes")]
    seconds: Option<u64>,
    /// How many clients there are at a time
    #[arg(long, default_value_t = 2_000)]
    connections: usize,
    /// How many connections are open at the shutdown in the end
    #[arg(long, default_value_t = 5_000)]
    shutdown: usize,
}

impl Options {
    /// Returns the short run, for the tests.
    pub(crate) fn quick() -> Self {
        Self { minutes: 0, seconds: Some(20), connections: 300, shutdown: 2_000 }
    }
}

/// Returns true if nothing was lost, and nothing is left in the server.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let seconds = options.seconds.unwrap_or(options.minutes * 60);
    let status = Command::new(cargo())
        .current_dir(&workspace.root)
        .args(["run", "--package", "towline-soak", "--"])
        .args(["--seconds", &seconds.to_string()])
        .args(["--connections", &options.connections.to_string()])
        .args(["--shutdown", &options.shutdown.to_string()])
        .status()
        .context("cannot run cargo")?;
    Ok(status.success())
}
