//! The lints of the workspace bind every member, and forbid `unsafe`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use toml::{Table, Value};

use crate::house::finding::Finding;
use crate::workspace::Workspace;

pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let read = |path: &Path| -> Result<Table> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {path:?}"))?;
        text.parse().with_context(|| format!("cannot read {path:?}"))
    };
    let root = Path::new("Cargo.toml");
    let mut findings: Vec<_> = of_workspace(root, &read(&workspace.root.join(root))?).collect();
    for package in workspace.members() {
        let path = workspace.relative(&package.manifest_path);
        findings.extend(of_member(path, &read(&package.manifest_path)?));
    }
    Ok(findings)
}

fn of_workspace(path: &Path, manifest: &Table) -> impl Iterator<Item = Finding> {
    let lint = at(manifest, &["workspace", "lints", "rust", "unsafe_code"]);
    let level = lint.and_then(|lint| lint.get("level").unwrap_or(lint).as_str());
    let forbidden = level == Some("forbid");
    let message = "[workspace.lints.rust] must say unsafe_code = \"forbid\"";
    (!forbidden).then(|| Finding::error(path, 0, message)).into_iter()
}

fn of_member(path: &Path, manifest: &Table) -> Option<Finding> {
    let inherits = at(manifest, &["lints", "workspace"]).and_then(Value::as_bool) == Some(true);
    let message = "[lints] must say workspace = true";
    (!inherits).then(|| Finding::error(path, 0, message))
}

fn at<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(table.get(*first)?, |value, key| value.get(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(text: &str) -> Table {
        text.parse().unwrap()
    }

    #[test]
    fn unsafe_is_forbidden_in_the_workspace() {
        let refused = |text| of_workspace(Path::new("Cargo.toml"), &manifest(text)).count() == 1;
        assert!(!refused("[workspace.lints.rust]\nunsafe_code = 'forbid'"));
        assert!(!refused(
            "[workspace.lints.rust]\nunsafe_code = { level = 'forbid', priority = 1 }"
        ));
        assert!(refused("[workspace.lints.rust]\nunsafe_code = 'warn'"));
        assert!(refused("[workspace]"));
    }

    #[test]
    fn every_member_is_bound_by_the_lints_of_the_workspace() {
        let refused = |text| of_member(Path::new("a/Cargo.toml"), &manifest(text)).is_some();
        assert!(!refused("[lints]\nworkspace = true"));
        assert!(refused("[lints.rust]\nunsafe_code = 'allow'"));
        assert!(refused("[package]\nname = 'a'"));
    }
}
