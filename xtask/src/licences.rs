//! Checks the licence of every dependency against the list in `deny.toml`.
//!
//! `cargo deny` does the same and more, but has to be installed.

use std::fs;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use spdx::{Expression, ParseMode};

use crate::workspace::Workspace;

/// The part of `deny.toml` with the licences.
#[derive(Deserialize)]
struct Policy {
    licenses: Licences,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

/// Licences that are allowed for one crate only.
#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate", alias = "name")]
    package: String,
    allow: Vec<String>,
}

impl Licences {
    fn allows(&self, package: &str, licence: &str) -> bool {
        let exceptions = self.exceptions.iter().filter(|exception| exception.package == package);
        let mut allowed = self.allow.iter().chain(exceptions.flat_map(|other| &other.allow));
        allowed.any(|other| other == licence)
    }
}

/// Prints every package whose licence is not allowed. Returns true if all are allowed.
pub(crate) fn report(workspace: &Workspace) -> Result<bool> {
    let path = workspace.root.join("deny.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))?;
    let policy: Policy = toml::from_str(&text).context("cannot read deny.toml")?;

    let mut refused = 0;
    for package in &workspace.packages {
        let verdict = match &package.license {
            None => Err(anyhow::anyhow!("has no licence")),
            Some(text) => {
                satisfies(text, &|licence| policy.licenses.allows(&package.name, licence))
                    .with_context(|| format!("has a licence that cannot be read, {text:?}"))
                    .and_then(|allowed| {
                        if allowed {
                            Ok(())
                        } else {
                            bail!("is under {text}, which deny.toml refuses")
                        }
                    })
            }
        };
        if let Err(error) = verdict {
            println!("error: {} {} {error:#}", package.name, package.version);
            refused += 1;
        }
    }
    println!("{} packages, {refused} refused", workspace.packages.len());
    Ok(refused == 0)
}

/// Returns whether allowed licences satisfy an expression (SPDX, or the old `MIT/Apache-2.0`).
fn satisfies(expression: &str, allowed: &dyn Fn(&str) -> bool) -> Result<bool> {
    let expression = Expression::parse_mode(expression, ParseMode::LAX)?;
    Ok(expression.evaluate(|requirement| allowed(&requirement.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(expression: &str) -> bool {
        let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"];
        satisfies(expression, &|licence| allowed.contains(&licence)).unwrap()
    }

    #[test]
    fn one_allowed_alternative_is_enough() {
        assert!(met("MIT"));
        assert!(met("GPL-3.0-only OR MIT"));
        assert!(met("MIT/GPL-3.0-only"));
        assert!(!met("GPL-3.0-only"));
        assert!(!met("GPL-2.0-only OR GPL-3.0-only"));
    }

    #[test]
    fn every_requirement_has_to_be_allowed() {
        assert!(met("(MIT OR GPL-3.0-only) AND Unicode-3.0"));
        assert!(!met("MIT AND GPL-3.0-only"));
        assert!(met("GPL-3.0-only AND MIT OR Apache-2.0"));
        assert!(!met("GPL-3.0-only AND (MIT OR Apache-2.0)"));
    }

    #[test]
    fn an_exception_makes_another_licence() {
        assert!(met("Apache-2.0 WITH LLVM-exception"));
        assert!(!met("MIT WITH LLVM-exception"));
    }

    #[test]
    fn an_exception_holds_for_its_crate_alone() {
        let policy: Policy = toml::from_str(
            "[licenses]\nallow = ['MIT']\nexceptions = [{ crate = 'odd', allow = ['ISC'] }]",
        )
        .unwrap();
        assert!(policy.licenses.allows("odd", "ISC"));
        assert!(!policy.licenses.allows("other", "ISC"));
    }
}
