//! Text in HTML. All of it is escaped, whoever chose it.

use crate::say::on_one_line;

/// Longer texts are cut: an error message can have a whole response in it.
const LONGEST: usize = 400;

/// Text for an element or an attribute in double quotes. Control characters, and those that reorder text,
/// are written out.
pub(crate) fn escaped(text: &str) -> String {
    let line = on_one_line(text);
    let mut safe = String::with_capacity(line.len());
    for (index, character) in line.chars().enumerate() {
        if index == LONGEST {
            safe.push('…');
            break;
        }
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
    fn long_texts_are_cut() {
        assert_eq!(escaped(&"ä".repeat(1000)).chars().count(), LONGEST + 1);
        assert_eq!(escaped(&"ä".repeat(LONGEST)).chars().count(), LONGEST);
    }
}
