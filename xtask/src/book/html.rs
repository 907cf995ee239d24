//! Builds the book in HTML, with mdBook.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::book::checking::{GUIDE, SUMMARY};
use crate::book::page::{Link, Page};
use crate::workspace::{Workspace, cargo};

/// The version of mdBook that is installed if there is none.
const VERSION: &str = "0.5.4";

/// Builds the book into `target/book/html`, and returns that directory.
pub(crate) fn build(workspace: &Workspace, pages: &[Page]) -> Result<PathBuf> {
    let program = program(workspace)?;
    let directory = workspace.target_directory.join("book");
    let source = directory.join("source");
    if source.exists() {
        fs::remove_dir_all(&source)?;
    }
    copy(&workspace.root.join(GUIDE), &source)?;
    let repository = workspace.repository();
    for page in pages {
        if let Ok(path) = page.path.strip_prefix(GUIDE) {
            let exists = |path: &Path| workspace.root.join(path).is_dir();
            fs::write(source.join(path), for_book(page, repository, &exists))?;
        }
    }
    let html = directory.join("html");
    let status = Command::new(program).arg("build").arg(&source).arg("-d").arg(&html).status()?;
    if !status.success() {
        bail!("mdbook failed: {status}");
    }
    Ok(html)
}

/// mdBook: that of the machine, or one that is installed into the target directory.
fn program(workspace: &Workspace) -> Result<PathBuf> {
    let is_there = Command::new("mdbook").arg("--version").output().is_ok();
    if is_there {
        return Ok("mdbook".into());
    }
    let tools = workspace.target_directory.join("tools");
    let program = tools.join("bin").join(format!("mdbook{}", std::env::consts::EXE_SUFFIX));
    if !program.exists() {
        println!("installing mdbook {VERSION} into {}, which takes some minutes", tools.display());
        let mut install = Command::new(cargo());
        // Unoptimized, since it builds one small book.
        install.args(["install", "mdbook", "--version", VERSION, "--locked", "--debug"]);
        install.args(["--no-default-features", "--features", "search", "--root"]).arg(&tools);
        if !install.status().context("cannot run cargo")?.success() {
            bail!("mdbook does not build");
        }
    }
    Ok(program)
}

/// Returns the page with links that lead out of the book replaced: by those to the repository, if it is
/// known, or otherwise by their text.
fn for_book(page: &Page, repository: Option<&str>, is_directory: &dyn Fn(&Path) -> bool) -> String {
    let mut text = page.text.clone();
    for link in page.links.iter().rev() {
        let Some((path, fragment)) = page.resolve(page.target(link)) else { continue };
        if path.starts_with(GUIDE) {
            // mdBook makes index.html of it, and does not change links. The summary has the names of files.
            if page.path == Path::new(SUMMARY) {
                continue;
            }
            let target = page.target(link).replace("README.md", "index.md");
            text.replace_range(link.target.clone(), &target);
            continue;
        }
        match repository {
            Some(repository) => {
                let kind = if is_directory(&path) { "tree" } else { "blob" };
                let fragment = fragment.map_or(String::new(), |fragment| format!("#{fragment}"));
                let url = format!("{repository}/{kind}/main/{}{fragment}", path.display());
                text.replace_range(link.target.clone(), &url);
            }
            None => remove(&mut text, link),
        }
    }
    text
}

/// Leaves the text of a link.
fn remove(text: &mut String, link: &Link) {
    if let Some(shown) = &link.text
        && let Some(end) = text[link.target.end..].find(')')
    {
        let whole = shown.start - 1..link.target.end + end + 1;
        let shown = text[shown.clone()].to_owned();
        text.replace_range(whole, &shown);
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {from:?}"))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[a](b/README.md#c), [`d`](../e.md#f) and [g](../h) or <https://i>\n";

    fn shown(repository: Option<&str>) -> String {
        let page = Page::parse("docs/x.md".into(), TEXT.to_owned());
        for_book(&page, repository, &|path| path == Path::new("h"))
    }

    #[test]
    fn links_out_of_the_book_lead_to_the_repository() {
        let repository = "https://forge.example/towline";
        let there = format!("{repository}/blob/main/e.md#f");
        let directory = format!("{repository}/tree/main/h");
        assert_eq!(
            shown(Some(repository)),
            format!("[a](b/index.md#c), [`d`]({there}) and [g]({directory}) or <https://i>\n")
        );
    }

    #[test]
    fn without_a_repository_their_text_is_left() {
        assert_eq!(shown(None), "[a](b/index.md#c), `d` and g or <https://i>\n");
    }
}
