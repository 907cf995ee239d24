//! The paths by which a module refers to other modules of its crate.

use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, ItemUse, Path, UseTree, Visibility};

use crate::house::syntax::{Token, attributes_of, attributes_of_member, flatten, is_test_only};
use crate::house::tree::Module;

/// A path that starts with `crate`, `self` or `super`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) line: usize,
    /// The path from the root of the crate. A glob import ends in `*`.
    pub(crate) path: Vec<String>,
}

/// Returns all such paths of a module: imports, paths in the code, and paths inside macro calls.
/// Comments, strings, attributes and tests are ignored.
pub(crate) fn references(module: &Module) -> Vec<Reference> {
    let mut collector = Collector { module: &module.path, found: Vec::new() };
    for item in &module.items {
        collector.visit_item(item);
    }
    collector.found
}

/// The names that a module imports by its `use` lines.
pub(crate) fn imports(module: &Module) -> Vec<String> {
    let mut names = Vec::new();
    for item in &module.items {
        if let Item::Use(item) = item {
            each_path(&item.tree, &mut Vec::new(), &mut |path, name, _| {
                let itself = path.iter().rev().find(|segment| *segment != "self");
                let name =
                    if name == "self" { itself.map_or("self", String::as_str) } else { name };
                names.push(name.to_owned());
            });
        }
    }
    names
}

struct Collector<'a> {
    module: &'a [String],
    found: Vec<Reference>,
}

impl Collector<'_> {
    fn add(&mut self, line: usize, segments: &[String]) {
        if let Some(path) = absolute(self.module, segments) {
            self.found.push(Reference { line, path });
        }
    }
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test_only(attributes_of(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if !is_test_only(attributes_of_member(item)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            each_path(&item.tree, &mut Vec::new(), &mut |path, _, line| self.add(line, path));
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let segments: Vec<_> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        // A single `self` is the receiver of a method.
        if path.leading_colon.is_none() && segments != ["self"] {
            self.add(path.segments[0].ident.span().start().line, &segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_token_stream(&mut self, stream: &'ast proc_macro2::TokenStream) {
        let tokens = flatten(stream);
        for (index, token) in tokens.iter().enumerate() {
            let starts = ["crate", "super", "self"].contains(&token.text.as_str());
            let before = |back| index >= back && tokens[index - back].text == ":";
            let continues = before(1) && before(2);
            if starts && !continues {
                let segments = path_at(&tokens[index..]);
                if segments.len() > 1 {
                    self.add(token.line, &segments);
                }
            }
        }
    }

    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

/// Returns the words of the path `a::b::c` at the start of the tokens.
fn path_at(mut tokens: &[Token]) -> Vec<String> {
    let mut path = Vec::new();
    while let Some((word, rest)) = tokens.split_first() {
        path.push(word.text.clone());
        match rest {
            [first, second, next @ ..]
                if first.text == ":" && second.text == ":" && is_word(next.first()) =>
            {
                tokens = next;
            }
            _ => break,
        }
    }
    path
}

fn is_word(token: Option<&Token>) -> bool {
    token.is_some_and(|token| {
        token.text.starts_with(|first: char| first.is_alphabetic() || first == '_')
    })
}

/// Calls `found` with every path of an import, its local name, and its line.
fn each_path(
    tree: &UseTree,
    prefix: &mut Vec<String>,
    found: &mut dyn FnMut(&[String], &str, usize),
) {
    let (ident, name) = match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            each_path(&path.tree, prefix, found);
            prefix.pop();
            return;
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                each_path(tree, prefix, found);
            }
            return;
        }
        UseTree::Name(name) => (name.ident.to_string(), name.ident.to_string()),
        UseTree::Rename(rename) => (rename.ident.to_string(), rename.rename.to_string()),
        UseTree::Glob(_) => ("*".to_owned(), "*".to_owned()),
    };
    prefix.push(ident);
    found(prefix, &name, syn::spanned::Spanned::span(tree).start().line);
    prefix.pop();
}

/// Returns the path from the root, or `None` if it does not start with `crate`, `self` or `super`.
fn absolute(module: &[String], segments: &[String]) -> Option<Vec<String>> {
    let mut path = match segments.first()?.as_str() {
        "crate" => Vec::new(),
        "self" | "super" => module.to_vec(),
        _ => return None,
    };
    for (index, segment) in segments.iter().enumerate() {
        match segment.as_str() {
            "crate" if index == 0 => {}
            "self" => {}
            "super" => {
                path.pop();
            }
            _ => path.push(segment.clone()),
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::tree::tree;

    fn found(text: &str) -> Vec<String> {
        let tree = tree(&[("lib.rs", "mod a;"), ("a.rs", "mod b;"), ("a/b.rs", text)]);
        let paths = references(&tree.modules[2]).into_iter();
        paths.map(|reference| reference.path.join("::")).collect()
    }

    #[test]
    fn imports_are_unfolded() {
        let text =
            "use crate::{x::{self, Y as Z}, w::*}; use super::c; use std::fmt; use ::crate_;";
        assert_eq!(found(text), ["x", "x::Y", "w::*", "a::c"]);
    }

    #[test]
    fn paths_are_found_in_code_types_and_patterns() {
        assert_eq!(
            found(
                "impl crate::T for S<crate::U> { fn f(&self) -> super::V { match self.x {
                 crate::w::A { .. } => super::super::g::<crate::h::H>(self) } } }"
            ),
            ["T", "U", "a::V", "w::A", "g", "h::H"]
        );
    }

    #[test]
    fn paths_are_found_inside_macro_calls() {
        assert_eq!(
            found(
                "fn f() { assert!(matches!(x, crate::w::A | super::B) && other::super_::c() && S { s: crate::d::D }); }"
            ),
            ["w::A", "a::B", "d::D"]
        );
    }

    #[test]
    fn comments_strings_attributes_visibilities_and_tests_hold_no_paths() {
        let text = r#"
            //! crate::a
            /// [`crate::b`]
            #[serde(with = "crate::c", default = crate::d)]
            pub(in crate::a) struct S;
            // crate::e
            const C: &str = "crate::f";
            fn f() { println!("crate::g"); }
            #[cfg(test)]
            use crate::h;
            impl S { #[cfg(test)] fn t() { crate::i() } }
            #[cfg(test)]
            mod tests { use crate::j; }
        "#;
        assert_eq!(found(text), [""; 0]);
    }

    #[test]
    fn imported_names_are_known_by_the_name_they_go_by() {
        let tree = tree(&[("lib.rs", "pub use a::{self, B as C, d::*}; use e::f;")]);
        assert_eq!(imports(tree.root()), ["a", "C", "*", "f"]);
    }
}
