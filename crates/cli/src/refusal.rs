//! The response of a server or a proxy that is not a handshake.

use http::header::LOCATION;
use towline::Error;

use crate::secrets;

/// A response that refuses the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The status code.
    pub(crate) status: http::StatusCode,
    /// Where a redirect leads, with all its secrets.
    location: Option<String>,
    /// The start of the body, up to 4 KiB; invalid UTF-8 is replaced.
    pub(crate) body: String,
}

impl Refusal {
    /// The response in this error, if there is one.
    pub(crate) fn of(error: &Error) -> Option<Self> {
        let response = error.response()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let location = response.headers().get(LOCATION);
        let location = location.map(|value| text(value.as_bytes()));
        Some(Self { status: response.status(), location, body: text(response.body()) })
    }

    /// Where a redirect leads. It may carry the password and the token of the URL that it answers: the
    /// password is never shown, the query only with `shows_secrets`.
    pub(crate) fn location(&self, shows_secrets: bool) -> Option<String> {
        let shown = if shows_secrets { secrets::without_password } else { secrets::url };
        self.location.as_deref().map(shown)
    }

    /// Lines for people. Text from the peer is quoted, and its control characters are escaped.
    pub(crate) fn lines(&self, shows_secrets: bool) -> Vec<String> {
        let mut lines = vec![format!("response: {}", self.status)];
        lines.extend(self.location(shows_secrets).map(|to| format!("Location: {to:?}")));
        if !self.body.is_empty() {
            lines.push(format!("body: {:?}", self.body));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(location: &str, body: &str) -> Refusal {
        let (status, location) = (http::StatusCode::FOUND, Some(location.to_owned()));
        Refusal { status, location, body: body.to_owned() }
    }

    #[test]
    fn secrets_of_a_location_are_hidden_unless_they_are_wanted() {
        let refusal = refusal("wss://u:s3cret@host/a?token=t0ken", "");
        assert_eq!(refusal.lines(false)[1], r#"Location: "wss://...@host/a?(hidden)""#);
        assert_eq!(refusal.lines(true)[1], r#"Location: "wss://...@host/a?token=t0ken""#);
    }

    #[test]
    fn people_are_shown_no_controls() {
        let lines = refusal("/\u{1b}[2J\u{9b}", "two\r\nlines\u{7}\u{202e}").lines(false);
        assert_eq!(lines[0], "response: 302 Found");
        assert_eq!(lines[1], r#"Location: "/\u{1b}[2J\u{9b}""#);
        assert_eq!(lines[2], r#"body: "two\r\nlines\u{7}\u{202e}""#);
    }
}
