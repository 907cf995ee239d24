//! `cargo xtask soak`: a server, and clients that come, talk, misbehave, vanish and return.

use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::workspace::{Workspace, cargo};

/// How long the clients come and go if no run is named, in minutes.
const MINUTES: u64 = 5;

/// How many connections are open at the shutdown in the end, unless said otherwise.
const SHUTDOWN: usize = 5_000;

/// Raises the limit of open files as far as it goes, since each connection is one in both processes.
const WITH_FILES: &str = r#"ulimit -Sn "$(ulimit -Hn)" 2>/dev/null; exec "$@""#;

/// Without an option that names a run, clients come and go for five minutes. Several runs are done one after
/// the other.
#[derive(Args)]
pub(crate) struct Options {
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

impl Options {
    /// Returns the short runs, for the tests.
    pub(crate) fn quick() -> Self {
        Self {
            minutes: None,
            seconds: Some(10),
            connections: 300,
            shutdown: Some(2_000),
            idle: Some(1_000),
            hold: 6,
            storm: Some(1_000),
        }
    }

    /// Returns the arguments of the program.
    fn arguments(&self) -> Vec<String> {
        let Self { minutes, seconds, connections, shutdown, idle, hold, storm } = self;
        let is_nothing_named = shutdown.is_none() && idle.is_none() && storm.is_none();
        let minutes = minutes.or(is_nothing_named.then_some(MINUTES));
        let seconds = seconds.or(minutes.map(|minutes| minutes * 60));
        let shutdown = shutdown.or(seconds.is_some().then_some(SHUTDOWN));
        let mut arguments = vec![format!("--connections={connections}"), format!("--hold={hold}")];
        let count = |count: &Option<usize>| count.map(|count| count.to_string());
        for (option, value) in [
            ("seconds", seconds.map(|seconds| seconds.to_string())),
            ("shutdown", count(&shutdown)),
            ("idle", count(idle)),
            ("storm", count(storm)),
        ] {
            arguments.extend(value.map(|value| format!("--{option}={value}")));
        }
        arguments
    }
}

/// Returns true if nothing was lost, and nothing is left in the server.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let status = Command::new("sh")
        .args(["-c", WITH_FILES, "sh"])
        .arg(cargo())
        .current_dir(&workspace.root)
        .args(["run", "--package", "towline-soak", "--"])
        .args(options.arguments())
        .status()
        .context("cannot run cargo")?;
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn runs(line: &[&str]) -> String {
        let line = Line::parse_from([&["soak"], line].concat());
        let arguments = line.options.arguments();
        // Without those that name no run.
        arguments[2..].join(" ")
    }

    #[test]
    fn a_run_that_is_named_is_the_only_one() {
        assert_eq!(runs(&[]), "--seconds=300 --shutdown=5000");
        assert_eq!(runs(&["--minutes=2"]), "--seconds=120 --shutdown=5000");
        assert_eq!(runs(&["--seconds=20", "--shutdown=9"]), "--seconds=20 --shutdown=9");
        assert_eq!(runs(&["--shutdown=10000"]), "--shutdown=10000");
        assert_eq!(runs(&["--idle=7", "--hold=1", "--storm=8"]), "--idle=7 --storm=8");
        assert_eq!(runs(&["--minutes=1", "--idle=7"]), "--seconds=60 --shutdown=5000 --idle=7");
    }
}
