//! A page in Markdown: its headings, links and code blocks.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One page.
pub(crate) struct Page {
    /// Relative to the root of the workspace.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// The fragments that a URL can have.
    pub(crate) anchors: Vec<String>,
    pub(crate) links: Vec<Link>,
    pub(crate) blocks: Vec<Block>,
}

/// `[text](target)`, or the definition `[name]: target`.
pub(crate) struct Link {
    pub(crate) line: usize,
    /// The place of the target in the page.
    pub(crate) target: Range<usize>,
    /// The place of the text between the brackets, for a link that is not a definition.
    pub(crate) text: Option<Range<usize>>,
}

/// A fenced block of code.
pub(crate) struct Block {
    pub(crate) line: usize,
    /// What is behind the fence, such as `rust,no_run`.
    pub(crate) info: String,
    /// The file that it is the content of, from a comment `<!-- file: PATH -->` in front of it.
    pub(crate) file: Option<String>,
    /// Whether a comment `<!-- run -->` is in front of it: its commands are run.
    pub(crate) is_run: bool,
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn parse(path: PathBuf, text: String) -> Self {
        let (mut anchors, mut blocks) = (Anchors::default(), Vec::new());
        let (mut open, mut prose) = (None::<Block>, Prose::default());
        let (mut file, mut is_run) = (None, false);
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let number = index + 1;
            let trimmed = line.trim_end();
            let mut is_prose = false;
            match (&mut open, trimmed.trim_start().strip_prefix("```")) {
                (Some(_), Some("")) => blocks.extend(open.take()),
                (Some(block), _) => block.text.push_str(line),
                (None, Some(info)) => {
                    let (info, text) = (info.to_owned(), String::new());
                    open = Some(Block { line: number, info, file: file.take(), is_run, text });
                    is_run = false;
                }
                (None, None) => {
                    if let Some(heading) = heading(trimmed) {
                        anchors.add(heading);
                    }
                    if let Some(named) = file_of(trimmed) {
                        file = Some(named.to_owned());
                    } else if !trimmed.is_empty() {
                        file = None;
                        is_run = trimmed == "<!-- run -->";
                    }
                    is_prose = true;
                }
            }
            prose.add(line, is_prose);
        }
        Self { path, text, anchors: anchors.found, links: prose.links(), blocks }
    }

    /// Returns the target of a link.
    pub(crate) fn target(&self, link: &Link) -> &str {
        &self.text[link.target.clone()]
    }

    /// Returns the path that a target leads to from this page, relative to the root of the workspace,
    /// and its fragment. `None` for a URL.
    pub(crate) fn resolve<'t>(&self, target: &'t str) -> Option<(PathBuf, Option<&'t str>)> {
        if target.contains("://") || target.starts_with("mailto:") {
            return None;
        }
        let (file, fragment) = match target.split_once('#') {
            Some((file, fragment)) => (file, Some(fragment)),
            None => (target, None),
        };
        if file.is_empty() {
            return Some((self.path.clone(), fragment));
        }
        let mut path = self.path.parent().unwrap_or(Path::new("")).to_owned();
        for part in file.split('/').filter(|part| !["", "."].contains(part)) {
            if part == ".." {
                path.pop();
            } else {
                path.push(part);
            }
        }
        Some((path, fragment))
    }
}

impl Block {
    /// Returns whether rustdoc takes it for Rust.
    pub(crate) fn is_rust(&self) -> bool {
        self.info == "rust" || self.info.starts_with("rust,")
    }

    /// Returns whether rustdoc leaves it alone.
    pub(crate) fn is_ignored(&self) -> bool {
        self.info.split(',').any(|word| word == "ignore")
    }
}

/// The anchors of headings, as GitHub and mdBook make them.
#[derive(Default)]
struct Anchors {
    found: Vec<String>,
    times: BTreeMap<String, usize>,
}

impl Anchors {
    fn add(&mut self, heading: &str) {
        let kept = heading.chars().filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        });
        let anchor = kept.flat_map(char::to_lowercase).collect::<String>();
        let times = self.times.entry(anchor.clone()).or_default();
        self.found.push(if *times == 0 { anchor } else { format!("{anchor}-{times}") });
        *times += 1;
    }
}

fn heading(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches('#');
    let level = line.len() - rest.len();
    if (1..=6).contains(&level) { rest.strip_prefix(' ').map(str::trim) } else { None }
}

fn file_of(line: &str) -> Option<&str> {
    line.trim().strip_prefix("<!-- file: ")?.strip_suffix(" -->")
}

/// The page with blanks in place of code, in which links are found. Every place is that of the page.
#[derive(Default)]
struct Prose {
    text: String,
    is_in_code: bool,
}

