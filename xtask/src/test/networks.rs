//! The step that tests Towline with proxies, reverse proxies and OpenSSL.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::installed::{has, path};
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
    if !has(ALWAYS) {
        return Ok(Outcome::Skipped(format!("{ALWAYS} is not installed")));
    }
    // The same flags as in the step `tests`, so that nothing is built twice.
    let mut command =
        context.cargo(&["test", "--workspace", "--all-features", "--test", "networks"]);
    command.args(["--", "--ignored"]).env("PATH", path(None));
    let mut missing = BTreeSet::new();
    for (module, programs) in NEEDS {
        let programs = programs.iter().copied();
        let lacking: Vec<_> = programs.filter(|program| !has(program)).collect();
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
