//! The step that tests Towline with proxies, reverse proxies and OpenSSL.

use std::collections::BTreeSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use anyhow::Result;

use crate::test::outcome::Outcome;
use crate::test::process::run;
use crate::test::step::{Context, Step};

pub(crate) const STEP: Step = Step {
    name: "networks",
    about: "nginx, proxies, OpenSSL, and a renewed certificate",
    slow: true,
    run: networks,
};

/// Makes the certificates of all tests.
const ALWAYS: &str = "openssl";

/// The modules of `testing/interop/tests/networks` that need other programs too.
const NEEDS: [(&str, &[&str]); 4] = [
    ("nginx::", &["nginx"]),
    ("tinyproxy::", &["tinyproxy"]),
    ("microsocks::", &["microsocks"]),
    ("environment::", &["tinyproxy", "microsocks"]),
];

/// Runs the tests whose programs are installed, and skips the others.
fn networks(context: &Context) -> Result<Outcome> {
    if !cfg!(unix) {
        return Ok(Outcome::Skipped("the tests are written for Unix".into()));
    }
    let path = path()?;
    if !is_installed(&path, ALWAYS) {
        return Ok(Outcome::Skipped(format!("{ALWAYS} is not installed")));
    }
    // The same flags as in the step `tests`, so that nothing is built twice.
    let mut command =
        context.cargo(&["test", "--workspace", "--all-features", "--test", "networks"]);
    command.args(["--", "--ignored"]).env("PATH", &path);
    let mut missing = BTreeSet::new();
    for (module, programs) in NEEDS {
        let programs = programs.iter().copied();
        let lacking: Vec<_> = programs.filter(|program| !is_installed(&path, program)).collect();
        if !lacking.is_empty() {
            command.args(["--skip", module]);
        }
        missing.extend(lacking);
    }
    Ok(match run(&mut command)? {
        Outcome::Passed if !missing.is_empty() => {
            let missing: Vec<_> = missing.into_iter().collect();
            Outcome::Skipped(format!("some tests; not installed: {}", missing.join(", ")))
        }
        outcome => outcome,
    })
}

/// Returns the search path with the directories of servers, which Debian adds for root only.
pub(crate) fn path() -> Result<OsString> {
    let known = env::var_os("PATH").unwrap_or_default();
    let servers = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    Ok(env::join_paths(env::split_paths(&known).chain(servers))?)
}

pub(crate) fn is_installed(path: &OsStr, program: &str) -> bool {
    env::split_paths(path).any(|directory| directory.join(program).is_file())
}
