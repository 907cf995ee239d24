//! The Rust files of a package.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace::{Package, Workspace};

/// One parsed Rust file.
pub(crate) struct Source {
    /// Relative to the root of the workspace.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) syntax: syn::File,
}

impl Source {
    pub(crate) fn parse(path: PathBuf, text: String) -> Result<Self> {
        let syntax = syn::parse_file(&text).with_context(|| format!("cannot parse {path:?}"))?;
        Ok(Self { path, text, syntax })
    }

    /// Returns whether the file belongs to tests, benchmarks or examples.
    pub(crate) fn is_aside(&self) -> bool {
        let named = |name: &std::ffi::OsStr| {
            ["tests", "benches", "examples", "tests.rs"].iter().any(|other| name == *other)
        };
        self.path.iter().any(named)
    }
}

/// Returns every Rust file in the package's directory, except those of packages inside it.
pub(crate) fn sources_of(package: &Package, workspace: &Workspace) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut directories = vec![package.directory().to_owned()];
    while let Some(directory) = directories.pop() {
        let mut entries = fs::read_dir(&directory)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .with_context(|| format!("cannot read {directory:?}"))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            if path.is_dir() {
                if !is_foreign(&path) {
                    directories.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text =
                    fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))?;
                sources.push(Source::parse(workspace.relative(&path).to_owned(), text)?);
            }
        }
    }
    Ok(sources)
}

fn is_foreign(directory: &Path) -> bool {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.')
        || ["target", "node_modules"].contains(&&*name)
        || directory.join("Cargo.toml").exists()
}

#[cfg(test)]
pub(crate) fn source(path: &str, text: &str) -> Source {
    Source::parse(path.into(), text.into()).unwrap()
}
