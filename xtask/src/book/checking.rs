//! What has to hold between the pages: links lead somewhere, the contents are complete, and all Rust is
//! compiled.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::book::page::Page;

/// The directory of the guide.
pub(crate) const GUIDE: &str = "docs";

/// The contents of the book, and of the guide on a page.
pub(crate) const SUMMARY: &str = "docs/SUMMARY.md";
const CONTENTS: &str = "docs/README.md";

/// The page whose commands are run, which compiles the files on it.
pub(crate) const TUTORIAL: &str = "docs/tutorial.md";

/// Returns what is wrong with links. `exists` says whether there is a file or directory.
pub(crate) fn links(pages: &[Page], exists: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let by_path: BTreeMap<&Path, &Page> =
        pages.iter().map(|page| (page.path.as_path(), page)).collect();
    let mut findings = Vec::new();
    for page in pages {
        for link in &page.links {
            let target = page.target(link);
            let Some((path, fragment)) = page.resolve(target) else { continue };
            let wrong = match (by_path.get(path.as_path()), fragment) {
                (Some(other), Some(fragment)) => {
                    let is_known = other.anchors.iter().any(|anchor| anchor == fragment);
                    (!is_known).then_some("has no such heading")
                }
                (Some(_), None) => None,
                (None, _) => (!exists(&path)).then_some("does not exist"),
            };
            findings.extend(wrong.map(|wrong| finding(page, link.line, target, wrong)));
        }
    }
    findings
}

/// Returns the pages that the contents lack.
pub(crate) fn contents(pages: &[Page]) -> Vec<String> {
    let lists = |name: &str| -> Vec<PathBuf> {
        let page = pages.iter().find(|page| page.path == Path::new(name));
        let links = page
            .into_iter()
            .flat_map(|page| page.links.iter().filter_map(|link| page.resolve(page.target(link))));
        links.map(|(path, _)| path).collect()
    };
    let (summary, overview) = (lists(SUMMARY), lists(CONTENTS));
    let mut findings = Vec::new();
    for page in pages.iter().filter(|page| page.path.starts_with(GUIDE)) {
        let name = page.path.display();
        if page.path == Path::new(SUMMARY) {
            continue;
        }
        match summary.iter().filter(|listed| **listed == page.path).count() {
            0 => findings.push(format!("error: {name} is not in {SUMMARY}")),
            1 => {}
            times => findings.push(format!("error: {name} is in {SUMMARY} {times} times")),
        }
        let is_below = page.path.components().count() > 2;
        if !is_below && page.path != Path::new(CONTENTS) && !overview.contains(&page.path) {
            findings.push(format!("error: {name} is not in {CONTENTS}"));
        }
    }
    findings
}

/// Returns the Rust that nothing compiles. `compiled` is the file that includes pages as documentation.
pub(crate) fn code(pages: &[Page], compiled: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for page in pages.iter().filter(|page| page.path.starts_with(GUIDE)) {
        let is_included = compiled.contains(&format!("/{}\")]", page.path.display()));
        for block in page.blocks.iter().filter(|block| block.is_rust()) {
            let is_run = page.path == Path::new(TUTORIAL) && block.file.is_some();
            if !(is_included && !block.is_ignored() || is_run) {
                findings.push(finding(page, block.line, &block.info, "is not compiled"));
            }
        }
    }
    findings
}

fn finding(page: &Page, line: usize, what: &str, wrong: &str) -> String {
    format!("error: {}:{line}: {what} {wrong}", page.path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(texts: &[(&str, &str)]) -> Vec<Page> {
        let page = |(path, text): &(&str, &str)| Page::parse(path.into(), (*text).to_owned());
        texts.iter().map(page).collect()
    }

    #[test]
    fn links_lead_to_files_and_headings() {
        let pages = pages(&[
            ("docs/a.md", "[b](b.md#there) [c](c.md)\n[d](b.md#here) [e](../src) [f](#a)\n# A"),
            ("docs/b.md", "# There"),
        ]);
        let findings = links(&pages, &|path| path == Path::new("src"));
        assert_eq!(
            findings,
            [
                "error: docs/a.md:1: c.md does not exist",
                "error: docs/a.md:2: b.md#here has no such heading",
            ]
        );
    }

    #[test]
    fn every_page_is_in_the_contents() {
        let pages = pages(&[
            ("README.md", ""),
            ("docs/README.md", "[a](a.md)"),
            ("docs/SUMMARY.md", "[g](README.md) [a](a.md) [a](a.md) [d](c/d.md)"),
            ("docs/a.md", ""),
            ("docs/b.md", ""),
            ("docs/c/d.md", ""),
        ]);
        assert_eq!(
            contents(&pages),
            [
                "error: docs/a.md is in docs/SUMMARY.md 2 times",
                "error: docs/b.md is not in docs/SUMMARY.md",
                "error: docs/b.md is not in docs/README.md",
            ]
        );
    }

    #[test]
    fn all_rust_is_compiled() {
        let block = "```rust,no_run\n```\n```toml\n```\n";
        let ignored = "<!-- file: a.rs -->\n```rust,ignore\n```\n";
        let pages = pages(&[
            ("docs/a.md", block),
            ("docs/b.md", block),
            ("docs/c.md", ignored),
            ("docs/tutorial.md", ignored),
        ]);
        let compiled =
            "#[doc = include_str!(\"../docs/a.md\")] #[doc = include_str!(\"../docs/c.md\")]";
        assert_eq!(
            code(&pages, compiled),
            [
                "error: docs/b.md:1: rust,no_run is not compiled",
                "error: docs/c.md:2: rust,ignore is not compiled",
            ]
        );
    }
}
