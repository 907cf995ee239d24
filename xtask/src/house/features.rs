//! `cfg(feature = …)` is allowed on `mod` and `pub use` lines only: a feature adds a module, and never
//! changes a type, a default or the variants of an enum.

use std::path::Path;

use proc_macro2::TokenStream;
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, ItemMod, ItemUse, Macro, Visibility};

use crate::house::finding::Finding;
use crate::house::sources::Source;
use crate::house::syntax::{
    attributes_of, attributes_of_member, condition, flatten, is_test_only, names_feature,
};

pub(crate) fn check(source: &Source) -> Vec<Finding> {
    if source.is_aside() {
        return Vec::new();
    }
    let mut features = Features { path: &source.path, findings: Vec::new() };
    features.visit_file(&source.syntax);
    features.findings
}

struct Features<'a> {
    path: &'a Path,
    findings: Vec<Finding>,
}

impl Features<'_> {
    fn refuse(&mut self, line: usize, what: &str) {
        let message = format!("{what} is allowed on `mod` and `pub use` lines only");
        self.findings.push(Finding::error(self.path, line, message));
    }

    fn check_tokens(&mut self, stream: &TokenStream) {
        let tokens = flatten(stream);
        for row in tokens.windows(5) {
            let [cfg, sign, bracket, feature, equals] = row else { continue };
            if [cfg, sign, bracket, feature, equals].map(|token| token.text.as_str())
                == ["cfg", "!", "(", "feature", "="]
            {
                self.refuse(cfg.line, "`cfg!(feature = …)`");
            }
        }
    }
}

impl<'ast> Visit<'ast> for Features<'_> {
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

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        for item in item.content.iter().flat_map(|(_, items)| items) {
            self.visit_item(item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !matches!(item.vis, Visibility::Public(_)) {
            visit::visit_item_use(self, item);
        }
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if condition(attribute).is_some_and(|condition| names_feature(&condition)) {
            self.refuse(attribute.pound_token.span.start().line, "`cfg(feature = …)`");
        }
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        if call.path.is_ident("cfg")
            && call.parse_body::<syn::Meta>().is_ok_and(|condition| names_feature(&condition))
        {
            let line = call.path.segments[0].ident.span().start().line;
            self.refuse(line, "`cfg!(feature = …)`");
        }
        self.check_tokens(&call.tokens);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::sources::source;

    fn lines(text: &str) -> Vec<usize> {
        check(&source("src/lib.rs", text)).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_feature_may_add_a_module_and_publish_it() {
        let text = r#"
            #[cfg(feature = "tls")] mod tls;
            #[cfg(feature = "tls")] pub mod more { pub struct S; }
            #[cfg(feature = "tls")] pub use tls::Tls;
            #[cfg(unix)] use std::os::unix;
            #[cfg_attr(docsrs, doc(cfg(feature = "tls")))] struct S;
            #[cfg(all(test, feature = "tls"))] fn test() {}
        "#;
        assert_eq!(lines(text), [0; 0]);
    }

    #[test]
    fn a_feature_changes_nothing_else() {
        for text in [
            r#"#[cfg(feature = "tls")] use tls::Tls;"#,
            r#"#[cfg(feature = "tls")] pub(crate) use tls::Tls;"#,
            r#"#[cfg(not(feature = "tls"))] struct S;"#,
            r#"struct S { #[cfg(feature = "tls")] field: u8 }"#,
            r#"enum E { #[cfg(feature = "tls")] V }"#,
            r#"fn f() { #[cfg(feature = "tls")] g(); }"#,
            r#"fn f() { if cfg!(any(feature = "tls", unix)) {} }"#,
            r#"fn f() { assert!(cfg!(feature = "tls")) }"#,
            r#"mod inline { #[cfg_attr(feature = "tls", derive(Debug))] struct S; }"#,
        ] {
            assert_eq!(lines(text), [1], "{text}");
        }
    }
}
