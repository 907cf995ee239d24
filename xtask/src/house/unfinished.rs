//! Nothing unfinished is committed: no `todo!`, `unimplemented!` or `dbg!`, in tests neither.

use std::path::Path;

use proc_macro2::TokenStream;
use syn::Macro;
use syn::visit::{self, Visit};

use crate::house::finding::Finding;
use crate::house::sources::Source;
use crate::house::syntax::flatten;

const UNFINISHED: [&str; 3] = ["dbg", "todo", "unimplemented"];

pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let mut calls = Calls { path: &source.path, findings: Vec::new() };
    calls.visit_file(&source.syntax);
    calls.findings
}

struct Calls<'a> {
    path: &'a Path,
    findings: Vec<Finding>,
}

impl Calls<'_> {
    fn judge(&mut self, name: &str, line: usize) {
        if UNFINISHED.contains(&name) {
            let message = format!("`{name}!` has no place in a commit");
            self.findings.push(Finding::error(self.path, line, message));
        }
    }
}

impl<'ast> Visit<'ast> for Calls<'_> {
    fn visit_macro(&mut self, call: &'ast Macro) {
        if let Some(last) = call.path.segments.last() {
            self.judge(&last.ident.to_string(), last.ident.span().start().line);
        }
        visit::visit_macro(self, call);
    }

    fn visit_token_stream(&mut self, stream: &'ast TokenStream) {
        for row in flatten(stream).windows(3) {
            if row[1].text == "!" && row[2].text == "(" {
                self.judge(&row[0].text, row[0].line);
            }
        }
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
    fn unfinished_code_is_found_wherever_it_hides() {
        assert_eq!(lines("fn f() {\n todo!()\n}"), [2]);
        assert_eq!(lines("fn f() -> u8 { std::unimplemented!(\"later\") }"), [1]);
        assert_eq!(lines("fn f() { assert!(g(\n dbg!(1))) }"), [2]);
        assert_eq!(lines("#[cfg(test)] mod tests { fn f() { dbg!(1); } }"), [1]);
    }

    #[test]
    fn words_about_it_are_no_calls() {
        assert_eq!(
            lines("// todo!()\nfn todo() { assert!(todo != 1 && s == \"dbg!(1)\") }"),
            [0; 0]
        );
    }
}
