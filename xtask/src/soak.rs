//! `cargo xtask soak`: a server, and clients that come, talk, misbehave, vanish and return.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::workspace::{Workspace, cargo};

/// Raises the limit of open files as far as it goes, since each connection is one in both processes.
const WITH_FILES: &str = r#"ulimit -Sn "$(ulimit -Hn)" 2>/dev/null; exec "$@""#;

#[derive(Args)]
pub(crate) struct Options {
    /// Those of the program, which `cargo xtask soak --help` lists
    #[arg(value_name = "OPTIONS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Options {
    /// Returns the short runs, for the tests.
    pub(crate) fn quick() -> Self {
        let clients = ["--seconds=10", "--connections=300", "--shutdown=2000"];
        let others = ["--idle=1000", "--hold=6", "--storm=1000"];
        Self { arguments: [clients, others].concat().into_iter().map(OsString::from).collect() }
    }
}

/// Returns true if nothing was lost, and nothing is left in the server.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    let status = Command::new("sh")
        .args(["-c", WITH_FILES, "sh"])
        .arg(cargo())
        .current_dir(&workspace.root)
        .args(["run", "--package", "towline-soak", "--"])
        .args(&options.arguments)
        .status()
        .context("cannot run cargo")?;
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::{Arguments, Command};

    #[test]
    fn all_options_are_those_of_the_program() {
        for given in [&["--help"][..], &["-h"], &[], &["--idle", "7", "--hold=1"], &["serve"]] {
            let line = [&["cargo xtask", "soak"], given].concat();
            let Command::Soak(options) = Arguments::parse_from(line).command else {
                panic!("another command")
            };
            assert_eq!(options.arguments, given);
        }
    }
}
