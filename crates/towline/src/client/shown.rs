//! How a URL is shown in an error: on one line, at no great length, and without user and password,
//! which are not for the log.

/// So many characters of a URL are shown, and so many of a part of one.
const LONGEST: usize = 200;
const LONGEST_PART: usize = 64;

/// What is shown of this URL, which may be none at all, in quotes.
pub(crate) fn shown(url: &str) -> String {
    format!("\"{}\"", redacted(url).escape_debug())
}

/// A part of a URL that is neither a user nor a password.
pub(crate) fn in_quotes(part: &str) -> String {
    let mut text: String = part.chars().take(LONGEST_PART).collect();
    if text.len() < part.len() {
        text.push_str("...");
    }
    format!("\"{}\"", text.escape_debug())
}

/// The URL without user and password.
///
/// What is no URL may have them anywhere, so all goes up to the last `@`, though it could be a part
/// of the path; and so does all where the port is none, and is more likely a password.
pub(crate) fn redacted(url: &str) -> String {
    let rest = without_scheme(url);
    let scheme = &url[..url.len() - rest.len()];
    let (scheme, cut, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => (scheme, "...@", rest),
        None if !scheme.is_empty() && !has_port(rest) => (scheme, "...", ""),
        None => (scheme, "", rest),
    };
    let mut text = format!("{scheme}{cut}");
    text.extend(rest.chars().take(LONGEST));
    if rest.chars().nth(LONGEST).is_some() {
        text.push_str("...");
    }
    text
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

/// Whether what is behind a colon in the authority, if there is one, is a port.
fn has_port(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.split_once(':') {
        Some((_, port)) if !authority.starts_with('[') => {
            port.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_user_or_a_password_is_shown() {
        for (url, expected) in [
            ("ws://user:secret@host/a", "ws://...@host/a"),
            ("ws://secret@host", "ws://...@host"),
            ("wss://user:sec@ret@host/", "wss://...@host/"),
            ("ws://user:sec/r?e#t@host:80/", "ws://...@host:80/"),
            ("ws://user:sec/ret", "ws://..."),
            ("user:secret@host:3128", "...@host:3128"),
            ("user:secret//@host", "...@host"),
            ("//user:secret@host", "//...@host"),
            ("ws:user:secret@host", "...@host"),
            ("socks9+x://user:secret@host", "socks9+x://...@host"),
            ("@", "...@"),
            ("ws://host:80/a b", "ws://host:80/a b"),
            ("ws://[::1]:80/", "ws://[::1]:80/"),
            ("mailto:me", "mailto:me"),
            ("", ""),
        ] {
            assert_eq!(shown(url), format!("\"{expected}\""), "{url}");
        }
    }

    #[test]
    fn it_is_one_line_of_bounded_length() {
        assert_eq!(shown("ws://h/\r\n\u{1b}"), r#""ws://h/\r\n\u{1b}""#);
        let long = shown(&format!("ws://h/{}", "\u{e9}".repeat(10_000)));
        assert_eq!(long.chars().count(), 1 + 5 + LONGEST + 3 + 1);
    }
}
