//! The README of a library is its crate's page, so that the two agree, and the project's README shows the
//! same programs as those of the crates.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::house::finding::Finding;
use crate::workspace::{Package, Workspace};

/// The project's README, and the sections of it that a crate's README has to have word for word.
const ROOT: &str = "README.md";
const SHARED: [(&str, &str); 5] = [
    ("Server", "towline"),
    ("Client", "towline"),
    ("Use it", "towline"),
    ("On hyper", "towline-hyper"),
    ("In an axum app", "towline-axum"),
];

const INCLUDED: &str = "#![doc = include_str!(\"../README.md\")]";

pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let root = fs::read_to_string(workspace.root.join(ROOT))?;
    let mut findings = Vec::new();
    for package in workspace.members().filter(|member| member.is_published()) {
        let readme = package.directory().join("README.md");
        let path = workspace.relative(&readme);
        let Ok(text) = fs::read_to_string(&readme) else {
            findings.push(Finding::error(path, 0, "the crate has no README"));
            continue;
        };
        if package.is_library() {
            findings.extend(of_library(workspace, package, path, &text)?);
        }
        let shared = SHARED.iter().filter(|(_, name)| *name == package.name);
        findings.extend(shared.filter_map(|(heading, _)| differing(&root, heading, path, &text)));
    }
    Ok(findings)
}

fn of_library(
    workspace: &Workspace,
    package: &Package,
    path: &Path,
    readme: &str,
) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    if !readme.contains("\n```rust") {
        findings.push(Finding::error(path, 0, "the README has no example"));
    }
    let library = package.directory().join("src/lib.rs");
    let page = fs::read_to_string(&library)?;
    let library = workspace.relative(&library);
    let Some((definitions, _)) = page.split_once(INCLUDED) else {
        findings.push(Finding::error(library, 0, format!("the page lacks `{INCLUDED}`")));
        return Ok(findings);
    };
    let module = package.name.replace('-', "_");
    for (label, url) in own_links(readme, &package.name) {
        let here =
            definitions.lines().find_map(|line| line.strip_prefix(&format!("//! {label}: ")));
        let message = match here {
            Some(item) if is_same(item, url, &module) => continue,
            Some(item) => format!("{label} leads to {item} here, and to {url} in the README"),
            None => format!("the page has no `//! {label}: …` for the link of the README"),
        };
        findings.push(Finding::error(library, 0, message));
    }
    Ok(findings)
}

/// Returns the links in the READMEs whose pages rustdoc has not made in `docs`: those of structs that have
/// become enums, say.
pub(crate) fn without_a_page(workspace: &Workspace, docs: &Path) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    let is_library = |member: &&Package| member.is_library() && member.is_published();
    for package in workspace.members().filter(is_library) {
        let readme = fs::read_to_string(package.directory().join("README.md"))?;
        let links = own_links(&readme, &package.name).into_iter();
        let absent = links.filter(|(_, url)| !docs.join(url).exists());
        missing
            .extend(absent.map(|(label, url)| format!("{}: {label} leads to {url}", package.name)));
    }
    Ok(missing)
}

/// Returns the definitions of links to items of the crate: labels with brackets, and what follows
/// `latest/`.
fn own_links<'t>(readme: &'t str, package: &str) -> Vec<(&'t str, &'t str)> {
    let start = format!(": https://docs.rs/{package}/latest/");
    let of_line = |line: &'t str| line.split_once(start.as_str());
    readme.lines().filter(|line| line.starts_with('[')).filter_map(of_line).collect()
}

/// Returns whether the URL of an item, `towline/topics/struct.Topic.html`, is that of the path by which
/// a link names it: `topics::Topic`. rustdoc checks whether the item exists.
fn is_same(item: &str, url: &str, module: &str) -> bool {
    let item = item.rsplit('@').next().unwrap_or(item).trim_end_matches("()");
    let url = url.strip_prefix(module).unwrap_or(url).trim_start_matches('/');
    let url = url.trim_end_matches("/index.html").trim_end_matches(".html");
    let path: Vec<_> =
        url.split('/').map(|part| part.split_once('.').map_or(part, |(_, name)| name)).collect();
    path.join("::") == item
}

