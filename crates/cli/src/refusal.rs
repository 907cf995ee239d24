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
        let location = response.headers().get(LOCATION).map(|value| text(value.as_bytes()));
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

#[cfg(test)]
mod tests {
    use super::*;

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
