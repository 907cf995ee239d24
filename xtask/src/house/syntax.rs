//! Rust syntax that more than one rule needs.

use proc_macro2::{TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::{Attribute, ImplItem, Item, Meta, Token};

/// Returns whether an item with these attributes is compiled for tests only.
pub(crate) fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && condition(attribute).is_some_and(|condition| implies_test(&condition))
    })
}

/// The condition of `#[cfg(…)]` and of `#[cfg_attr(…, …)]`.
pub(crate) fn condition(attribute: &Attribute) -> Option<Meta> {
    let path = attribute.path();
    if !path.is_ident("cfg") && !path.is_ident("cfg_attr") {
        return None;
    }
    nested(&attribute.meta)?.into_iter().next()
}

/// Returns whether a condition depends on a feature.
pub(crate) fn names_feature(condition: &Meta) -> bool {
    condition.path().is_ident("feature")
        || nested(condition).is_some_and(|inner| inner.iter().any(names_feature))
}

fn implies_test(condition: &Meta) -> bool {
    let path = condition.path();
    if let Meta::Path(path) = condition {
        return path.is_ident("test");
    }
    let Some(inner) = nested(condition) else { return false };
    if path.is_ident("all") {
        inner.iter().any(implies_test)
    } else {
        path.is_ident("any") && inner.iter().all(implies_test)
    }
}

fn nested(meta: &Meta) -> Option<Punctuated<Meta, Token![,]>> {
    meta.require_list().ok()?.parse_args_with(Punctuated::parse_terminated).ok()
}

pub(crate) fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

pub(crate) fn attributes_of_member(item: &ImplItem) -> &[Attribute] {
    match item {
        ImplItem::Const(item) => &item.attrs,
        ImplItem::Fn(item) => &item.attrs,
        ImplItem::Macro(item) => &item.attrs,
        ImplItem::Type(item) => &item.attrs,
        _ => &[],
    }
}

/// A word, a punctuation mark or a bracket inside a macro call, which `syn` does not parse.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// Returns the tokens of a macro call as a flat list; every opening bracket becomes `(`.
pub(crate) fn flatten(stream: &TokenStream) -> Vec<Token> {
    let mut tokens = Vec::new();
    collect(stream.clone(), &mut tokens);
    tokens
}

fn collect(stream: TokenStream, into: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                into.push(Token { text: "(".into(), line });
                collect(group.stream(), into);
                into.push(Token { text: ")".into(), line: group.span_close().start().line });
            }
            // The text of a string is not code.
            TokenTree::Literal(_) => into.push(Token { text: "\"\"".into(), line }),
            TokenTree::Ident(ident) => into.push(Token { text: ident.to_string(), line }),
            TokenTree::Punct(sign) => into.push(Token { text: sign.to_string(), line }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(text: &str) -> Attribute {
        let item: syn::ItemMod = syn::parse_str(&format!("{text} mod x;")).unwrap();
        item.attrs.into_iter().next().unwrap()
    }

    #[test]
    fn test_only_is_what_no_other_build_compiles() {
        for text in ["#[cfg(test)]", "#[cfg(all(test, unix))]", "#[test]", "#[cfg(any(test))]"] {
            assert!(is_test_only(&[attribute(text)]), "{text}");
        }
        for text in [
            "#[cfg(not(test))]",
            "#[cfg(any(test, unix))]",
            "#[cfg_attr(test, derive(Debug))]",
            "#[cfg(unix)]",
            "#[inline]",
        ] {
            assert!(!is_test_only(&[attribute(text)]), "{text}");
        }
    }

    #[test]
    fn a_feature_is_found_however_deep_it_stands() {
        let names = |text| condition(&attribute(text)).is_some_and(|found| names_feature(&found));
        assert!(names(r#"#[cfg(feature = "tls")]"#));
        assert!(names(r#"#[cfg(all(unix, not(feature = "tls")))]"#));
        assert!(names(r#"#[cfg_attr(feature = "tls", derive(Debug))]"#));
        assert!(!names("#[cfg_attr(docsrs, feature(doc_cfg))]"));
        assert!(!names(r#"#[doc(cfg(feature = "tls"))]"#));
        assert!(!names("#[cfg(unix)]"));
    }
}
