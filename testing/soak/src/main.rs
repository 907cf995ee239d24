//! A server in one process, and thousands of clients in another that come, talk, split,
//! misbehave, vanish and return. A checker knows what each message must be. In the end nothing may
//! be lost, and the server must have what it had in the beginning.

mod dice;

mod panics;

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
use clap::{Args, Parser, Subcommand};

/// How long the clients come and go if no run is named, in minutes.
const MINUTES: u64 = 5;

/// How many connections are open at the shutdown in the end, unless said otherwise.
const SHUTDOWN: usize = 5_000;

/// Soaks a server on loopback in clients
///
/// Without an option that names a run, clients come and go for five minutes. Several runs are done one after
/// the other.
#[derive(Parser)]
#[command(name = "cargo xtask soak", bin_name = "cargo xtask soak")]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    options: Options,
}

#[derive(Args)]
struct Options {
    /// Let clients come and go for this long, in minutes
    #[arg(long)]
    minutes: Option<u64>,
    /// The same in seconds
    #[arg(long, conflicts_with = "minutes")]
    seconds: Option<u64>,
    /// How many clients there are at a time
    #[arg(long, default_value_t = 2_000)]
    connections: usize,
    /// Shut a server down with this many connections: in the end, or without --minutes in a run of its
    /// own [default: 5000]
    #[arg(long)]
    shutdown: Option<usize>,
    /// Hold this many connections that are silent but for the server's pings
    #[arg(long)]
    idle: Option<usize>,
    /// For how many seconds
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
    Serve(serving::Options),
}

/// One run.
#[derive(Debug, PartialEq, Eq)]
enum Run {
    Soaking { time: Duration, connections: usize, shutdown: usize },
    ShuttingDown { connections: usize },
    Idle { connections: usize, hold: Duration },
    Storm { connections: usize },
}

impl Options {
    /// Returns the runs that were asked for, in their order.
    fn runs(&self) -> Vec<Run> {
        let Self { minutes, seconds, connections, shutdown, idle, hold, storm } = *self;
        let is_nothing_named = shutdown.is_none() && idle.is_none() && storm.is_none();
        let minutes = minutes.or(is_nothing_named.then_some(MINUTES));
        let seconds = seconds.or(minutes.map(|minutes| minutes * 60));
        let first = match seconds.map(Duration::from_secs) {
            Some(time) => {
                let shutdown = shutdown.unwrap_or(SHUTDOWN);
                Some(Run::Soaking { time, connections, shutdown })
            }
            None => shutdown.map(|connections| Run::ShuttingDown { connections }),
        };
        let hold = Duration::from_secs(hold);
        let idle = idle.map(|connections| Run::Idle { connections, hold });
        let storm = storm.map(|connections| Run::Storm { connections });
        [first, idle, storm].into_iter().flatten().collect()
    }
}

impl Run {
    /// Returns whether nothing was lost, and nothing is left in the server.
    async fn run(self) -> Result<bool> {
        match self {
            Self::Soaking { time, connections, shutdown } => {
                soaking::run(time, connections, shutdown).await
            }
            Self::ShuttingDown { connections } => shutting_down::run(connections).await,
            Self::Idle { connections, hold } => idle::run(connections, hold).await,
            Self::Storm { connections } => storm::run(connections).await,
        }
    }
}

fn main() -> ExitCode {
    panics::count();
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
        if let Some(Role::Serve(options)) = &arguments.role {
            serving::run(options).await?;
            return Ok(true);
        }
        let mut passed = true;
        for run in arguments.options.runs() {
            passed &= run.run().await?;
        }
        Ok(passed)
    });
    // Standard input is read on a thread that does not end.
    runtime.shutdown_background();
    passed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(line: &[&str]) -> Vec<Run> {
        Arguments::parse_from([&["soak"], line].concat()).options.runs()
    }

    fn soaking(seconds: u64, shutdown: usize) -> Run {
        Run::Soaking { time: Duration::from_secs(seconds), connections: 2_000, shutdown }
    }

    #[test]
    fn a_run_that_is_named_is_the_only_one() {
        let (hold, storm) = (Duration::from_secs(1), Run::Storm { connections: 8 });
        assert_eq!(runs(&[]), [soaking(300, 5_000)]);
        assert_eq!(runs(&["--minutes=2"]), [soaking(120, 5_000)]);
        assert_eq!(runs(&["--seconds=20", "--shutdown=9"]), [soaking(20, 9)]);
        assert_eq!(runs(&["--shutdown=7"]), [Run::ShuttingDown { connections: 7 }]);
        assert_eq!(
            runs(&["--idle=7", "--hold=1", "--storm=8"]),
            [Run::Idle { connections: 7, hold }, storm]
        );
        let hold = Duration::from_secs(60);
        assert_eq!(
            runs(&["--minutes=1", "--idle=7"]),
            [soaking(60, 5_000), Run::Idle { connections: 7, hold }]
        );
    }
}
