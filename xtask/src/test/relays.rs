//! The step that tests topics over several nodes, by real brokers.

use anyhow::Result;

use crate::installed::{has, path};
use crate::test::outcome::Outcome;
use crate::test::process::run;
use crate::test::step::{Context, Step};

pub(crate) const STEP: Step = Step {
    name: "relays",
    about: "topics over several nodes, by NATS and by Redis",
    slow: true,
    run: relays,
};

/// The modules of the tests called `relays`, in `testing/interop` and `crates/nats`, and in the module
/// `relays` of the program's tests, and the brokers that they need.
const NEEDS: [(&str, &str); 2] = [("nats::", "nats-server"), ("redis::", "redis-server")];

/// Runs the tests whose brokers are installed, and skips the others.
fn relays(context: &Context) -> Result<Outcome> {
    // The same flags as in the step `tests`, so that nothing is built twice.
    let mut command = context.cargo(&["test", "--workspace", "--all-features"]);
    command.args(["--test", "relays", "--test", "program"]);
    command.args(["--", "--ignored"]).env("PATH", path(None));
    let mut missing = Vec::new();
    for (module, program) in NEEDS {
        if !has(program) {
            command.args(["--skip", module]);
            missing.push(program);
        }
    }
    let missing_all = missing.len() == NEEDS.len();
    if !has("nginx") {
        command.args(["--skip", "nats::chat_nodes"]);
        missing.push("nginx");
    }
    let missing = missing.join(", ");
    if missing_all {
        return Ok(Outcome::Skipped(format!("not installed: {missing}")));
    }
    Ok(match run(&mut command)? {
        Outcome::Passed if !missing.is_empty() => {
            Outcome::Skipped(format!("some tests; not installed: {missing}"))
        }
        outcome => outcome,
    })
}
