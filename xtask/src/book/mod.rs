//! `cargo xtask book`: the guide in `docs/` as a book, and what CI checks of it.

mod page;

pub(crate) mod checking;

mod plan;

mod process;

mod reader;

mod running;

mod html;

mod built;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::workspace::Workspace;
use checking::GUIDE;
use page::Page;

/// The files that include every page with Rust on it. Pages that have other libraries' programs are in the
/// workspace that depends on those.
const COMPILED: [&str; 3] = [
    "testing/guide/src/pages.rs",
    "testing/migrations/src/pages.rs",
    "testing/frameworks/src/pages.rs",
];

#[derive(Args)]
pub(crate) struct Options {
    /// Only check links, the contents, and that all Rust is compiled
    #[arg(long, conflicts_with = "run")]
    check: bool,
    /// Run the tutorial, whose files are written into an empty directory, and the commands that are marked on
    /// other pages
    #[arg(long)]
    run: bool,
}

/// Returns true if nothing is wrong.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<bool> {
    if options.run {
        return Ok(match follow(workspace)? {
            None => true,
            Some(missing) => {
                println!("{missing} is missing");
                false
            }
        });
    }
    if !report(workspace)? {
        return Ok(false);
    }
    if options.check {
        return Ok(true);
    }
    let book = html::build(workspace, &pages(workspace)?)?;
    let findings = built::check(&book)?;
    for finding in &findings {
        println!("{finding}");
    }
    println!("{}", book.join("index.html").display());
    Ok(findings.is_empty())
}

/// Prints what is wrong with the pages. Returns true if nothing is.
pub(crate) fn report(workspace: &Workspace) -> Result<bool> {
    let pages = pages(workspace)?;
    let mut compiled = String::new();
    for file in COMPILED {
        let path = workspace.root.join(file);
        compiled += &fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))?;
    }
    let mut findings = checking::links(&pages, &|path| workspace.root.join(path).exists());
    findings.extend(checking::contents(&pages));
    findings.extend(checking::code(&pages, &compiled));
    for finding in &findings {
        println!("{finding}");
    }
    println!("{} pages, {} findings", pages.len(), findings.len());
    Ok(findings.is_empty())
}

/// Follows the tutorial, and runs the marked blocks of other pages. Returns a program that the machine lacks
/// for it.
pub(crate) fn follow(workspace: &Workspace) -> Result<Option<&'static str>> {
    if let Some(missing) = running::lacks() {
        return Ok(Some(missing));
    }
    running::build_program(workspace)?;
    for page in pages(workspace)?.iter().filter(|page| page.path.starts_with(GUIDE)) {
        let actions = plan::plan(page);
        if !actions.is_empty() {
            let place = || page.path.display().to_string();
            running::run(workspace, &page.path, &actions).with_context(place)?;
        }
    }
    Ok(None)
}

/// The pages of the guide, and those at the root and beside the crates, which link to it.
fn pages(workspace: &Workspace) -> Result<Vec<Page>> {
    let mut paths = Vec::new();
    find(&workspace.root, false, &mut paths)?;
    find(&workspace.root.join(GUIDE), true, &mut paths)?;
    for member in workspace.members() {
        find(member.directory(), false, &mut paths)?;
    }
    paths.sort();
    paths.dedup();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))?;
        Ok(Page::parse(workspace.relative(&path).to_owned(), text))
    };
    paths.into_iter().map(read).collect()
}

fn find(directory: &Path, is_deep: bool, paths: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {directory:?}"))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() && is_deep {
            find(&path, is_deep, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
    Ok(())
}
