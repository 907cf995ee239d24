//! Nobody writes `unsafe`, nor allows it. The lint that forbids it can't be set where macros
//! generate it, so this looks at what is written.

use proc_macro2::TokenStream;

use crate::house::finding::Finding;
use crate::house::sources::Source;
use crate::house::syntax::flatten;

pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let stream: TokenStream = source.text.parse().unwrap_or_default();
    let tokens = flatten(&stream);
    let written = tokens.iter().filter(|token| ["unsafe", "unsafe_code"].contains(&&*token.text));
    written
        .map(|token| {
            let message = format!("`{}` is not for this project", token.text);
            Finding::error(&source.path, token.line, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::sources::source;

    fn lines(text: &str) -> Vec<usize> {
        check(&source("src/lib.rs", text)).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn neither_the_word_nor_the_permission_is_written() {
        assert_eq!(lines("fn f() {\n unsafe { g() }\n}"), [2]);
        assert_eq!(lines("#![allow(unsafe_code)]"), [1]);
        assert_eq!(lines("macro_rules! m { () => {\n unsafe {} } }"), [2]);
        assert_eq!(lines("// unsafe\nconst WORD: &str = \"unsafe\";"), [0; 0]);
    }
}
