//! How errors show a URL: on one line, shortened, and without user and password, which must not be
//! logged.

/// The most characters of a URL, or of a part of one, to show.
const LONGEST: usize = 200;
const LONGEST_PART: usize = 64;

/// The URL in quotes, redacted. The text need not be a valid URL.
pub(crate) fn shown(url: &str) -> String {
    format!("{:?}", redacted(url))
}

/// Quotes a part of a URL that is neither a user nor a password.
pub(crate) fn in_quotes(part: &str) -> String {
    let mut text: String = part.chars().take(LONGEST_PART).collect();
    if text.len() < part.len() {
        text.push_str("...");
    }
    format!("{text:?}")
}

/// The URL without user and password.
///
/// An invalid URL can have them anywhere, so all up to the last `@` is removed, even if it is a
/// part of the path. If the port is invalid, it is more likely a password, and is removed too.
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

/// The text after `scheme://`, or all of it: a colon can also be the one before a password. After the
/// schemes that the client takes, any slashes and backslashes count as `//`.
fn without_scheme(url: &str) -> &str {
    if let Some((scheme, rest)) = url.split_once(':')
        && ["ws", "wss", "http", "https"].iter().any(|name| scheme.eq_ignore_ascii_case(name))
    {
        return rest.trim_start_matches(['/', '\\']);
    }
    match url.split_once("//") {
        Some((scheme, rest)) if is_scheme(scheme) => rest,
        _ => url,
    }
}

/// Whether this is a scheme with its colon, or empty.
fn is_scheme(text: &str) -> bool {
    let byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    text.is_empty() || text.strip_suffix(':').is_some_and(|name| name.bytes().all(byte))
}

/// Whether the text after a colon in the authority, if there is one, is a port.
fn has_port(rest: &str) -> bool {
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
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
            ("ws:user:secret@host", "ws:...@host"),
            // A password that has a slash.
            ("ws://user:sec/ret", "ws://..."),
            ("ws:/user:sec/ret", "ws:/..."),
            ("WS:\\\\user:sec/ret", "WS:\\\\..."),
            ("https:user:sec/ret", "https:..."),
            ("ws://host:80\\a", "ws://host:80\\a"),
            ("socks9+x://user:secret@host", "socks9+x://...@host"),
            ("@", "...@"),
            ("ws://host:80/a b", "ws://host:80/a b"),
            ("ws://[::1]:80/", "ws://[::1]:80/"),
            ("mailto:me", "mailto:me"),
            ("", ""),
        ] {
            assert_eq!(shown(url), format!("{expected:?}"), "{url}");
        }
    }

    #[test]
    fn it_is_one_line_of_bounded_length() {
        assert_eq!(shown("ws://h/\r\n\u{1b}"), r#""ws://h/\r\n\u{1b}""#);
        let long = shown(&format!("ws://h/{}", "\u{e9}".repeat(10_000)));
        assert_eq!(long.chars().count(), 1 + 5 + LONGEST + 3 + 1);
    }
}
