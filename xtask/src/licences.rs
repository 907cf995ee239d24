//! The licence of every dependency against the list in `deny.toml`.
//!
//! `cargo deny` does the same and more, but has to be installed; this needs nothing.

use std::fs;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::workspace::Workspace;

/// The part of `deny.toml` that is about licences.
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

/// Licences that one crate alone may have.
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

/// Prints every package whose licence is not allowed; true if there is none.
pub(crate) fn report(workspace: &Workspace) -> Result<bool> {
    let path = workspace.root.join("deny.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))?;
    let policy: Policy = toml::from_str(&text).context("cannot read deny.toml")?;

    let mut refused = 0;
    for package in &workspace.packages {
        let verdict = match &package.license {
            None => Err(anyhow::anyhow!("names no licence")),
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

/// Whether a licence expression (SPDX, or the old `MIT/Apache-2.0`) can be met with licences that
/// are allowed. `OR` binds weaker than `AND`, and `X WITH Y` counts as one licence.
fn satisfies(expression: &str, allowed: &dyn Fn(&str) -> bool) -> Result<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut parser = Expression { words: spaced.split_whitespace().collect(), next: 0, allowed };
    let met = parser.alternatives()?;
    match parser.peek() {
        None => Ok(met),
        Some(word) => bail!("{word:?} stands where an operator is due"),
    }
}

struct Expression<'a> {
    words: Vec<&'a str>,
    next: usize,
    allowed: &'a dyn Fn(&str) -> bool,
}

impl<'a> Expression<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).copied()
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.peek() == Some(word);
        self.next += usize::from(found);
        found
    }

    fn alternatives(&mut self) -> Result<bool> {
        let mut met = self.requirements()?;
        while self.take("OR") {
            met |= self.requirements()?;
        }
        Ok(met)
    }

    fn requirements(&mut self) -> Result<bool> {
        let mut met = self.licence()?;
        while self.take("AND") {
            met &= self.licence()?;
        }
        Ok(met)
    }

    fn licence(&mut self) -> Result<bool> {
        if self.take("(") {
            let met = self.alternatives()?;
            if !self.take(")") {
                bail!("a parenthesis is not closed");
            }
            return Ok(met);
        }
        let name = self.name()?;
        if self.take("WITH") {
            let exception = self.name()?;
            return Ok((self.allowed)(&format!("{name} WITH {exception}")));
        }
        Ok((self.allowed)(name))
    }

    fn name(&mut self) -> Result<&'a str> {
        match self.peek() {
            None | Some("(" | ")" | "AND" | "OR" | "WITH") => bail!("a licence is missing"),
            Some(name) => {
                self.next += 1;
                Ok(name)
            }
        }
    }
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
    fn a_broken_expression_is_an_error() {
        for broken in ["", "MIT OR", "(MIT", "MIT)", "MIT Apache-2.0", "AND MIT"] {
            assert!(satisfies(broken, &|_| true).is_err(), "{broken:?}");
        }
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