/// Compares the programs and tables of a section with those of a crate's README.
fn differing(root: &str, heading: &str, readme: &Path, text: &str) -> Option<Finding> {
    let section = section(root, heading);
    let blocks: Vec<_> = [programs(section), tables(section)].concat();
    let own = [programs(text), tables(text)].concat();
    let message = if blocks.is_empty() {
        format!("the section {heading:?} has no program or table")
    } else if let Some(other) = blocks.iter().find(|block| !own.contains(block)) {
        let first = other.lines().next().unwrap_or_default();
        format!("{} does not have what {heading:?} shows: {first:?} …", readme.display())
    } else {
        return None;
    };
    Some(Finding::error(Path::new(ROOT), 0, message))
}

/// Returns the lines from a heading of any level to the next one.
fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let is_heading = |line: &str| line.trim_start_matches('#').trim() == heading;
    let mut begin = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        match begin {
            None if line.starts_with('#') && is_heading(line) => begin = Some(at + line.len()),
            Some(begin) if line.starts_with("## ") || line.starts_with("### ") => {
                return &text[begin..at];
            }
            _ => {}
        }
        at += line.len();
    }
    begin.map_or("", |begin| &text[begin..])
}

/// Returns the Rust code, whatever rustdoc is told to do with it.
fn programs(text: &str) -> Vec<String> {
    let blocks = text.split("\n```rust").skip(1);
    let code = |block: &str| {
        let (_, code) = block.split_once('\n')?;
        Some(code.split("\n```").next()?.to_owned())
    };
    blocks.filter_map(code).collect()
}

/// Returns the tables, with the text of a link in its place.
fn tables(text: &str) -> Vec<String> {
    let is_row = |line: &&str| line.starts_with('|');
    let mut tables = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if is_row(&line) {
            let mut table = vec![without_links(line)];
            while let Some(row) = lines.next_if(is_row) {
                table.push(without_links(row));
            }
            tables.push(table.join("\n"));
        }
    }
    tables
}

fn without_links(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, behind)) = rest.split_once("](") {
        let (start, label) = before.rsplit_once('[').unwrap_or((before, ""));
        text.push_str(start);
        text.push_str(label);
        rest = behind.split_once(')').map_or("", |(_, rest)| rest);
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_to_lead_to_the_item_that_the_page_names() {
        let same = |item: &str, url: &str| is_same(item, url, "towline");
        assert!(same("Server", "towline/struct.Server.html"));
        assert!(same("mod@topics", "towline/topics/index.html"));
        assert!(same("topics::Topic", "towline/topics/struct.Topic.html"));
        assert!(same("mount()", "towline/fn.mount.html"));
        assert!(!same("Server", "towline/struct.Client.html"));
        assert!(!same("Topic", "towline/topics/struct.Topic.html"));
    }

    #[test]
    fn links_to_other_crates_need_no_definition() {
        let readme = "[`A`]: https://docs.rs/a/latest/a/struct.A.html\n[`b`]: https://docs.rs/b\n";
        assert_eq!(own_links(readme, "a"), [("[`A`]", "a/struct.A.html")]);
    }

    #[test]
    fn a_program_that_differs_is_found() {
        let root = "# R\n\n### Server\n\n```rust,no_run\nlet a = 1;\n```\n\n### Client\n\n```rust\nlet b = 2;\n```\n";
        let at = Path::new("a/README.md");
        let found =
            |heading, text| differing(root, heading, at, text).map(|finding| finding.message);
        assert_eq!(found("Server", "# A\n\n```rust\nlet a = 1;\n```\n"), None);
        assert_eq!(
            found("Client", "# A\n\n```rust\nlet a = 1;\n```\n").as_deref(),
            Some("a/README.md does not have what \"Client\" shows: \"let b = 2;\" …")
        );
        assert!(found("Nowhere", "").is_some());
    }

    #[test]
    fn a_table_is_compared_without_its_links() {
        let root = "## Use it\n\n| a | [b](c.md#d) of e |\n| - | - |\n\n## Next\n";
        assert!(differing(root, "Use it", Path::new("a"), "| a | b of e |\n| - | - |\n").is_none());
        assert!(differing(root, "Use it", Path::new("a"), "| a | b |\n| - | - |\n").is_some());
    }
}
