//! The steps that test Towline against other implementations. `testing/interop` has the suites; each
//! installs what it needs, or says what is missing.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::test::outcome::Outcome;
use crate::test::process::{run, run_suite};
use crate::test::step::{Context, Step};

pub(crate) const STEPS: [Step; 11] = [
    Step {
        name: "programs",
        about: "build the programs that the suites run",
        slow: true,
        run: programs,
    },
    Step {
        name: "autobahn-server",
        about: "Autobahn against our server, without the long cases of sections 12 and 13",
        slow: true,
        run: autobahn_server,
    },
    Step {
        name: "autobahn-client",
        about: "Autobahn against our client, without the long cases of sections 12 and 13",
        slow: true,
        run: autobahn_client,
    },
    Step {
        name: "autobahn-tls",
        about: "the same against both, over TLS",
        slow: true,
        run: autobahn_tls,
    },
    Step {
        name: "peers",
        about: "libraries from npm and PyPI, in both directions",
        slow: true,
        run: peers,
    },
    Step {
        name: "axum",
        about: "clients of PyPI's websockets and aiohttp, against an axum app",
        slow: true,
        run: axum,
    },
    Step {
        name: "differential",
        about: "the same bytes in our core and in wsproto and websockets of PyPI",
        slow: true,
        run: differential,
    },
    Step {
        name: "http2",
        about: "a client of PyPI's h2, and curl, over HTTP/2",
        slow: true,
        run: http2,
    },
    Step {
        name: "console",
        about: "the console in Chromium, over HTTP and HTTPS",
        slow: true,
        run: console,
    },
    Step {
        name: "metrics",
        about: "the metrics of `towline serve`, read by Prometheus's own parser",
        slow: true,
        run: metrics,
    },
    Step { name: "node", about: "build and test the npm package", slow: true, run: node },
];

const ON_ANY_PORT: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

pub(crate) fn programs(context: &Context) -> Result<Outcome> {
    let packages = ["--package", "towline-cli", "--package", "towline-interop"];
    run(context.cargo(&["build", "--release"]).args(packages))
}

fn autobahn_server(context: &Context) -> Result<Outcome> {
    autobahn(context, "server", &[])
}

fn autobahn_client(context: &Context) -> Result<Outcome> {
    autobahn(context, "client", &[])
}

fn autobahn_tls(context: &Context) -> Result<Outcome> {
    match autobahn(context, "server", &["--tls"])? {
        Outcome::Passed => autobahn(context, "client", &["--tls"]),
        other => Ok(other),
    }
}

/// Runs the Autobahn suite in one role; our program agrees to all compression parameters.
pub(crate) fn autobahn(context: &Context, role: &str, arguments: &[&str]) -> Result<Outcome> {
    const COMPRESS: &str = "--compress=send-takeover,receive-takeover";
    let mut command = suite(context, "autobahn/autobahn.py");
    command.args([role, "--jobs", "2"]).args(arguments).arg("--");
    command.arg(context.program("towline-interop"));
    if role == "server" {
        command.args(ON_ANY_PORT);
    } else {
        command.args(["autobahn-client", "--url", "{url}", "--agent", "towline"]);
    }
    judge(context, command.arg(COMPRESS))
}

fn peers(context: &Context) -> Result<Outcome> {
    let mut command = suite(context, "peers/peers.py");
    command.args(["run", "--"]).arg(context.program("towline-interop"));
    judge(context, &mut command)
}

fn axum(context: &Context) -> Result<Outcome> {
    let mut command = suite(context, "axum/axum.py");
    judge(context, command.arg("--").arg(context.program("towline-interop")))
}

fn differential(context: &Context) -> Result<Outcome> {
    let mut command = suite(context, "differential/differential.py");
    judge(context, command.arg("--").arg(context.program("towline-interop")).arg("judge"))
}

fn http2(context: &Context) -> Result<Outcome> {
    let mut command = suite(context, "http2/http2.py");
    command.arg("--").arg(context.program("towline")).args(ON_ANY_PORT);
    judge(context, &mut command)
}

fn console(context: &Context) -> Result<Outcome> {
    let mut command = suite(context, "chromium/chromium.py");
    command.arg("--program").arg(context.program("towline-interop"));
    command.arg("--towline").arg(context.program("towline"));
    command.arg("--").arg(context.program("towline")).args(ON_ANY_PORT).arg("--compress");
    let plain = judge(context, &mut command)?;
    if plain != Outcome::Passed {
        return Ok(plain);
    }
    // The same over TLS, where Chromium opens the WebSocket over HTTP/2.
    let mut command = suite(context, "chromium/chromium.py");
    command.arg("--").arg(context.program("towline"));
    judge(context, command.args(ON_ANY_PORT).args(["--compress", "--tls-self-signed"]))
}

fn metrics(context: &Context) -> Result<Outcome> {
    let mut command = suite(context, "metrics/metrics.py");
    judge(context, command.arg("--").arg(context.program("towline")).args(ON_ANY_PORT))
}

fn node(context: &Context) -> Result<Outcome> {
    for program in ["node", "npm"] {
        let version = Command::new(program).arg("--version").output();
        if !version.is_ok_and(|output| output.status.success()) {
            return Ok(Outcome::Skipped(format!("{program} is not installed")));
        }
    }
    let npm = |arguments: &[&str]| {
        let mut command = Command::new("npm");
        command.current_dir(context.workspace.root.join("node")).args(arguments);
        command
    };
    // The module is always built below, even if an older one exists.
    let fetched = run(&mut npm(&["ci", "--ignore-scripts", "--no-audit", "--no-fund"]))?;
    if fetched != Outcome::Passed {
        return Ok(Outcome::Skipped("npm cannot fetch what the tests need".into()));
    }
    match run(&mut npm(&["run", "build"]))? {
        Outcome::Passed => run(&mut npm(&["test"])),
        failed => Ok(failed),
    }
}

fn suite(context: &Context, script: &str) -> Command {
    let mut command = Command::new("python3");
    // Shows progress without delay.
    command.current_dir(&context.workspace.root).env("PYTHONUNBUFFERED", "1");
    command.arg(Path::new("testing/interop").join(script));
    command
}

fn judge(context: &Context, command: &mut Command) -> Result<Outcome> {
    for name in ["towline", "towline-interop"] {
        if !context.program(name).exists() {
            return Ok(Outcome::Failed(format!(
                "{name} is not built; the step `programs` builds it"
            )));
        }
    }
    let python = Command::new("python3").arg("--version").output();
    if !python.is_ok_and(|output| output.status.success()) {
        return Ok(Outcome::Skipped("python3 is not installed".into()));
    }
    run_suite(command)
}
