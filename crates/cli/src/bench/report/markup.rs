//! Text in HTML. All of it is escaped, whoever chose it.

use crate::say::on_one_line;

/// Text for an element or an attribute in double quotes. Control characters, and those that reorder text,
/// are written out.
pub(crate) fn escaped(text: &str) -> String {
    let line = on_one_line(text);
    let mut safe = String::with_capacity(line.len());
    for character in line.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            character => safe.push(character),
        }
    }
    safe
}

/// The longest text of a server that is shown whole: an error message can have a response in it.
const LONGEST: usize = 400;

/// The same, cut if it is long.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => escaped(&text[..end]) + "…",
        None => escaped(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_of_markup_is_left() {
        let safe = escaped("<a href=\"x\" title='y'>&amp;</a>\u{202e}\u{1b}[31m\n");
        assert_eq!(
            safe,
            "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;\\u{202e}\\u{1b}[31m\\n"
        );
    }

    #[test]
    fn long_texts_of_a_server_are_cut() {
        assert_eq!(shortened(&"ä".repeat(1000)).chars().count(), LONGEST + 1);
        assert_eq!(shortened(&"ä".repeat(LONGEST)).chars().count(), LONGEST);
        assert_eq!(escaped(&"ä".repeat(1000)).chars().count(), 1000);
    }
}
