//! The subjects of topics.

use std::fmt::Write as _;

use percent_encoding::percent_decode_str;

use crate::error::Error;

/// Returns the subject of a topic: the prefix and one token. Different topics have different subjects.
///
/// ASCII letters and digits and most ASCII punctuation stay. Other bytes, dots, wildcards, quotation
/// marks, backslashes, and `%` are `%` and two hexadecimal digits, as in URLs: the broker's errors quote
/// subjects. The empty name is `%`.
pub(crate) fn of(prefix: &str, topic: &str) -> String {
    let mut subject = String::with_capacity(prefix.len() + topic.len());
    subject.push_str(prefix);
    if topic.is_empty() {
        subject.push('%');
    }
    for byte in topic.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'.' | b'*' | b'>' | b'%' | b'"' | b'\\') {
            subject.push(char::from(byte));
        } else {
            let _ = write!(subject, "%{byte:02X}");
        }
    }
    subject
}

/// Returns the topic of a subject, unless it is another program's.
pub(crate) fn topic(prefix: &str, subject: &str) -> Option<String> {
    let token = subject.strip_prefix(prefix)?;
    let token = if token == "%" { "" } else { token };
    Some(percent_decode_str(token).decode_utf8().ok()?.into_owned())
}

/// Checks that prefix and token are a subject.
pub(crate) fn check(prefix: &str) -> Result<(), Error> {
    let is_bad =
        |char: char| char.is_whitespace() || char.is_control() || matches!(char, '*' | '>');
    if prefix.starts_with('.') || prefix.contains("..") || prefix.contains(is_bad) {
        return Err(Error::Prefix(prefix.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_stays() {
        assert_eq!(of("towline.", "room/7"), "towline.room/7");
        assert_eq!(of("", "Price_EUR-USD"), "Price_EUR-USD");
    }

    #[test]
    fn what_means_something_in_a_subject_is_escaped() {
        assert_eq!(of("t.", "a.b"), "t.a%2Eb");
        assert_eq!(of("t.", "*"), "t.%2A");
        assert_eq!(of("t.", ">"), "t.%3E");
        assert_eq!(of("t.", "a b\r\n"), "t.a%20b%0D%0A");
        assert_eq!(of("t.", "é"), "t.%C3%A9");
        assert_eq!(of("t.", "\"\\"), "t.%22%5C");
        assert_eq!(of("t.", ""), "t.%");
    }

    #[test]
    fn different_topics_have_different_subjects() {
        let names = ["", "%", "%25", "a.b", "a%2Eb", "a%2eb", ".", "%2E", " ", "%20", "A", "a"];
        let subjects: std::collections::HashSet<_> =
            names.iter().map(|name| of("t.", name)).collect();
        assert_eq!(subjects.len(), names.len());
        for name in names {
            assert_eq!(topic("t.", &of("t.", name)).as_deref(), Some(name));
        }
        assert_eq!(topic("t.", "other.a"), None);
    }

    #[test]
    fn a_prefix_that_makes_no_subject_is_an_error() {
        for prefix in ["a b", ".a", "a..", "*.", ">", "a\n"] {
            assert!(check(prefix).is_err(), "{prefix:?}");
        }
        for prefix in ["", "towline.", "app-", "a.b."] {
            assert!(check(prefix).is_ok(), "{prefix:?}");
        }
    }
}
