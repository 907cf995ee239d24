//! The step that runs the programs in `testing/migrations`, which is a workspace of its own.

use anyhow::Result;

use crate::test::outcome::Outcome;
use crate::test::process::run as run_command;
use crate::test::step::{Context, Step};

pub(crate) const STEP: Step = Step {
    name: "migrations",
    about: "programs in tokio-tungstenite and in Towline do the same",
    slow: true,
    run,
};

fn run(context: &Context) -> Result<Outcome> {
    let manifest = context.workspace.root.join("testing").join("migrations").join("Cargo.toml");
    let mut command = context.cargo(&["test", "--locked", "--manifest-path"]);
    command.arg(manifest).arg("--target-dir");
    command.arg(context.workspace.target_directory.join("migrations"));
    run_command(&mut command)
}
