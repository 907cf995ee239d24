//! What stands below the options of `--help`.

/// The text with each paragraph on one line, so that it is wrapped once, for the width of the terminal. Lines that
/// are indented, those before them that end with a colon, and empty ones stay as they are.
pub(crate) fn in_paragraphs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = "";
    for line in text.lines() {
        let goes_on = |line: &str| !line.is_empty() && !line.starts_with(' ');
        if goes_on(before) && goes_on(line) && !before.ends_with(':') {
            out.push(' ');
        } else if !out.is_empty() || !before.is_empty() {
            out.push('\n');
        }
        out.push_str(line);
        before = line;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_is_one_line_and_a_list_is_not() {
        let text = "One\nand two.\n\nA third\nline.\n\nCodes:\n  0  fine\n     and well\n  1  else";
        let expected =
            "One and two.\n\nA third line.\n\nCodes:\n  0  fine\n     and well\n  1  else";
        assert_eq!(in_paragraphs(text), expected);
    }
}
