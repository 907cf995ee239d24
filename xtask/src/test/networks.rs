//! The step that brings Towline together with what lies on the way between a client and a server.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;

use crate::test::outcome::Outcome;
use crate::test::process::run;
use crate::test::step::{Context, Step};

pub(crate) const STEP: Step = Step {
    name: "networks",
    about: "reverse proxies, proxies, OpenSSL, a certificate that is renewed",
    slow: true,
    run: networks,
};

/// All of the tests have their certificates made by it.
const ALWAYS: &str = "openssl";

/// The modules of `testing/interop/tests/networks` that need more.
const NEEDS: [(&str, &[&str]); 4] = [
    ("nginx::", &["nginx"]),
    ("tinyproxy::", &["tinyproxy"]),
    ("microsocks::", &["microsocks"]),
    ("environment::", &["tinyproxy", "microsocks"]),
];

/// Runs what can be run here; what cannot is skipped.
fn networks(context: &Context) -> Result<Outcome> {
    if !cfg!(unix) {
        return Ok(Outcome::Skipped("the tests are written for Unix".into()));
    }
    let path = path()?;
    let is_installed = |program: &str| env::split_paths(&path).any(|it| it.join(program).is_file());
    if !is_installed(ALWAYS) {
        return Ok(Outcome::Skipped(format!("{ALWAYS} is not installed")));
    }
    // Built as for the step `tests`, so that nothing is built twice.
    let mut command =
        context.cargo(&["test", "--workspace", "--all-features", "--test", "networks"]);
    command.args(["--", "--ignored"]).env("PATH", &path);
    let mut missing = BTreeSet::new();
    for (module, programs) in NEEDS {
        let programs = programs.iter().copied();
        let lacking: Vec<_> = programs.filter(|program| !is_installed(program)).collect();
        if !lacking.is_empty() {
            command.args(["--skip", module]);
        }
        missing.extend(lacking);
    }
    Ok(match run(&mut command)? {
        Outcome::Passed if !missing.is_empty() => {
            let missing: Vec<_> = missing.into_iter().collect();
            Outcome::Skipped(format!("in part, not installed: {}", missing.join(", ")))
        }
        outcome => outcome,
    })
}

/// Where programs are looked for: also where Debian has servers, which only root is shown.
fn path() -> Result<OsString> {
    let known = env::var_os("PATH").unwrap_or_default();
    let servers = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    Ok(env::join_paths(env::split_paths(&known).chain(servers))?)
}
