//! Checks the workflows of GitHub: what runs in a job with the right to publish is named by its commit.
//!
//! Read line by line, as the files are written here: a job's name has two spaces before it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The right to prove to crates.io, npm or the book's host which workflow it is.
const RIGHT: &str = "id-token: write";

/// The findings in all workflows.
pub(crate) fn findings(root: &Path) -> Result<Vec<String>> {
    let directory = root.join(".github/workflows");
    let entries = fs::read_dir(&directory).with_context(|| format!("cannot read {directory:?}"))?;
    let mut findings = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        findings.extend(unpinned(&text).into_iter().map(|action| {
            format!("{name}: a job with `{RIGHT}` uses {action} by a tag, which can be moved")
        }));
    }
    findings.sort();
    Ok(findings)
}

/// The actions without a commit in jobs with the right.
fn unpinned(workflow: &str) -> Vec<&str> {
    let is_name = |line: &str| line.starts_with("  ") && !line.starts_with("   ");
    let is_name = |line: &str| is_name(line) && line.ends_with(':');
    let jobs = workflow.split_once("\njobs:\n").map_or("", |(_, jobs)| jobs);
    let lines: Vec<_> = jobs.lines().collect();
    let mut unpinned = Vec::new();
    for job in lines.chunk_by(|_, next| !is_name(next)) {
        let has_right = workflow_right(workflow) || job.iter().any(|line| line.trim() == RIGHT);
        let actions = job.iter().filter_map(|line| line.split_once("uses: "));
        let actions = actions.map(|(_, action)| action.split_whitespace().next().unwrap_or(""));
        // What is in this repository has the commit of the workflow.
        let others = actions.filter(|action| !action.starts_with("./") && !is_pinned(action));
        unpinned.extend(others.filter(|_| has_right));
    }
    unpinned
}

/// Whether all jobs have the right.
fn workflow_right(workflow: &str) -> bool {
    let head = workflow.split_once("\njobs:\n").map_or("", |(head, _)| head);
    head.lines().any(|line| line.trim() == RIGHT)
}

fn is_pinned(action: &str) -> bool {
    let commit = action.split_once('@').map_or("", |(_, version)| version);
    commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKFLOW: &str = "\
permissions:
  contents: read
jobs:
  test:
    steps:
      - uses: actions/checkout@v5
  publish:
    permissions:
      id-token: write
    steps:
      - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0
      - uses: ./.github/actions/build
      - id: auth
        uses: rust-lang/crates-io-auth-action@v1
";

    #[test]
    fn a_job_that_may_publish_names_its_actions_by_commit() {
        assert_eq!(unpinned(WORKFLOW), ["rust-lang/crates-io-auth-action@v1"]);
        assert!(unpinned(&WORKFLOW.replace("id-token: write", "contents: read")).is_empty());
        let all = WORKFLOW.replacen("contents: read", "id-token: write", 1);
        assert_eq!(unpinned(&all).len(), 2);
    }
}
