//! Checks that the tests which `SECURITY.md` names exist.
//!
//! A test is named by a link to its file: `[the_name_of_the_test](crates/…/file.rs)`.

use std::fs;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

const PROMISES: &str = "SECURITY.md";

/// Prints the tests that do not exist. Returns true if all do.
pub(crate) fn report(workspace: &Workspace) -> Result<bool> {
    let path = workspace.root.join(PROMISES);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))?;
    let read = |file: &str| fs::read_to_string(workspace.root.join(file)).ok();
    let (named, missing) = check(&text, &read);
    for (name, file) in &missing {
        println!("error: {PROMISES} names the test {name}, which is not in {file}");
    }
    println!("{named} tests are named, {} of them missing", missing.len());
    // Promises without tests would be found by nobody.
    Ok(named > 0 && missing.is_empty())
}

/// Returns how many tests a text names, and those that do not exist, with their files.
fn check<'t>(
    text: &'t str,
    read: &dyn Fn(&str) -> Option<String>,
) -> (usize, Vec<(&'t str, &'t str)>) {
    let named = text.split('[').skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once("](")?;
        let (file, _) = rest.split_once(')')?;
        let name = name.trim_matches('`');
        file.ends_with(".rs").then_some((name, file))
    });
    let named: Vec<_> = named.collect();
    let exists = |(name, file): &(&str, &str)| {
        let code = read(file).unwrap_or_default();
        code.contains(&format!("fn {name}("))
    };
    (named.len(), named.iter().filter(|test| !exists(test)).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_has_to_be_in_the_file_that_is_named() {
        let read = |file: &str| {
            (file == "a.rs").then(|| "#[test]\nfn holds() {}\nfn holds_longer() {}".to_owned())
        };
        let text = "[`holds`](a.rs), [`holds_long`](a.rs), [`holds`](b.rs), [TLS](docs/tls.md)";
        let (named, missing) = check(text, &read);
        assert_eq!(named, 3);
        assert_eq!(missing, [("holds_long", "a.rs"), ("holds", "b.rs")]);
    }
}