impl Prose {
    fn add(&mut self, line: &str, is_prose: bool) {
        // A code span ends with its paragraph.
        self.is_in_code &= is_prose && !line.trim().is_empty();
        for c in line.chars() {
            self.is_in_code ^= is_prose && c == '`';
            if c == '\n' || is_prose && !self.is_in_code && c != '`' {
                self.text.push(c);
            } else {
                self.text.extend(std::iter::repeat_n(' ', c.len_utf8()));
            }
        }
    }

    fn links(&self) -> Vec<Link> {
        let mut links = Vec::new();
        let (mut start, mut number) = (0, 0);
        let mut paragraph = 0;
        for line in self.text.split_inclusive('\n') {
            number += 1;
            if line.trim().is_empty() {
                paragraph = start;
            }
            if let Some((name, target)) = definition(line) {
                let from = start + name;
                links.push(Link { line: number, target: from..from + target, text: None });
            }
            for (middle, _) in line.match_indices("](") {
                let from = middle + 2;
                let Some(len) = line[from..].find([')', ' ']) else { continue };
                let target = start + from..start + from + len;
                let before = &self.text[paragraph..start + middle];
                let text = opening(before).map(|place| paragraph + place + 1..start + middle);
                links.push(Link { line: number, target, text });
            }
            start += line.len();
        }
        links
    }
}

/// The definition of a link, `[name]: target`: where the target begins in the line, and its length.
fn definition(line: &str) -> Option<(usize, usize)> {
    let (name, target) = line.trim_end().strip_prefix('[')?.split_once("]: ")?;
    (!name.contains(']')).then_some((line.trim_end().len() - target.len(), target.len()))
}

/// Returns the place of the last bracket that is open at the end of the text.
fn opening(text: &str) -> Option<usize> {
    let mut closed = 0;
    for (place, bracket) in text.rmatch_indices(['[', ']']) {
        match (bracket, closed) {
            ("]", _) => closed += 1,
            (_, 0) => return Some(place),
            _ => closed -= 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page::parse("docs/a.md".into(), text.to_owned())
    }

    #[test]
    fn links_are_found_outside_of_code() {
        let text = "[a](b.md), ![c `](x)`](d.svg) and `[e](f)` [`g`](h.md#i)\n```text\n[j](k)\n```\n[l]: m\n";
        let page = page(text);
        let targets: Vec<_> = page.links.iter().map(|link| page.target(link)).collect();
        assert_eq!(targets, ["b.md", "d.svg", "h.md#i", "m"]);
        let shown = page.links.iter().filter_map(|link| Some(&text[link.text.clone()?]));
        assert_eq!(shown.collect::<Vec<_>>(), ["a", "c `](x)`", "`g`"]);
    }

    #[test]
    fn the_text_of_a_link_can_go_over_lines_of_a_paragraph() {
        let text = "[no\n\nA [b\nc](d) `e\n[f](g)` [h](i)\n";
        let page = page(text);
        let found = page.links.iter().map(|link| (&text[link.text.clone().unwrap()], link.line));
        assert_eq!(found.collect::<Vec<_>>(), [("b\nc", 4), ("h", 5)]);
    }

    #[test]
    fn a_target_is_relative_to_the_page() {
        let page = page("");
        let found = page.resolve("../README.md#use-it").unwrap();
        assert_eq!(found, ("README.md".into(), Some("use-it")));
        assert_eq!(page.resolve("#b").unwrap(), ("docs/a.md".into(), Some("b")));
        assert_eq!(page.resolve("b/c.md").unwrap(), ("docs/b/c.md".into(), None));
        assert!(page.resolve("https://a.example/b").is_none());
    }

    #[test]
    fn headings_have_the_anchors_of_github() {
        let page = page(
            "# Coming from `axum::ws`\n## Which, and why?\n## A\n## A\n#no\n```sh\n# no\n```\n",
        );
        assert_eq!(page.anchors, ["coming-from-axumws", "which-and-why", "a", "a-1"]);
    }

    #[test]
    fn a_comment_names_the_file_of_the_next_block() {
        let text = "<!-- file: a.rs -->\n\n```rust,ignore\nA\n```\n\n<!-- file: b -->\nText\n\n```sh\nB\n```\n";
        let page = page(text);
        let [first, second] = &page.blocks[..] else { panic!("{}", page.blocks.len()) };
        assert_eq!((first.file.as_deref(), &first.text[..], first.line), (Some("a.rs"), "A\n", 3));
        assert!(first.is_rust() && first.is_ignored());
        assert_eq!((second.file.as_deref(), &second.text[..]), (None, "B\n"));
    }
}
