//! Every public type, trait and function of the libraries has an example, or links to an item that has
//! one. An example of a method is one of its type: both are on the same page.

use std::collections::HashSet;
use std::path::Path;

use proc_macro2::Span;
use syn::{Attribute, Expr, ExprLit, ImplItem, Item, Lit, Meta, Type, UseTree, Visibility};

use crate::house::finding::Finding;
use crate::house::sources::Source;
use crate::house::syntax::{attributes_of, attributes_of_member, is_test_only};

/// The crate's own page, as links name it.
const CRATE: &str = "crate";

pub(crate) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut found = Found::default();
    for source in sources.iter().filter(|source| !source.is_aside()) {
        if documentation(&source.syntax.attrs).has_example {
            found.shown.insert(CRATE.to_owned());
            found.shown.extend(source.path.file_stem().map(|stem| stem.to_string_lossy().into()));
        }
        found.read(&source.path, &source.syntax.items);
    }
    let Found { shown, hidden, lacking } = found;
    let lacks = |item: &Lacking| {
        !shown.contains(&item.name)
            && !hidden.contains(&item.name)
            && !item.links.iter().any(|link| leads_to_example(link, &item.name, &shown))
    };
    let finding = |item: Lacking| {
        let message =
            format!("`{}` has no example, and no link to an item that has one", item.name);
        Finding::error(&item.file, item.line, message)
    };
    lacking.into_iter().filter(lacks).map(finding).collect()
}

#[derive(Default)]
struct Found {
    /// The items with an example: `Type`, `Type::method`, `function`.
    shown: HashSet<String>,
    /// Re-exported for our own crates only.
    hidden: HashSet<String>,
    lacking: Vec<Lacking>,
}

/// A public item without an example of its own.
struct Lacking {
    name: String,
    file: std::path::PathBuf,
    line: usize,
    links: Vec<String>,
}

impl Found {
    fn read(&mut self, file: &Path, items: &[Item]) {
        for item in items.iter().filter(|item| !is_test_only(attributes_of(item))) {
            match item {
                Item::Struct(it) => self.item(file, &it.vis, &it.attrs, &it.ident),
                Item::Enum(it) => self.item(file, &it.vis, &it.attrs, &it.ident),
                Item::Type(it) => self.item(file, &it.vis, &it.attrs, &it.ident),
                Item::Fn(it) => self.item(file, &it.vis, &it.attrs, &it.sig.ident),
                Item::Trait(it) => self.item(file, &it.vis, &it.attrs, &it.ident),
                Item::Impl(it) if it.trait_.is_none() => self.methods(&it.self_ty, &it.items),
                Item::Use(it) if documentation(&it.attrs).is_hidden => {
                    each_name(&it.tree, &mut |name| {
                        self.hidden.insert(name);
                    });
                }
                // What is in a private one is not public, however it is marked.
                Item::Mod(it) if matches!(it.vis, Visibility::Public(_)) => {
                    if let Some((_, items)) = &it.content {
                        self.read(file, items);
                    }
                }
                _ => {}
            }
        }
    }

    fn item(&mut self, file: &Path, vis: &Visibility, attrs: &[Attribute], name: &syn::Ident) {
        if !matches!(vis, Visibility::Public(_)) {
            return;
        }
        let (docs, at): (_, Span) = (documentation(attrs), name.span());
        let name = name.to_string();
        if docs.is_hidden {
            self.hidden.insert(name);
        } else if docs.has_example {
            self.shown.insert(name);
        } else {
            let line = at.start().line;
            self.lacking.push(Lacking { name, file: file.into(), line, links: docs.links });
        }
    }

    fn methods(&mut self, of: &Type, items: &[ImplItem]) {
        let Type::Path(path) = of else { return };
        let Some(name) = path.path.segments.last().map(|last| last.ident.to_string()) else {
            return;
        };
        for item in
            items.iter().filter(|item| documentation(attributes_of_member(item)).has_example)
        {
            let ImplItem::Fn(method) = item else { continue };
            if matches!(method.vis, Visibility::Public(_)) {
                self.shown.insert(format!("{name}::{}", method.sig.ident));
                self.shown.insert(name.clone());
            }
        }
    }
}

/// Returns whether a link in the documentation of `from` leads to an item with an example.
fn leads_to_example(link: &str, from: &str, shown: &HashSet<String>) -> bool {
    let mut path: Vec<_> =
        link.split("::").map(|part| if part == "Self" { from } else { part }).collect();
    let last = path.pop().unwrap_or_default();
    let within = path.pop().filter(|within| *within != CRATE);
    match within {
        Some(within) if shown.contains(&format!("{within}::{last}")) => true,
        // A variant, or a method without an example of its own, is on the page of its type.
        Some(within) if within.starts_with(char::is_uppercase) => {
            within != from && shown.contains(within)
        }
        _ => last != from && shown.contains(last),
    }
}

