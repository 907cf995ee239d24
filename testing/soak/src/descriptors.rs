//! How many connections fit into a process, and runs in several processes if they do not.

use std::env;
use std::fs;

use anyhow::{Context, Result};
use tokio::process::Command;

/// What a process needs beside those of its connections.
const OTHERS: usize = 200;

/// Returns how many connections of these each process can have: all of them in one, or about the
/// same number in each.
///
/// # Errors
///
/// If there is no `/proc`.
pub(crate) fn shares(connections: usize) -> Result<Vec<usize>> {
    let limits = fs::read_to_string("/proc/self/limits").context("cannot read /proc")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()).context("no limit of files")?;
    let most = soft.parse().map_or(usize::MAX, |most: usize| most.saturating_sub(OTHERS).max(1));
    Ok(split(connections, most))
}

fn split(connections: usize, most: usize) -> Vec<usize> {
    let processes = connections.div_ceil(most).max(1);
    (0..processes)
        .map(|number| connections / processes + usize::from(number < connections % processes))
        .collect()
}

/// Does a run in several processes at a time, each with a server of its own. Returns whether all
/// have passed.
///
/// # Errors
///
/// If a process cannot be started.
pub(crate) async fn in_processes(option: &str, shares: &[usize], more: &[String]) -> Result<bool> {
    println!(
        "{} connections and {OTHERS} files are more than a process can open (ulimit -n): in {} \
         pairs of processes",
        shares.iter().sum::<usize>(),
        shares.len(),
    );
    let mut children = Vec::new();
    for share in shares {
        let mut command = Command::new(env::current_exe()?);
        command.arg(option).arg(share.to_string()).args(more).kill_on_drop(true);
        children.push(command.spawn().context("cannot start another process")?);
    }
    let mut passed = true;
    for mut child in children {
        passed &= child.wait().await?.success();
    }
    Ok(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_alike_and_fit() {
        assert_eq!(split(10_000, 19_800), [10_000]);
        assert_eq!(split(20_000, 19_800), [10_000, 10_000]);
        assert_eq!(split(20_001, 10_000), [6_667, 6_667, 6_667]);
        assert_eq!(split(11, 4), [4, 4, 3]);
        assert_eq!(split(0, 4), [0]);
    }
}
