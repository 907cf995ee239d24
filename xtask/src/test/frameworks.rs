//! The step that runs the servers and clients in `testing/frameworks`, which is a workspace of its own.

use anyhow::Result;

use crate::test::outcome::Outcome;
use crate::test::process::run as run_command;
use crate::test::step::{Context, Step};

pub(crate) const STEP: Step = Step {
    name: "frameworks",
    about: "WebSockets in web frameworks on hyper, and on connections of HTTP clients",
    slow: true,
    run,
};

fn run(context: &Context) -> Result<Outcome> {
    let manifest = context.workspace.root.join("testing").join("frameworks").join("Cargo.toml");
    let mut command = context.cargo(&["test", "--locked", "--manifest-path"]);
    command.arg(manifest).arg("--target-dir");
    command.arg(context.workspace.target_directory.join("frameworks"));
    run_command(&mut command)
}
