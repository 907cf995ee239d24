//! The steps that run the tests of workspaces of their own, since other packages are in their lock files.

use anyhow::Result;

use crate::test::outcome::Outcome;
use crate::test::process::run;
use crate::test::step::{Context, Step};

pub(crate) const STEPS: [Step; 2] = [
    Step {
        name: "migrations",
        about: "programs in tokio-tungstenite and in Towline do the same",
        slow: true,
        run: |context| test(context, "migrations"),
    },
    Step {
        name: "frameworks",
        about: "WebSockets in web frameworks on hyper, and on connections of HTTP clients",
        slow: true,
        run: |context| test(context, "frameworks"),
    },
];

/// Tests a workspace in `testing`.
fn test(context: &Context, name: &str) -> Result<Outcome> {
    let manifest = context.workspace.root.join("testing").join(name).join("Cargo.toml");
    let mut command = context.cargo(&["test", "--locked", "--manifest-path"]);
    command.arg(manifest).arg("--target-dir").arg(context.workspace.target_directory.join(name));
    run(&mut command)
}
