//! The workspace as `cargo metadata` describes it.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The workspace, its members and every package they depend on, with all features on.
#[derive(Deserialize)]
pub(crate) struct Workspace {
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    pub(crate) target_directory: PathBuf,
    pub(crate) packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) rust_version: Option<String>,
    pub(crate) readme: Option<PathBuf>,
    #[serde(default)]
    pub(crate) keywords: Vec<String>,
    #[serde(default)]
    pub(crate) categories: Vec<String>,
    /// `package.metadata` of the manifest, or null.
    #[serde(default)]
    pub(crate) metadata: serde_json::Value,
    /// `None` for a package in this repository.
    pub(crate) source: Option<String>,
    /// `None` if the package can be published to any registry, empty if to none.
    publish: Option<Vec<String>>,
    repository: Option<String>,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<Target>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    kind: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Target {
    kind: Vec<String>,
    pub(crate) src_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

impl Workspace {
    /// Asks cargo about the workspace that the current directory is in.
    pub(crate) fn load() -> Result<Self> {
        let output = Command::new(cargo())
            .args(["metadata", "--format-version", "1", "--all-features"])
            .output()
            .context("cannot run cargo metadata")?;
        if !output.status.success() {
            bail!("cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        serde_json::from_slice(&output.stdout).context("cannot read what cargo metadata printed")
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// Returns all direct and indirect dependencies of `package`, without those of its tests.
    pub(crate) fn built_with(&self, package: &Package) -> Vec<&Package> {
        let mut reached = vec![package.id.as_str()];
        let mut next = 0;
        while let Some(&id) = reached.get(next) {
            next += 1;
            let Some(node) = self.resolve.nodes.iter().find(|node| node.id == id) else { continue };
            for edge in node.deps.iter().filter(|edge| edge.is_built_with()) {
                if !reached.contains(&edge.pkg.as_str()) {
                    reached.push(&edge.pkg);
                }
            }
        }
        let found = |package: &&Package| reached[1..].contains(&package.id.as_str());
        self.packages.iter().filter(found).collect()
    }

    /// Returns the URL of the repository, if the packages name it.
    pub(crate) fn repository(&self) -> Option<&str> {
        let url = self.members().find_map(|package| package.repository.as_deref());
        url.map(|url| url.trim_end_matches('/').trim_end_matches(".git"))
    }

    /// Returns `path` relative to the root of the workspace.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

impl Package {
    pub(crate) fn directory(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }

    pub(crate) fn is_library(&self) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "lib"))
    }

    pub(crate) fn is_published(&self) -> bool {
        self.publish.as_ref().is_none_or(|registries| !registries.is_empty())
    }
}

impl Dependency {
    /// Returns whether the package itself needs it, and not only its tests.
    pub(crate) fn is_built_with(&self) -> bool {
        self.kind.as_deref() != Some("dev")
    }
}

impl Edge {
    fn is_built_with(&self) -> bool {
        self.dep_kinds.iter().any(|edge| edge.kind.as_deref() != Some("dev"))
    }
}

impl Target {
    /// Returns whether it is a library or a program, and so the root of a tree of modules.
    pub(crate) fn has_modules(&self) -> bool {
        let kinds = ["lib", "rlib", "cdylib", "staticlib", "proc-macro", "bin"];
        self.kind.iter().any(|kind| kinds.contains(&kind.as_str()))
    }
}

/// The cargo that started this program.
pub(crate) fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
