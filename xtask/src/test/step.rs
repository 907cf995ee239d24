//! A step of `cargo xtask test`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::test::outcome::Outcome;
use crate::workspace::{Workspace, cargo};

pub(crate) struct Step {
    /// The name for `--only`.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Whether it is slow or needs other programs than Rust's: `--quick` skips it.
    pub(crate) slow: bool,
    pub(crate) run: fn(&Context) -> Result<Outcome>,
}

/// What the steps run on.
pub(crate) struct Context {
    pub(crate) workspace: Workspace,
}

impl Context {
    /// Returns a cargo command at the root of the workspace.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(cargo());
        command.current_dir(&self.workspace.root).args(arguments);
        command
    }

    /// Returns the path of a program built by the step `programs`.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        self.workspace.target_directory.join("release").join(file)
    }
}
