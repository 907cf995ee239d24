//! Limits the length of files, except tests, benchmarks and examples. Clippy limits functions
//! (`too_many_lines`).

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{File, Item};

use crate::house::finding::{Finding, Severity};
use crate::house::sources::Source;
use crate::house::syntax::{attributes_of, is_test_only};

/// A longer file is a warning above the first limit, an error above the second.
const WARNING: usize = 400;
const ERROR: usize = 600;

pub(crate) fn check(source: &Source) -> Option<Finding> {
    if source.is_aside() {
        return None;
    }
    let lines = source.text.lines().count() - lines_of_tests(&source.syntax);
    if lines <= WARNING {
        return None;
    }
    let severity = if lines > ERROR { Severity::Error } else { Severity::Warning };
    let message = format!(
        "the file has {lines} lines; more than {WARNING} is a warning, more than {ERROR} an error"
    );
    Some(Finding { severity, ..Finding::error(&source.path, 0, message) })
}

fn lines_of_tests(file: &File) -> usize {
    struct Tests(usize);
    impl<'ast> Visit<'ast> for Tests {
        fn visit_item(&mut self, item: &'ast Item) {
            if is_test_only(attributes_of(item)) {
                self.0 += item.span().end().line - item.span().start().line + 1;
            } else {
                visit::visit_item(self, item);
            }
        }
    }
    let mut tests = Tests(0);
    tests.visit_file(file);
    tests.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::sources::source;

    fn message(path: &str, text: &str) -> String {
        check(&source(path, text)).map(|finding| finding.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_long_file_is_a_warning_and_a_huge_one_an_error() {
        let file = |lines| "// line\n".repeat(lines);
        assert_eq!(message("src/a.rs", &file(400)), "");
        assert_eq!(
            message("src/a.rs", &file(401)),
            "warning: src/a.rs: the file has 401 lines; more than 400 is a warning, more than 600 an error"
        );
        assert!(message("src/a.rs", &file(601)).starts_with("error"));
    }

    #[test]
    fn tests_do_not_count() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "fn f() {}\n".repeat(700));
        assert_eq!(message("src/a.rs", &format!("{}{tests}", "// line\n".repeat(400))), "");
        assert_eq!(message("tests/a.rs", &"// line\n".repeat(700)), "");
        assert_eq!(message("src/a/tests.rs", &"// line\n".repeat(700)), "");
    }
}
