//! Every member inherits the lints of the workspace.

use std::fs;

use anyhow::Result;

use crate::house::finding::Finding;
use crate::workspace::Workspace;

/// Its macros generate `unsafe`, so it has the same lints with `deny` in place of `forbid`.
const GENERATED: &str = "towline-node";

pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for package in workspace.members().filter(|package| package.name != GENERATED) {
        let manifest = fs::read_to_string(&package.manifest_path)?;
        if !inherits(&manifest) {
            let path = workspace.relative(&package.manifest_path);
            findings.push(Finding::error(path, 0, "[lints] must say workspace = true"));
        }
    }
    Ok(findings)
}

fn inherits(manifest: &str) -> bool {
    manifest.lines().skip_while(|line| *line != "[lints]").nth(1) == Some("workspace = true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_takes_over_the_lints() {
        assert!(inherits("[package]\nname = 'a'\n\n[lints]\nworkspace = true\n"));
        assert!(!inherits("[lints.rust]\nunsafe_code = 'allow'\n"));
        assert!(!inherits("[package]\nname = 'a'\nworkspace = true\n"));
    }
}
