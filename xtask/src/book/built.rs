//! Checks the links of the book as mdBook has built it: its names of files and headings are not GitHub's.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

/// Pages without a place in the book.
const ASIDE: [&str; 3] = ["404.html", "print.html", "toc.html"];

/// Returns the links that lead nowhere.
pub(crate) fn check(book: &Path) -> Result<Vec<String>> {
    let mut pages = BTreeMap::new();
    read(book, book, &mut pages)?;
    let is_file = |path: &Path| book.join(path).is_file();
    let shown = pages.iter().filter(|(path, _)| ASIDE.iter().all(|aside| !path.ends_with(aside)));
    Ok(shown.flat_map(|(path, text)| broken(path, text, &pages, &is_file)).collect())
}

fn read(book: &Path, directory: &Path, pages: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {directory:?}"))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            read(book, &path, pages)?;
        } else if path.extension().is_some_and(|extension| extension == "html") {
            let text = fs::read_to_string(&path)?;
            pages.insert(path.strip_prefix(book).unwrap_or(&path).to_owned(), text);
        }
    }
    Ok(())
}

fn broken(
    page: &Path,
    text: &str,
    pages: &BTreeMap<PathBuf, String>,
    is_file: &dyn Fn(&Path) -> bool,
) -> Vec<String> {
    let links = text.split("<a href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let leads_nowhere = |link: &&str| {
        let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
        let path = match file {
            "" => page.to_owned(),
            _ => normal(&page.with_file_name(file)),
        };
        let has = |text: &String| text.contains(&format!("id=\"{fragment}\""));
        !is_file(&path) || !fragment.is_empty() && !pages.get(&path).is_some_and(has)
    };
    let own = links.filter(|link| !link.contains("://") && !link.starts_with("mailto:"));
    let findings = own.filter(leads_nowhere);
    findings.map(|link| format!("error: {} in the book: {link}", page.display())).collect()
}

/// Resolves `..`.
fn normal(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if resolved.parent().is_some() => drop(resolved.pop()),
            part => resolved.push(part),
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_pages_and_headings_of_the_book() {
        let page = Path::new("b/a.html");
        let text = "<a href=\"../c.html#there\"> <a href=\"../c.html#here\"> <a href=\"d.html\"> \
            <a href=\"https://e.example/\"> <a href=\"#f\"> <a href=\"../../g.html\"> <i id=\"f\">";
        let pages = BTreeMap::from([
            (page.to_owned(), text.to_owned()),
            ("c.html".into(), "<h2 id=\"there\">".to_owned()),
        ]);
        let is_file = |path: &Path| pages.contains_key(path);
        assert_eq!(
            broken(page, text, &pages, &is_file),
            [
                "error: b/a.html in the book: ../c.html#here",
                "error: b/a.html in the book: d.html",
                "error: b/a.html in the book: ../../g.html",
            ]
        );
    }
}
