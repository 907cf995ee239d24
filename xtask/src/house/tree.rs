//! The modules of a library or a program, in the order in which they are declared.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use syn::{Expr, ExprLit, Item, ItemMod, Lit, Meta};

use crate::house::syntax::{attributes_of, is_test_only};

/// Reads a file, if it exists.
pub(crate) type Reader<'a> = &'a dyn Fn(&Path) -> Option<String>;

/// All modules except those for tests; the first is the root.
pub(crate) struct Tree {
    pub(crate) modules: Vec<Module>,
}

pub(crate) struct Module {
    /// The path from the root, whose own is empty: `["wire", "close"]`.
    pub(crate) path: Vec<String>,
    pub(crate) file: PathBuf,
    /// Its items, without modules and tests.
    pub(crate) items: Vec<Item>,
    pub(crate) children: Vec<Child>,
}

pub(crate) struct Child {
    pub(crate) name: String,
    pub(crate) line: usize,
    index: usize,
}

impl Tree {
    /// Reads `root`, a `lib.rs` or `main.rs`, and all modules below it.
    pub(crate) fn read(root: &Path, reader: Reader<'_>) -> Result<Self> {
        let mut tree = Self { modules: Vec::new() };
        let directory = root.parent().unwrap_or(Path::new(""));
        tree.read_file(Vec::new(), root, directory, reader)?;
        Ok(tree)
    }

    pub(crate) fn root(&self) -> &Module {
        &self.modules[0]
    }

    pub(crate) fn child(&self, parent: &Module, name: &str) -> Option<&Module> {
        let child = parent.children.iter().find(|child| child.name == name)?;
        Some(&self.modules[child.index])
    }

    fn read_file(
        &mut self,
        path: Vec<String>,
        file: &Path,
        directory: &Path,
        reader: Reader<'_>,
    ) -> Result<usize> {
        let text = reader(file).with_context(|| format!("cannot read {file:?}"))?;
        let syntax = syn::parse_file(&text).with_context(|| format!("cannot parse {file:?}"))?;
        self.add(path, file, directory, syntax.items, reader)
    }

    fn add(
        &mut self,
        path: Vec<String>,
        file: &Path,
        directory: &Path,
        items: Vec<Item>,
        reader: Reader<'_>,
    ) -> Result<usize> {
        let index = self.modules.len();
        self.modules.push(Module {
            path: path.clone(),
            file: file.into(),
            items: Vec::new(),
            children: Vec::new(),
        });
        for item in items {
            if is_test_only(attributes_of(&item)) {
                continue;
            }
            let Item::Mod(module) = item else {
                self.modules[index].items.push(item);
                continue;
            };
            let name = module.ident.to_string();
            let line = module.ident.span().start().line;
            let path: Vec<_> = path.iter().cloned().chain([name.clone()]).collect();
            let child = match module.content {
                Some((_, items)) => self.add(path, file, &directory.join(&name), items, reader)?,
                None => {
                    let (file, directory) = locate(&module, &name, file, directory, reader);
                    self.read_file(path, &file, &directory, reader)?
                }
            };
            self.modules[index].children.push(Child { name, line, index: child });
        }
        Ok(index)
    }
}

/// Returns the file of `mod name;`, and the directory of its own modules.
fn locate(
    module: &ItemMod,
    name: &str,
    parent: &Path,
    directory: &Path,
    reader: Reader<'_>,
) -> (PathBuf, PathBuf) {
    if let Some(path) = path_attribute(module) {
        let file = parent.with_file_name(path);
        let directory = file.parent().unwrap_or(Path::new("")).to_owned();
        return (file, directory);
    }
    let below = directory.join(name);
    let nested = below.join("mod.rs");
    if reader(&nested).is_some() {
        (nested, below)
    } else {
        (directory.join(format!("{name}.rs")), below)
    }
}

fn path_attribute(module: &ItemMod) -> Option<String> {
    module.attrs.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(path), .. }) => Some(path.value()),
            _ => None,
        },
        _ => None,
    })
}

/// Makes a tree from pairs of a path below `src` and a text.
#[cfg(test)]
pub(crate) fn tree(files: &[(&str, &str)]) -> Tree {
    let reader = |path: &Path| {
        let found = files.iter().find(|(name, _)| Path::new("src").join(name) == path);
        found.map(|(_, text)| (*text).to_owned())
    };
    Tree::read(&Path::new("src").join(files[0].0), &reader).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_in_every_place_where_rust_finds_them() {
        let tree = tree(&[
            (
                "lib.rs",
                "mod flat; mod deep; mod inline { mod lower; } #[path = \"odd.rs\"] mod even;",
            ),
            ("flat.rs", "mod leaf;"),
            ("flat/leaf.rs", ""),
            ("deep/mod.rs", "pub mod leaf;"),
            ("deep/leaf.rs", ""),
            ("inline/lower.rs", ""),
            ("odd.rs", ""),
        ]);
        let found: Vec<_> = tree.modules.iter().map(|module| module.path.join("::")).collect();
        assert_eq!(
            found,
            ["", "flat", "flat::leaf", "deep", "deep::leaf", "inline", "inline::lower", "even"]
        );
    }

    #[test]
    fn tests_are_left_out() {
        let tree = tree(&[("lib.rs", "#[cfg(test)] mod tests; #[cfg(test)] use a::b; fn f() {}")]);
        assert_eq!(tree.modules.len(), 1);
        assert_eq!(tree.root().items.len(), 1);
    }

    #[test]
    fn a_module_without_a_file_is_an_error() {
        let reader = |path: &Path| (path == Path::new("lib.rs")).then(|| "mod lost;".to_owned());
        assert!(Tree::read(Path::new("lib.rs"), &reader).is_err());
    }
}
