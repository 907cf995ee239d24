//! Header fields: parsing them, spelling their names, and those reserved for the handshake.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::handshake::token::trim;

/// The header for the reason of a refusal, as in WebSocket-Node.
pub(crate) static X_WEBSOCKET_REJECT_REASON: HeaderName =
    HeaderName::from_static("x-websocket-reject-reason");

/// The header in which clients of draft 8 send their origin.
pub(crate) static SEC_WEBSOCKET_ORIGIN: HeaderName =
    HeaderName::from_static("sec-websocket-origin");

/// Returns the elements of a comma-separated header, over all its lines, trimmed.
///
/// RFC 7230, section 7: "a recipient MUST parse and ignore a reasonable number of empty list
/// elements".
pub(crate) fn elements<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(name)
        .into_iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(trim)
        .filter(|element| !element.is_empty())
}

/// Returns whether the list has this element, ignoring ASCII case.
pub(crate) fn lists(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    elements(headers, name).any(|element| element.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// The error for a header that must have a single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldError {
    Repeated,
    NotAscii,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Repeated => "appears more than once",
            Self::NotAscii => "has a character outside visible ASCII",
        })
    }
}

/// Returns the trimmed value of a header that may appear once.
pub(crate) fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, FieldError> {
    let mut lines = headers.get_all(name).into_iter();
    let Some(value) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(FieldError::Repeated);
    }
    value.to_str().map(|value| Some(value.trim_matches([' ', '\t']))).map_err(|_| {
        // `to_str` rejects obs-text of RFC 7230, which no header of a handshake may have.
        FieldError::NotAscii
    })
}

/// Returns whether the handshake writes the header itself or it frames the message: an application
/// that set it would break, or split, the HTTP message.
pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    let hop = [
        header::CONNECTION,
        header::UPGRADE,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::TRAILER,
        header::TE,
    ];
    hop.contains(name) || name.as_str().starts_with("sec-websocket-")
}

/// Converts text to a header value. Characters that a header cannot hold become spaces or question
/// marks.
pub(crate) fn lossy_value(text: &str, longest: usize) -> HeaderValue {
    let text: String = text
        .chars()
        .take(longest)
        .map(|c| match c {
            ' '..='~' => c,
            c if c.is_whitespace() || c.is_control() => ' ',
            _ => '?',
        })
        .collect();
    visible_value(text.trim())
}

/// Converts text that is known to be visible ASCII and spaces to a header value.
pub(crate) fn visible_value(text: &str) -> HeaderValue {
    debug_assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{text:?}");
    // Never the fallback.
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Appends the name as the RFCs spell it: names are case-insensitive, but some peers get that
/// wrong.
pub(crate) fn write_spelt(name: &HeaderName, out: &mut Vec<u8>) {
    for (index, word) in name.as_str().split('-').enumerate() {
        if index > 0 {
            out.push(b'-');
        }
        let spelt = match word {
            "websocket" => "WebSocket",
            "www" => "WWW",
            "etag" => "ETag",
            "te" => "TE",
            _ => {
                out.extend(word.bytes().take(1).map(|byte| byte.to_ascii_uppercase()));
                word.get(1..).unwrap_or_default()
            }
        };
        out.extend_from_slice(spelt.as_bytes());
    }
}

/// Returns the name as the RFCs spell it, for error messages.
pub(crate) fn spelt(name: &HeaderName) -> String {
    let mut out = Vec::with_capacity(name.as_str().len());
    write_spelt(name, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn headers(lines: &[(&'static str, &[u8])]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
            })
            .collect()
    }

    #[test]
    fn a_list_is_joined_over_its_lines_and_empty_elements_are_ignored() {
        let headers = headers(&[("connection", b"keep-alive,, \t,"), ("connection", b" Upgrade ")]);
        let all: Vec<_> = elements(&headers, &header::CONNECTION).collect();
        assert_eq!(all, [&b"keep-alive"[..], b"Upgrade"]);
        assert!(lists(&headers, &header::CONNECTION, "upgrade"));
        assert!(!lists(&headers, &header::CONNECTION, "up"));
    }

    #[test]
    fn a_single_value_is_trimmed_and_neither_repeated_nor_binary() {
        let map = headers(&[("host", b" example.com\t")]);
        assert_eq!(single(&map, &header::HOST), Ok(Some("example.com")));
        assert_eq!(single(&map, &header::ORIGIN), Ok(None));
        let map = headers(&[("host", b"a"), ("host", b"a")]);
        assert_eq!(single(&map, &header::HOST), Err(FieldError::Repeated));
        let map = headers(&[("host", b"\xe9")]);
        assert_eq!(single(&map, &header::HOST), Err(FieldError::NotAscii));
    }

    #[test]
    fn names_are_spelt_as_in_the_rfcs() {
        let spell = |name| spelt(&HeaderName::from_static(name));
        assert_eq!(spell("sec-websocket-accept"), "Sec-WebSocket-Accept");
        assert_eq!(spell("x-websocket-reject-reason"), "X-WebSocket-Reject-Reason");
        assert_eq!(spell("host"), "Host");
        assert_eq!(spell("www-authenticate"), "WWW-Authenticate");
        assert_eq!(spell("x--a"), "X--A");
    }

    #[test]
    fn any_text_fits_a_header_value() {
        assert_eq!(lossy_value("no\r\nSet-Cookie: a=b", 100), "no  Set-Cookie: a=b");
        assert_eq!(lossy_value("é\0", 100), "?");
        assert_eq!(lossy_value("abcdef", 3), "abc");
    }

    #[test]
    fn the_headers_of_the_handshake_are_reserved() {
        for name in ["upgrade", "connection", "content-length", "sec-websocket-anything"] {
            assert!(is_reserved(&HeaderName::from_static(name)), "{name}");
        }
        assert!(!is_reserved(&header::SET_COOKIE));
    }
}
