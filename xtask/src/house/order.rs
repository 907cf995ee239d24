//! A module uses only modules named above it where both are declared, and by their own path.

use std::path::PathBuf;

use crate::house::finding::Finding;
use crate::house::references::{Reference, imports, references};
use crate::house::tree::{Module, Tree};

/// Modules that must not use each other in either direction: (crate, one, other).
const STRANGERS: [(&str, &str, &str); 1] = [("towline-proto", "inbound", "outbound")];

pub(crate) fn check(package: &str, tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for module in &tree.modules {
        for reference in references(module) {
            if let Some(message) = judge(package, tree, module, &reference) {
                findings.push(Finding::error(&module.file, reference.line, message));
            }
        }
    }
    findings
}

/// Returns what is wrong with a reference in `module`.
fn judge(package: &str, tree: &Tree, module: &Module, reference: &Reference) -> Option<String> {
    // Descend from the root while both agree.
    let mut common = tree.root();
    let mut depth = 0;
    while depth < module.path.len() && reference.path.get(depth) == module.path.get(depth) {
        common = tree.child(common, &module.path[depth])?;
        depth += 1;
    }
    // The rest of the path is inside the module itself, where it is free.
    let own = module.path.get(depth)?.as_str();
    let place = if depth == 0 { "crate".to_owned() } else { common.path.join("::") };

    let name = match reference.path.get(depth).map(String::as_str) {
        None | Some("*") => {
            return Some(format!("`{place}` is imported with `*`; name the items that are used"));
        }
        Some(name) => name,
    };
    let position = |name: &str| common.children.iter().position(|child| child.name == name);
    if let (Some(target), Some(here)) = (position(name), position(own)) {
        if target > here {
            let declared = PathBuf::from(&common.file);
            let line = common.children[target].line;
            return Some(format!(
                "module `{own}` uses `{name}`, which is declared below it ({}:{line})",
                declared.display()
            ));
        }
        let met = STRANGERS.iter().any(|&(of, one, other)| {
            of == package && ((own, name) == (one, other) || (own, name) == (other, one))
        });
        return met.then(|| format!("`{own}` and `{name}` must not use each other"));
    }
    if depth == 0 {
        return Some(format!(
            "`crate::{name}` is not a module; use the path of the module that defines it"
        ));
    }
    imports(common)
        .iter()
        .any(|imported| imported == name || imported == "*")
        .then(|| format!("`{name}` is used through a `use` in `{place}`; use its own path"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::tree::tree;

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        check("towline-proto", &tree(files)).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_module_may_use_what_stands_above_it() {
        let lib = ("lib.rs", "mod a; mod b;\npub use a::A; pub use crate::b::B;");
        assert_eq!(
            messages(&[lib, ("a.rs", ""), ("b.rs", "use crate::a::A; use super::a;")]),
            [""; 0]
        );
    }

    #[test]
    fn a_module_must_not_use_what_stands_below_it() {
        let lib = ("lib.rs", "mod a;\nmod b;");
        for text in ["use crate::{b::B};", "fn f() { x!(crate::b::f()) }", "use super::b;"] {
            assert_eq!(
                messages(&[lib, ("a.rs", &format!("\n{text}")), ("b.rs", "")]),
                [
                    "error: src/a.rs:2: module `a` uses `b`, which is declared below it (src/lib.rs:2)"
                ],
                "{text}"
            );
        }
    }

    #[test]
    fn the_same_holds_inside_a_module() {
        let lib = ("lib.rs", "mod a;");
        let a = ("a/mod.rs", "mod x; mod y; use x::X; pub(crate) fn own() {}");
        let y = ("a/y.rs", "use super::x::X; use crate::a::own;");
        assert_eq!(messages(&[lib, a, ("a/x.rs", ""), y]), [""; 0]);
        let found = messages(&[lib, a, ("a/x.rs", "use crate::a::y::Y;"), y]);
        assert_eq!(
            found,
            [
                "error: src/a/x.rs:1: module `x` uses `y`, which is declared below it (src/a/mod.rs:1)"
            ]
        );
    }

    #[test]
    fn a_deep_module_is_bound_by_the_place_of_its_ancestor() {
        let lib = ("lib.rs", "mod a { mod x { use crate::b::y; } } mod b { pub mod y {} }");
        assert_eq!(
            messages(&[lib]),
            ["error: src/lib.rs:1: module `a` uses `b`, which is declared below it (src/lib.rs:1)"]
        );
    }

    #[test]
    fn nothing_comes_by_way_of_the_root() {
        let lib = "mod a { pub struct A; } mod b { BODY } pub use a::A;";
        for (body, name) in
            [("use crate::A;", "A"), ("fn f(a: crate::A) {}", "A"), ("use super::A;", "A")]
        {
            let found = messages(&[("lib.rs", &lib.replace("BODY", body))]);
            let expected = format!(
                "error: src/lib.rs:1: `crate::{name}` is not a module; use the path of the module that defines it"
            );
            assert_eq!(found, [expected], "{body}");
        }
    }

    #[test]
    fn nothing_comes_by_way_of_a_parents_imports() {
        let lib = ("lib.rs", "mod a { pub use x::X; mod x {} mod y { use super::X; } }");
        assert_eq!(
            messages(&[lib]),
            ["error: src/lib.rs:1: `X` is used through a `use` in `a`; use its own path"]
        );
    }

    #[test]
    fn no_module_is_taken_as_a_whole_from_inside() {
        for body in ["use super::*;", "use crate as root;", "use crate::*;"] {
            let lib = format!("mod a {{ {body} }}");
            let message = "`crate` is imported with `*`; name the items that are used";
            assert_eq!(messages(&[("lib.rs", &lib)]), [format!("error: src/lib.rs:1: {message}")]);
        }
    }

    #[test]
    fn strangers_do_not_meet() {
        let lib = ("lib.rs", "mod inbound; mod outbound;");
        let files = [lib, ("inbound.rs", ""), ("outbound.rs", "use crate::inbound::I;")];
        assert_eq!(
            messages(&files),
            ["error: src/outbound.rs:1: `outbound` and `inbound` must not use each other"]
        );
        assert!(check("towline", &tree(&files)).is_empty());
    }
}
