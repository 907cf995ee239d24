//! Checks what Towline depends on, as far as that goes without cargo-deny: where packages come from,
//! which are banned, whether there are two versions of one, whether `docs/dependencies.md` has a reason
//! for each, and which actions the workflows that publish use.
//!
//! Yanked versions and advisories need the registry and a database, so they are left to `cargo deny`.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::workflows;
use crate::workspace::{Package, Workspace, cargo};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The reasons for dependencies.
const REASONS: &str = "docs/dependencies.md";

/// The part of `deny.toml` with the bans.
#[derive(Deserialize)]
struct Policy {
    bans: Bans,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    package: String,
    reason: String,
}

/// Prints all findings. Returns true if there are none.
pub(crate) fn report(workspace: &Workspace) -> Result<bool> {
    let read = |name: &str| {
        let path = workspace.root.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))
    };
    let policy: Policy = toml::from_str(&read("deny.toml")?).context("cannot read deny.toml")?;
    let mut findings = Vec::new();
    for package in &workspace.packages {
        findings.extend(misplaced(package));
        let ban = policy.bans.deny.iter().find(|ban| ban.package == package.name);
        findings.extend(ban.map(|ban| format!("{} is banned: {}", package.name, ban.reason)));
    }
    let published: Vec<_> = workspace.members().filter(|member| member.is_published()).collect();
    for member in published.iter().filter(|member| member.is_library()) {
        let tree = tree_of(&member.name)?;
        let found = duplicates(&tree).into_iter().map(|name| {
            format!("{} has several versions of {name} in its tree without features", member.name)
        });
        findings.extend(found);
    }
    let ours: BTreeSet<_> = workspace.members().map(|member| member.name.as_str()).collect();
    let used = published.iter().flat_map(|member| &member.dependencies);
    let used = used.filter(|dependency| dependency.is_built_with());
    let used: BTreeSet<_> = used.map(|dependency| dependency.name.as_str()).collect();
    let theirs: Vec<_> = used.difference(&ours).copied().collect();
    findings.extend(unexplained(&theirs, &read(REASONS)?));
    findings.extend(workflows::findings(&workspace.root)?);
    for finding in &findings {
        println!("error: {finding}");
    }
    println!("{} packages, {} findings", workspace.packages.len(), findings.len());
    Ok(findings.is_empty())
}

/// A package that is neither ours nor from crates.io.
fn misplaced(package: &Package) -> Option<String> {
    let source = package.source.as_deref()?;
    (source != CRATES_IO).then(|| format!("{} comes from {source}, not crates.io", package.name))
}

/// The packages that a crate is built with by default, each with its version.
fn tree_of(package: &str) -> Result<String> {
    let arguments =
        ["tree", "--package", package, "--edges", "normal,no-proc-macro", "--prefix", "none"];
    let output = Command::new(cargo()).args(arguments).output().context("cannot run cargo tree")?;
    if !output.status.success() {
        bail!("cargo tree failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The packages that a tree has in several versions.
fn duplicates(tree: &str) -> Vec<&str> {
    let mut packages: BTreeSet<(&str, &str)> = BTreeSet::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            packages.insert((name, version));
        }
    }
    let names: Vec<_> = packages.iter().map(|(name, _)| *name).collect();
    let mut twice: Vec<_> =
        names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    twice.dedup();
    twice
}

/// The packages without a line in a table of the reasons.
fn unexplained(packages: &[&str], reasons: &str) -> Vec<String> {
    let rows: Vec<_> = reasons.lines().filter(|line| line.starts_with('|')).collect();
    let missing = packages.iter().filter(|name| {
        let quoted = format!("`{name}`");
        !rows.iter().any(|row| row.contains(&quoted))
    });
    missing.map(|name| format!("{name} is a dependency without a reason in {REASONS}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_needs_a_row_with_its_name() {
        let reasons = "`serde` is nice\n| `bytes` | payloads | MIT |\n| `base64`, `sha1` | keys |";
        assert!(unexplained(&["bytes", "sha1", "base64"], reasons).is_empty());
        assert_eq!(unexplained(&["byte", "serde"], reasons).len(), 2);
    }

    #[test]
    fn two_versions_of_one_package_are_found() {
        let tree =
            "towline v0.1.0 (/towline)\nbytes v1.10.0\nsyn v2.0.1\n\nbytes v1.10.0 (*)\nsyn v3.0.0";
        assert_eq!(duplicates(tree), ["syn"]);
    }
}
