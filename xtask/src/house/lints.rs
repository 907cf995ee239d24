//! The lints of the workspace bind every member, and forbid `unsafe`; a member whose macros generate
//! that denies it, and has all other lints as they are.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use toml::{Table, Value};

use crate::house::finding::Finding;
use crate::workspace::Workspace;

/// The members with macros that generate `unsafe`.
const GENERATED: [&str; 1] = ["towline-node"];

pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let read = |path: &Path| -> Result<Table> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {path:?}"))?;
        text.parse().with_context(|| format!("cannot read {path:?}"))
    };
    let path = Path::new("Cargo.toml");
    let root = read(&workspace.root.join(path))?;
    let mut findings: Vec<_> = of_workspace(path, &root).collect();
    for package in workspace.members() {
        let path = workspace.relative(&package.manifest_path);
        let manifest = read(&package.manifest_path)?;
        if GENERATED.contains(&package.name.as_str()) {
            findings.extend(of_generated(path, &manifest, &root));
        } else {
            findings.extend(of_member(path, &manifest));
        }
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

fn of_generated(path: &Path, manifest: &Table, root: &Table) -> Option<Finding> {
    let mut expected = at(root, &["workspace", "lints"])?.clone();
    let level = expected.get_mut("rust")?.get_mut("unsafe_code")?;
    *level = Value::String("deny".into());
    let message = "[lints] must be those of the workspace, but for unsafe_code = \"deny\"";
    (manifest.get("lints") != Some(&expected)).then(|| Finding::error(path, 0, message))
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
    fn a_member_with_generated_code_differs_in_one_word() {
        let root = manifest(
            "[workspace.lints.rust]\nunsafe_code = 'forbid'\nmissing_docs = 'warn'\n\
             [workspace.lints.clippy]\ntodo = 'warn'",
        );
        let refused = |text: &str| of_generated(Path::new("n/Cargo.toml"), &manifest(text), &root);
        let rust = "[lints.rust]\nunsafe_code = 'deny'\nmissing_docs = 'warn'\n";
        assert!(refused(&format!("{rust}[lints.clippy]\ntodo = 'warn'")).is_none());
        assert!(refused(rust).is_some());
        let allowed = rust.replace("deny", "allow");
        assert!(refused(&format!("{allowed}[lints.clippy]\ntodo = 'warn'")).is_some());
    }

    #[test]
    fn every_member_is_bound_by_the_lints_of_the_workspace() {
        let refused = |text| of_member(Path::new("a/Cargo.toml"), &manifest(text)).is_some();
        assert!(!refused("[lints]\nworkspace = true"));
        assert!(refused("[lints.rust]\nunsafe_code = 'allow'"));
        assert!(refused("[package]\nname = 'a'"));
    }
}