#[derive(Default)]
struct Documentation {
    has_example: bool,
    is_hidden: bool,
    links: Vec<String>,
}

fn documentation(attrs: &[Attribute]) -> Documentation {
    let mut docs = Documentation::default();
    let mut is_open = false;
    for attribute in attrs.iter().filter(|attribute| attribute.path().is_ident("doc")) {
        match &attribute.meta {
            Meta::NameValue(value) => match &value.value {
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
                    let text = text.value();
                    for line in text.lines() {
                        if let Some(info) = line.trim_start().strip_prefix("```") {
                            docs.has_example |= !is_open && is_rust(info);
                            is_open = !is_open;
                        }
                    }
                    docs.links.extend(links(&text));
                }
                // A README, which `readmes` requires to have an example.
                _ => docs.has_example = true,
            },
            Meta::List(list) => docs.is_hidden |= list.tokens.to_string() == "hidden",
            Meta::Path(_) => {}
        }
    }
    docs
}

/// Returns whether rustdoc compiles a block that begins with this behind the fence.
fn is_rust(info: &str) -> bool {
    const WORDS: [&str; 5] = ["rust", "no_run", "should_panic", "compile_fail", "standalone_crate"];
    let mut words = info.split([',', ' ']).filter(|word| !word.is_empty());
    words.all(|word| WORDS.contains(&word) || word.starts_with("edition"))
}

/// Returns the targets of the links in a line, of any of the forms of Markdown.
fn links(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in line.split('[').skip(1) {
        let Some((label, behind)) = rest.split_once(']') else { continue };
        let target = if let Some(target) = behind.strip_prefix('(') {
            target.split(')').next().unwrap_or_default()
        } else if let Some(target) = behind.strip_prefix(": ") {
            target
        } else {
            label
        };
        let target = target.trim_matches('`').rsplit('@').next().unwrap_or_default();
        found.push(target.split(['(', '#']).next().unwrap_or_default().to_owned());
    }
    found
}

fn each_name(tree: &UseTree, found: &mut dyn FnMut(String)) {
    match tree {
        UseTree::Path(path) => each_name(&path.tree, found),
        UseTree::Group(group) => group.items.iter().for_each(|tree| each_name(tree, found)),
        UseTree::Name(name) => found(name.ident.to_string()),
        UseTree::Rename(rename) => found(rename.rename.to_string()),
        UseTree::Glob(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::sources::source;

    fn lacking(text: &str) -> Vec<String> {
        let findings = check(&[source("src/a.rs", text)]).into_iter();
        let name = |message: String| message.split('`').nth(1).unwrap_or_default().to_owned();
        findings.map(|finding| name(finding.message)).collect()
    }

    #[test]
    fn a_public_item_needs_an_example_or_a_link_to_one() {
        let text = "
            /// ```
            /// let a = A;
            /// ```
            pub struct A;
            /// See [`A`].
            pub struct B;
            /// See [`B`], which has none.
            pub struct C;
            /// ```text
            /// A diagram.
            /// ```
            pub fn d() {}
            /// Not public.
            pub(crate) struct E;
            /// See [this](crate::A).
            pub trait F {}
            #[cfg(test)]
            pub struct G;
        ";
        assert_eq!(lacking(text), ["C", "d"]);
    }

    #[test]
    fn a_method_with_an_example_is_on_the_page_of_its_type() {
        let text = "
            /// A.
            pub struct A;
            impl A {
                /// ```
                /// A::new();
                /// ```
                pub fn new() -> Self { A }
                /// Without.
                pub fn other(&self) {}
            }
            /// See [`A::new`].
            pub struct B;
            /// See [`A::other`].
            pub struct C;
            /// See [`D::new`].
            pub struct D;
            impl D { /** Without. */ pub fn new() -> Self { D } }
            impl Clone for D {
                /// ```
                /// d.clone();
                /// ```
                fn clone(&self) -> Self { D }
            }
        ";
        assert_eq!(lacking(text), ["D"]);
    }

    #[test]
    fn hidden_items_need_none() {
        let text = "
            #[doc(hidden)]
            pub use a::{B, C as D};
            /// B.
            pub struct B;
            /// D.
            pub struct D;
            #[doc(hidden)]
            pub struct E;
        ";
        assert!(lacking(text).is_empty());
    }

    #[test]
    fn a_link_to_an_item_itself_is_none() {
        assert_eq!(lacking("/// [`Self::new`], [`A`]\npub struct A;"), ["A"]);
    }
}
