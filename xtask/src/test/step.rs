//! What a step is.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::test::outcome::Outcome;
use crate::workspace::{Workspace, cargo};

pub(crate) struct Step {
    /// For `--only`.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Whether it needs other programs than Rust's, and time: `--quick` leaves it out.
    pub(crate) slow: bool,
    pub(crate) run: fn(&Context) -> Result<Outcome>,
}

/// What the steps work on.
pub(crate) struct Context {
    pub(crate) workspace: Workspace,
}

impl Context {
    /// cargo, at the root of the workspace.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(cargo());
        command.current_dir(&self.workspace.root).args(arguments);
        command
    }

    /// A program built by the step `programs`.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        self.workspace.target_directory.join("release").join(file)
    }
}
