//! What the library is with some of its features, since every other step has all of them on.

use anyhow::Result;

use crate::test::outcome::Outcome;
use crate::test::process::run;
use crate::test::step::{Context, Step};

pub(crate) const STEP: Step = Step {
    name: "features",
    about: "each set of features compiles, and each set of providers of cryptography connects",
    slow: false,
    run: features,
};

/// Sets that make a difference to what is compiled.
const SETS: [&str; 13] = [
    "",
    "deflate",
    "idn",
    "rustls",
    "ring",
    "aws-lc-rs",
    "platform-verifier",
    "webpki-roots",
    "rustls-0_23",
    "tls",
    "aws-lc-rs,webpki-roots",
    "ring,aws-lc-rs,rustls-0_23",
    "tls,webpki-roots",
];

/// With none, either and both of the providers, beside what connections by `wss://` take.
const PROVIDERS: [&str; 4] = ["rustls", "ring", "aws-lc-rs,webpki-roots", "ring,aws-lc-rs"];

fn features(context: &Context) -> Result<Outcome> {
    for features in SETS {
        println!("-- features {features:?}");
        let package = ["--package", "towline", "--no-default-features", "--features", features];
        // As a warning is an error, and only of this crate's.
        let mut command = context.cargo(&["rustc", "--lib", "--profile", "check"]);
        let outcome = run(command.args(package).args(["--", "-D", "warnings"]))?;
        if !matches!(outcome, Outcome::Passed) {
            return Ok(outcome);
        }
    }
    for features in PROVIDERS {
        println!("-- providers of {features:?}");
        let mut command = context.cargo(&["test", "--package", "towline", "--no-default-features"]);
        command.args(["--features", features]);
        // Each is a process of its own, as what is installed is installed for all of it.
        command.args(["--test", "provider_of_its_own", "--test", "provider_of_the_process"]);
        let outcome = run(&mut command)?;
        if !matches!(outcome, Outcome::Passed) {
            return Ok(outcome);
        }
    }
    Ok(Outcome::Passed)
}
