//! Builds the programs; a peer that cannot be built is left out.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::bench::peer::{Peer, Source};
use crate::bench::serving::{Bench, CLIENT, LOAD};
use crate::workspace::{Workspace, cargo};

/// Returns the directories of the built programs.
pub(crate) fn bench(workspace: &Workspace, uws: Option<&Path>) -> Bench {
    let (sources, target) = directories(workspace);
    let node = sources.join("node").join("server.mjs");
    Bench::new(target.join("release"), node, uws.map(PathBuf::from))
}

fn directories(workspace: &Workspace) -> (PathBuf, PathBuf) {
    (workspace.root.join("testing").join("bench"), workspace.target_directory.join("bench"))
}

/// Builds the program with all clients.
pub(crate) fn build_clients(workspace: &Workspace) -> Result<()> {
    let (sources, target) = directories(workspace);
    build_package(&sources, &target, CLIENT).context("the clients")
}

/// Builds the servers and the load generator. Returns the peers that can run, and the errors of the
/// others.
pub(crate) fn build(workspace: &Workspace, peers: Vec<Peer>) -> Result<(Vec<Peer>, Vec<String>)> {
    let (sources, target) = directories(workspace);
    let node = sources.join("node");
    build_package(&sources, &target, LOAD)?;
    let mut failures = Vec::new();
    let mut built: Vec<(Source, bool)> = Vec::new();
    let mut there = Vec::new();
    for peer in peers {
        let origin = match peer.source {
            // All modes of a library are in one program.
            Source::Cargo { library, .. } => Source::Cargo { library, mode: "" },
            ref other => other.clone(),
        };
        let known = built.iter().find(|(other, _)| *other == origin).map(|(_, good)| *good);
        let good = known.unwrap_or_else(|| {
            let result = match peer.source {
                Source::Cargo { library, .. } => {
                    build_package(&sources, &target, &format!("bench-{library}"))
                }
                Source::Node { library } => install_node(&node, library),
                Source::Given => Ok(()),
            };
            if let Err(error) = &result {
                failures.push(format!("{}: {error:#}", peer.name));
            }
            built.push((origin, result.is_ok()));
            result.is_ok()
        });
        if good {
            there.push(peer);
        }
    }
    Ok((there, failures))
}

/// Builds one package of the workspace in `sources`, in release.
pub(crate) fn build_package(sources: &Path, target: &Path, package: &str) -> Result<()> {
    let status = Command::new(cargo())
        .current_dir(sources)
        .args(["build", "--quiet", "--release", "--package", package, "--target-dir"])
        .arg(target)
        .status()
        .context("cannot run cargo build")?;
    if !status.success() {
        bail!("cargo build failed");
    }
    Ok(())
}

fn install_node(directory: &Path, library: &str) -> Result<()> {
    let node = Command::new("node").arg("--version").stdout(Stdio::null()).status();
    if !node.is_ok_and(|status| status.success()) {
        bail!("node is not installed");
    }
    if directory.join("node_modules").join(library).is_dir() {
        return Ok(());
    }
    let status = Command::new("npm")
        .current_dir(directory)
        .args([
            "ci",
            "--omit=dev",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ])
        .stdout(Stdio::null())
        .status()
        .context("cannot run npm")?;
    if !status.success() {
        bail!("npm ci failed");
    }
    Ok(())
}
