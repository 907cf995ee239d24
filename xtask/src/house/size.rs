//! Files and functions stay small. Tests, benchmarks and examples may be longer.

use std::path::Path;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, ImplItem, ImplItemFn, Item, ItemFn, Signature, TraitItemFn};

use crate::house::finding::{Finding, Severity};
use crate::house::sources::Source;
use crate::house::syntax::{attributes_of, attributes_of_member, is_test_only};

/// Above the first it is time to think, above the second to cut.
struct Limit {
    warning: usize,
    error: usize,
}

const FILE: Limit = Limit { warning: 400, error: 600 };
const FUNCTION: Limit = Limit { warning: 60, error: 100 };

impl Limit {
    fn judge(&self, lines: usize) -> Option<Severity> {
        if lines > self.error {
            Some(Severity::Error)
        } else {
            (lines > self.warning).then_some(Severity::Warning)
        }
    }
}

pub(crate) fn check(source: &Source) -> Vec<Finding> {
    if source.is_aside() {
        return Vec::new();
    }
    let mut sizes = Sizes { path: &source.path, findings: Vec::new(), tests: 0 };
    sizes.visit_file(&source.syntax);
    let lines = source.text.lines().count() - sizes.tests;
    sizes.judge(&FILE, lines, 0, "the file");
    sizes.findings
}

struct Sizes<'a> {
    path: &'a Path,
    findings: Vec<Finding>,
    /// Lines of tests seen so far.
    tests: usize,
}

impl Sizes<'_> {
    fn judge(&mut self, limit: &Limit, lines: usize, line: usize, what: &str) {
        let Some(severity) = limit.judge(lines) else { return };
        let message = format!(
            "{what} has {lines} lines; {} are plenty, {} the limit",
            limit.warning, limit.error
        );
        let finding = Finding::error(self.path, line, message);
        self.findings.push(Finding { severity, ..finding });
    }

    fn judge_function(&mut self, signature: &Signature, body: &Block) {
        let start = signature.span().start().line;
        let lines = body.span().end().line - start + 1;
        self.judge(&FUNCTION, lines, start, &format!("`{}`", signature.ident));
    }
}

impl<'ast> Visit<'ast> for Sizes<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_test_only(attributes_of(item)) {
            self.tests += item.span().end().line - item.span().start().line + 1;
        } else {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if !is_test_only(attributes_of_member(item)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.judge_function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.judge_function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(body) = &item.default {
            self.judge_function(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::sources::source;

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(&source(path, text)).iter().map(Finding::to_string).collect()
    }

    fn function(lines: usize) -> String {
        format!("fn f() {{\n{}}}\n", "g();\n".repeat(lines - 2))
    }

    #[test]
    fn a_long_function_is_a_warning_and_a_huge_one_an_error() {
        assert_eq!(messages("src/a.rs", &function(60)), [""; 0]);
        assert_eq!(
            messages("src/a.rs", &format!("/// Doc.\n{}", function(61))),
            ["warning: src/a.rs:2: `f` has 61 lines; 60 are plenty, 100 the limit"]
        );
        assert_eq!(
            messages("src/a.rs", &format!("impl S {{\n{}}}", function(101))),
            ["error: src/a.rs:2: `f` has 101 lines; 60 are plenty, 100 the limit"]
        );
    }

    #[test]
    fn a_long_file_is_a_warning_and_a_huge_one_an_error() {
        let file = |lines| "// line\n".repeat(lines);
        assert_eq!(messages("src/a.rs", &file(400)), [""; 0]);
        assert_eq!(
            messages("src/a.rs", &file(401)),
            ["warning: src/a.rs: the file has 401 lines; 400 are plenty, 600 the limit"]
        );
        assert!(messages("src/a.rs", &file(601))[0].starts_with("error"));
    }

    #[test]
    fn tests_do_not_count() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}\n}}\n", function(101).repeat(7));
        assert_eq!(messages("src/a.rs", &format!("{}{tests}", "// line\n".repeat(400))), [""; 0]);
        assert_eq!(messages("tests/a.rs", &function(700)), [""; 0]);
        assert_eq!(messages("src/a/tests.rs", &function(700)), [""; 0]);
    }
}
