//! The path says what a thing is: no drawers for oddments, no `foo/foo.rs`, no `WebSocket` prefix.

use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Ident, ItemEnum, ItemMod, ItemStruct, ItemTrait, ItemType, ItemUnion};

use crate::house::finding::Finding;
use crate::house::sources::Source;

const DRAWERS: [&str; 8] =
    ["common", "helper", "helpers", "misc", "util", "utilities", "utility", "utils"];

pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let mut names = Names { path: &source.path, findings: of_path(&source.path) };
    names.visit_file(&source.syntax);
    names.findings
}

fn of_path(path: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let stem = path.file_stem().unwrap_or_default();
    let directory = path.parent().and_then(Path::file_name).unwrap_or_default();
    if stem == directory {
        let name = stem.display();
        let message = format!("{name}/{name}.rs says it twice; {name}/mod.rs is the place");
        findings.push(Finding::error(path, 0, message));
    }
    // `mod.rs` goes by the name of its directory.
    let name = if stem == "mod" { directory } else { stem };
    if let Some(name) = DRAWERS.iter().find(|drawer| name == **drawer) {
        findings.push(Finding::error(path, 0, drawer(name)));
    }
    findings
}

fn drawer(name: &str) -> String {
    format!("`{name}` says nothing of what is inside; name it after its subject")
}

struct Names<'a> {
    path: &'a Path,
    findings: Vec<Finding>,
}

impl Names<'_> {
    fn refuse(&mut self, ident: &Ident, message: String) {
        self.findings.push(Finding::error(self.path, ident.span().start().line, message));
    }

    fn check_type(&mut self, ident: &Ident) {
        let name = ident.to_string();
        if name.to_lowercase().starts_with("websocket") {
            self.refuse(ident, format!("`{name}`: the crate says WebSocket already"));
        }
    }
}

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let name = item.ident.to_string();
        // A module with a file of its own is found by its path.
        if item.content.is_some() && DRAWERS.contains(&name.as_str()) {
            self.refuse(&item.ident, drawer(&name));
        }
        visit::visit_item_mod(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        self.check_type(&item.ident);
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        self.check_type(&item.ident);
    }

    fn visit_item_union(&mut self, item: &'ast ItemUnion) {
        self.check_type(&item.ident);
    }

    fn visit_item_type(&mut self, item: &'ast ItemType) {
        self.check_type(&item.ident);
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        self.check_type(&item.ident);
        visit::visit_item_trait(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::sources::source;

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(&source(path, text)).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn good_names_pass() {
        let text = "mod wire { struct Opcode; } fn websocket() {} struct Socket;";
        assert_eq!(messages("crates/proto/src/wire/mod.rs", text), [""; 0]);
    }

    #[test]
    fn drawers_are_refused() {
        for path in ["src/util.rs", "src/common/mod.rs", "tests/helpers.rs"] {
            assert_eq!(messages(path, "").len(), 1, "{path}");
        }
        assert_eq!(
            messages("src/lib.rs", "\nmod misc {}"),
            [
                "error: src/lib.rs:2: `misc` says nothing of what is inside; name it after its subject"
            ]
        );
    }

    #[test]
    fn a_module_is_not_named_twice() {
        assert_eq!(
            messages("src/wire/wire.rs", ""),
            ["error: src/wire/wire.rs: wire/wire.rs says it twice; wire/mod.rs is the place"]
        );
    }

    #[test]
    fn no_type_has_the_prefix() {
        for text in
            ["struct WebSocketConfig;", "enum WebsocketError {}", "type WebSocketMask = u8;"]
        {
            assert_eq!(messages("src/lib.rs", text).len(), 1, "{text}");
        }
        assert_eq!(messages("src/lib.rs", "fn f() { struct WebSocketInner; }").len(), 1);
    }
}
