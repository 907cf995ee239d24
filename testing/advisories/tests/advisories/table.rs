//! The table of README.md has each test, and each test that it names is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Returns the rows, as lists of cells.
fn rows(readme: &str) -> Vec<Vec<&str>> {
    let rows = readme.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    rows.skip(1).map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

#[test]
fn the_table_is_complete() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let rows = rows(&readme);
    let mut named = BTreeSet::new();
    for row in &rows {
        let [number, _, _, test, _] = row[..] else { panic!("five cells: {row:?}") };
        assert!(number.len() > 8, "{number:?}");
        // `name` in a file of this crate, or [`name`](path) elsewhere.
        let (name, path) = match test.strip_prefix('[') {
            Some(link) => {
                let (name, path) = link.trim_end_matches(')').split_once("](").unwrap();
                (name.trim_matches('`'), Some(path))
            }
            None => (test.trim_matches('`'), None),
        };
        let (module, function) = name.split_once("::").unwrap();
        let own = format!("tests/advisories/{module}.rs");
        let path = root.join(path.unwrap_or(&own));
        let source = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{}", path.display()));
        assert!(source.contains(&format!("fn {function}(")), "{name} in {}", path.display());
        named.insert(name.to_owned());
    }
    assert!(rows.len() >= 30, "{} rows", rows.len());
    for entry in fs::read_dir(root.join("tests/advisories")).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap();
        let source = fs::read_to_string(&path).unwrap();
        for test in source.split("\n#[t").skip(1).filter(|_| module != "table") {
            let function = test.split("fn ").nth(1).unwrap().split('(').next().unwrap();
            let name = format!("{module}::{function}");
            assert!(named.contains(&name), "{name} is not in README.md");
        }
    }
}
