//! The response of a server or a proxy that is not a handshake.

use http::header::LOCATION;
use towline::Error;

/// A response that refuses the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The status code.
    pub(crate) status: http::StatusCode,
    /// Where a redirect leads.
    pub(crate) location: Option<String>,
    /// The start of the body, up to 4 KiB; invalid UTF-8 is replaced.
    pub(crate) body: String,
}

impl Refusal {
    /// The response in this error, if there is one.
    pub(crate) fn of(error: &Error) -> Option<Self> {
        let response = error.response()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let location = response.headers().get(LOCATION);
        let location = location.map(|value| without_credentials(text(value.as_bytes())));
        Some(Self { status: response.status(), location, body: text(response.body()) })
    }

    /// Lines for people. Text from the peer is quoted, and its control characters are escaped.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("response: {}", self.status)];
        lines.extend(self.location.iter().map(|location| format!("Location: {location:?}")));
        if !self.body.is_empty() {
            lines.push(format!("body: {:?}", self.body));
        }
        lines
    }
}

/// A redirect may carry the user's password, as the URL that it answers does.
pub(crate) fn without_credentials(location: String) -> String {
    match location.split_once("//") {
        // A password may have any character, so everything before the last `@` is left out.
        Some((scheme, rest)) if rest.contains('@') => {
            let shown = rest.rsplit('@').next().unwrap_or_default();
            format!("{scheme}//...@{shown}")
        }
        _ => location,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_location_is_not_shown() {
        for (location, shown) in [
            ("ws://u:secret@host/a", "ws://...@host/a"),
            ("//u:sec/ret@host", "//...@host"),
            ("ws://host/a", "ws://host/a"),
            ("/a@b", "/a@b"),
        ] {
            assert_eq!(without_credentials(location.to_owned()), shown);
        }
    }

    #[test]
    fn people_are_shown_no_controls() {
        let refusal = Refusal {
            status: http::StatusCode::FOUND,
            location: Some("/\u{1b}[2J\u{9b}".to_owned()),
            body: "two\r\nlines\u{7}\u{202e}".to_owned(),
        };
        let lines = refusal.lines();
        assert_eq!(lines[0], "response: 302 Found");
        assert_eq!(lines[1], r#"Location: "/\u{1b}[2J\u{9b}""#);
        assert_eq!(lines[2], r#"body: "two\r\nlines\u{7}\u{202e}""#);
    }
}
