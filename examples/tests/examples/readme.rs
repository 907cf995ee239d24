//! The README lists every example, and its commands are right.

use std::collections::BTreeSet;

const README: &str = include_str!("../../README.md");
const MANIFEST: &str = include_str!("../../Cargo.toml");

/// The words after `before`, each up to the next character that is no part of a name.
fn names_after<'t>(text: &'t str, before: &str) -> BTreeSet<&'t str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let names = text.split(before).skip(1);
    names.map(|rest| rest.split(|c| !is_part(c)).next().unwrap_or_default()).collect()
}

#[test]
fn every_example_has_a_command_in_the_readme_and_every_command_an_example() {
    let programs = names_after(MANIFEST, "[[bin]]\nname = \"");
    assert!(programs.len() >= 15, "{programs:?}");
    assert_eq!(names_after(README, "cargo example "), programs);
}

#[test]
fn every_example_has_a_heading_with_a_link_to_its_code() {
    for line in MANIFEST.lines().filter_map(|line| line.strip_prefix("path = \"")) {
        let path = line.trim_end_matches('"');
        let place = path.strip_suffix("/main.rs").unwrap_or(path);
        let link = format!("]({place})");
        let headed = README.lines().any(|line| line.starts_with("### ") && line.contains(&link));
        assert!(headed, "{place}");
    }
}
