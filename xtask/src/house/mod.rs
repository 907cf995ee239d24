//! The rules of the house that neither the compiler nor clippy can check, one in each file.
//! CONTRIBUTING.md gives the reasons.

mod finding;

mod syntax;

mod sources;
mod tree;

mod references;

mod boundaries;
mod examples;
mod features;
mod lints;
mod order;
mod readmes;
mod size;

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::workspace::{Package, Workspace};
use finding::{Finding, Severity};
pub(crate) use readmes::without_a_page;
use sources::{Source, sources_of};
use tree::Tree;

/// Prints all violations. Returns true if there are none, or only warnings.
pub(crate) fn report(workspace: &Workspace) -> Result<bool> {
    let mut findings = lints::check(workspace)?;
    findings.extend(boundaries::check(workspace));
    findings.extend(readmes::check(workspace)?);
    findings.extend(examples::check(&sources_of_libraries(workspace)?));
    for package in workspace.members() {
        findings.extend(of_package(workspace, package)?);
    }
    // `use a::{X, Y}` of a forbidden `a` gives the same finding twice.
    findings.dedup();

    for finding in &findings {
        println!("{finding}");
    }
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    println!("{errors} errors, {} warnings", findings.len() - errors);
    Ok(errors == 0)
}

/// Returns the files of all libraries that are published: their links lead to each other.
fn sources_of_libraries(workspace: &Workspace) -> Result<Vec<Source>> {
    let is_one = |package: &&Package| package.is_library() && package.is_published();
    let sources = workspace.members().filter(is_one).map(|package| sources_of(package, workspace));
    Ok(sources.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

fn of_package(workspace: &Workspace, package: &Package) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for source in sources_of(package, workspace)? {
        findings.extend(features::check(&source));
        findings.extend(size::check(&source));
    }
    let reader = |path: &Path| fs::read_to_string(workspace.root.join(path)).ok();
    for target in package.targets.iter().filter(|target| target.has_modules()) {
        let tree = Tree::read(workspace.relative(&target.src_path), &reader)?;
        findings.extend(order::check(&package.name, &tree));
    }
    Ok(findings)
}
