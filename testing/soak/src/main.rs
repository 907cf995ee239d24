//! A server in one process, and thousands of clients in another that come, talk, split,
//! misbehave, vanish and return. A checker knows what each message must be. In the end nothing may
//! be lost, and the server must have what it had in the beginning.

mod dice;

mod figures;

mod processor;

mod descriptors;

mod tally;

mod serving;

mod server;

mod nginx;

mod talking;

mod rude;

mod shutting_down;

mod soaking;

mod idle;

mod storm;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::serving::Options;

/// How long the clients come and go if no other run is asked for.
const SECONDS: u64 = 60;

/// How many connections the soak shuts down in the end, unless said otherwise.
const SHUTDOWN: usize = 3_000;

#[derive(Parser)]
#[command(name = "cargo xtask soak", about = "Soaks a server on loopback in clients")]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// Let clients come and go for this long
    #[arg(long)]
    seconds: Option<u64>,
    /// How many clients there are at a time
    #[arg(long, default_value_t = 2_000)]
    connections: usize,
    /// Shut a server down with this many connections: that of the soak, or one for this
    #[arg(long)]
    shutdown: Option<usize>,
    /// Open this many connections, and let them be silent but for the server's pings
    #[arg(long)]
    idle: Option<usize>,
    /// How long they are silent, in seconds
    #[arg(long, default_value_t = 60)]
    hold: u64,
    /// Open this many connections at once
    #[arg(long)]
    storm: Option<usize>,
}

#[derive(Subcommand)]
enum Role {
    /// The server's process, which the clients' process starts
    #[command(hide = true)]
    Serve(Options),
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let passed = runtime.block_on(async {
        match &arguments.role {
            Some(Role::Serve(options)) => serving::run(options).await.map(|()| true),
            None => runs(arguments).await,
        }
    });
    // Standard input is read on a thread that does not end.
    runtime.shutdown_background();
    passed
}

/// Does the runs that were asked for, one after the other. Returns whether all have passed.
async fn runs(arguments: &Arguments) -> Result<bool> {
    let Arguments { seconds, connections, shutdown, idle, storm, hold, .. } = *arguments;
    let is_nothing_named = shutdown.is_none() && idle.is_none() && storm.is_none();
    let mut passed = true;
    if let Some(seconds) = seconds.or(is_nothing_named.then_some(SECONDS)) {
        let time = Duration::from_secs(seconds);
        passed &= soaking::run(time, connections, shutdown.unwrap_or(SHUTDOWN)).await?;
    } else if let Some(connections) = shutdown {
        passed &= shutting_down::run(connections).await?;
    }
    if let Some(connections) = idle {
        passed &= idle::run(connections, Duration::from_secs(hold)).await?;
    }
    if let Some(connections) = storm {
        passed &= storm::run(connections).await?;
    }
    Ok(passed)
}
