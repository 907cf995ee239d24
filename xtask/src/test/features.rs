//! Lints and tests with some features only, since all other steps enable all of them.

use anyhow::Result;

use crate::test::checks::lacks;
use crate::test::outcome::Outcome;
use crate::test::process::run;
use crate::test::step::{Context, Step};

pub(crate) const STEP: Step = Step {
    name: "features",
    about: "lints and tests with each feature alone, and with each set of cryptography providers",
    slow: false,
    run: features,
};

/// No feature, each alone, and sets that change what is compiled. No feature is on by default, except
/// `axum` of `towline-axum`.
///
/// All sets are linted with all targets, and run the unit tests. A feature only adds a module, so the
/// library's other tests run for the sets in [`WHOLE`] only.
const SETS: [(&str, &[&str]); 7] = [
    ("towline-proto", &["", "deflate"]),
    (
        "towline",
        &[
            "",
            "deflate",
            "http2",
            "idn",
            "rustls",
            "ring",
            "aws-lc-rs",
            "platform-verifier",
            "webpki-roots",
            "rustls-0_23",
            "tls",
            "ring,aws-lc-rs,rustls-0_23",
            "tls,webpki-roots",
            "http2,tls",
        ],
    ),
    ("towline-hyper", &["", "deflate", "rustls", "tls"]),
    ("towline-axum", &["", "axum", "deflate"]),
    ("towline-nats", &["", "tls"]),
    ("towline-redis", &["", "tls"]),
    ("towline-cli", &["", "nats", "redis"]),
];

const WHOLE: [&str; 4] = ["", "deflate", "http2", "tls"];

/// No provider, either of them, and both, for `wss://`.
const PROVIDERS: [&str; 4] = ["rustls", "ring", "aws-lc-rs,webpki-roots", "ring,aws-lc-rs"];

fn features(context: &Context) -> Result<Outcome> {
    let can_lint = lacks(context, "clippy", "clippy").is_none();
    for (package, sets) in SETS {
        // As a user builds it: tests bring features of the dependencies with them.
        let alone = run(&mut context.cargo(&["check", "--package", package, "--all-features"]))?;
        if !matches!(alone, Outcome::Passed) {
            return Ok(alone);
        }
        for features in sets {
            println!("-- {package} with {features:?}");
            let chosen = ["--package", package, "--no-default-features", "--features", features];
            let lint = can_lint.then(|| {
                let mut lint = context.cargo(&["clippy"]);
                lint.args(chosen).args(["--all-targets", "--", "-D", "warnings"]);
                lint
            });
            let mut test = context.cargo(&["test"]);
            let tests = match package {
                "towline" if !WHOLE.contains(features) => "--lib",
                // A relay adds an option. The tests of the program take minutes.
                "towline-cli" if !features.is_empty() => "--bins",
                _ => "--tests",
            };
            test.args(chosen).args([tests, "--no-fail-fast", "--quiet"]);
            for mut command in lint.into_iter().chain([test]) {
                let outcome = run(&mut command)?;
                if !matches!(outcome, Outcome::Passed) {
                    return Ok(outcome);
                }
            }
        }
    }
    for features in PROVIDERS {
        println!("-- providers of {features:?}");
        let mut command = context.cargo(&["test", "--package", "towline", "--no-default-features"]);
        command.args(["--features", features]);
        // Each is a separate process, since a provider is installed for the whole process.
        command.args(["--test", "provider_of_its_own", "--test", "provider_of_the_process"]);
        let outcome = run(&mut command)?;
        if !matches!(outcome, Outcome::Passed) {
            return Ok(outcome);
        }
    }
    Ok(Outcome::Passed)
}
