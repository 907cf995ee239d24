//! Builds the published crates with the oldest versions of their dependencies that their manifests
//! allow: a version that is too low there is an error for whoever has it in a `Cargo.lock`.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::{Workspace, cargo};

/// Returns true if they build. The build has a directory of its own, which is removed afterwards.
pub(crate) fn run(workspace: &Workspace) -> Result<bool> {
    let target = workspace.target_directory.join("minimal-versions");
    fs::create_dir_all(&target).with_context(|| format!("cannot make {target:?}"))?;
    let libraries = workspace.members().filter(|it| it.is_published() && it.is_library());
    let mut command = Command::new(cargo());
    command
        .args(["check", "--all-features", "-Z", "direct-minimal-versions"])
        // So that the Cargo.lock of the workspace stays as it is.
        .args(["-Z", "lockfile-path", "--config"])
        .arg(format!("resolver.lockfile-path={:?}", target.join("Cargo.lock")))
        // Both options are for nightly toolchains only.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_INCREMENTAL", "0");
    for library in libraries {
        command.args(["--package", &library.name]);
    }
    let status = command.status().context("cannot run cargo check")?;
    fs::remove_dir_all(&target).with_context(|| format!("cannot remove {target:?}"))?;
    Ok(status.success())
}
