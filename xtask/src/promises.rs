//! Checks that the tests which `SECURITY.md` names exist, and run.
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
    let exists = |(name, file): &(&str, &str)| read(file).is_some_and(|code| is_test(&code, name));
    (named.len(), named.iter().filter(|test| !exists(test)).copied().collect())
}

/// Returns whether a function of this name is a test that runs.
fn is_test(code: &str, name: &str) -> bool {
    let lines: Vec<_> = code.lines().map(str::trim).collect();
    let declares = |line: &str| line.contains(&format!("fn {name}("));
    let Some(at) = lines.iter().position(|line| declares(line)) else { return false };
    let attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
    let (mut is_test, mut is_ignored) = (false, false);
    for attribute in attributes {
        is_test |= attribute.ends_with("test]") || attribute.contains("test(");
        is_ignored |= attribute.starts_with("#[ignore");
    }
    is_test && !is_ignored
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_has_to_be_in_the_file_that_is_named() {
        let read = |file: &str| {
            (file == "a.rs")
                .then(|| "#[test]\nfn holds() {}\n#[test]\nfn holds_longer() {}".to_owned())
        };
        let text = "[`holds`](a.rs), [`holds_long`](a.rs), [`holds`](b.rs), [TLS](docs/tls.md)";
        let (named, missing) = check(text, &read);
        assert_eq!(named, 3);
        assert_eq!(missing, [("holds_long", "a.rs"), ("holds", "b.rs")]);
    }

    #[test]
    fn a_test_has_to_run() {
        for code in
            ["#[test]\nfn a() {}", "    #[tokio::test(start_paused = true)]\n    async fn a() {}"]
        {
            assert!(is_test(code, "a"), "{code}");
        }
        for code in ["fn a() {}", "#[test]\n#[ignore]\nfn a() {}", "#[test]\nfn b() {}\nfn a() {}"]
        {
            assert!(!is_test(code, "a"), "{code}");
        }
    }
}
