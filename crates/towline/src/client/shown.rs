//! How a URL is shown in an error: in quotes, on one line, at no great length, and without user and
//! password, which are not for the log.

/// So many characters of a URL are shown.
const LONGEST: usize = 200;

/// What is shown of this URL, which may be none at all.
///
/// What is no URL may have its password anywhere, so what goes up to the last `@` is cut, though it
/// could be a path.
pub(crate) fn shown(url: &str) -> String {
    let rest = without_scheme(url);
    let (scheme, cut, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => (&url[..url.len() - without_scheme(url).len()], "…@", rest),
        None => ("", "", url),
    };
    let mut text: String = rest.chars().take(LONGEST).collect();
    if text.len() < rest.len() {
        text.push('…');
    }
    format!("\"{scheme}{cut}{}\"", text.escape_debug())
}

/// What is behind `scheme://`, or all of it: a colon may also be the one before a password.
fn without_scheme(url: &str) -> &str {
    match url.split_once("//") {
        Some((scheme, rest)) if is_scheme(scheme) => rest,
        _ => url,
    }
}

/// Whether this is a scheme with its colon, or nothing.
fn is_scheme(text: &str) -> bool {
    let byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    text.is_empty() || text.strip_suffix(':').is_some_and(|name| name.bytes().all(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_user_or_a_password_is_shown() {
        for (url, expected) in [
            ("ws://user:secret@host/a", "ws://…@host/a"),
            ("ws://secret@host", "ws://…@host"),
            ("wss://user:sec@ret@host/", "wss://…@host/"),
            ("ws://user:sec/r?e#t@host:80/", "ws://…@host:80/"),
            ("user:secret@host:3128", "…@host:3128"),
            ("user:secret//@host", "…@host"),
            ("//user:secret@host", "//…@host"),
            ("ws:user:secret@host", "…@host"),
            ("socks9+x://user:secret@host", "socks9+x://…@host"),
            ("@", "…@"),
            ("ws://host/a b", "ws://host/a b"),
            ("", ""),
        ] {
            assert_eq!(shown(url), format!("\"{expected}\""), "{url}");
        }
    }

    #[test]
    fn it_is_one_line_of_bounded_length() {
        assert_eq!(shown("ws://h/\r\n\u{1b}"), r#""ws://h/\r\n\u{1b}""#);
        let long = shown(&format!("ws://h/{}", "\u{e9}".repeat(10_000)));
        assert_eq!(long.chars().count(), LONGEST + 3);
    }
}
