//! `Sec-WebSocket-Protocol` (RFC 6455, sections 1.9 and 11.3.4).

use std::collections::HashSet;
use std::fmt;

use bytestring::ByteString;
use http::{HeaderMap, header};

use crate::handshake::excerpt::excerpt;
use crate::handshake::header::elements;
use crate::handshake::token::is_token;

/// The name of a subprotocol, such as `chat.v2`: an HTTP token.
///
/// Names are case-sensitive on the wire, and a client accepts only its own spelling in the answer.
/// For servers, [`matches`](Subprotocol::matches) and the choice of a protocol in an accept ignore
/// ASCII case. Two `Subprotocol`s are equal if their spelling is the same.
///
/// Cheap to clone.
///
/// ```
/// use towline_proto::handshake::Subprotocol;
///
/// let protocol = Subprotocol::new("chat.v2").unwrap();
/// assert!(protocol.matches("Chat.V2"));
/// assert!(Subprotocol::new("chat v2").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subprotocol {
    spelling: ByteString,
    lower_case: ByteString,
}

impl Subprotocol {
    /// Creates a subprotocol with this name.
    ///
    /// # Errors
    ///
    /// [`SubprotocolError::NotToken`] if the name is not a token: RFC 6455, section 4.1, requires
    /// "non-empty strings with characters in the range U+0021 to U+007E not including separator
    /// characters".
    pub fn new(name: impl Into<String>) -> Result<Self, SubprotocolError> {
        let name = name.into();
        if !is_token(&name) {
            return Err(SubprotocolError::NotToken(excerpt(name)));
        }
        let spelling = ByteString::from(name);
        let lower_case = if spelling.bytes().any(|byte| byte.is_ascii_uppercase()) {
            ByteString::from(spelling.to_ascii_lowercase())
        } else {
            spelling.clone()
        };
        Ok(Self { spelling, lower_case })
    }

    /// Returns the name in the client's spelling.
    pub fn as_str(&self) -> &str {
        &self.spelling
    }

    /// Returns the name in lower case, like `requestedProtocols` and a connection's `protocol` in
    /// WebSocket-Node.
    pub fn lower_case(&self) -> &str {
        &self.lower_case
    }

    /// Returns whether the name is the same, ignoring ASCII case.
    pub fn matches(&self, name: &str) -> bool {
        self.spelling.eq_ignore_ascii_case(name)
    }
}

impl AsRef<str> for Subprotocol {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Subprotocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Parses a client's `Sec-WebSocket-Protocol`, in the client's order of preference.
///
/// Several headers form one list (RFC 6455, section 11.3.4). Empty list elements are ignored. A
/// missing or empty header is an empty list.
///
/// ```
/// use http::HeaderMap;
/// use towline_proto::handshake::parse_subprotocols;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("sec-websocket-protocol", "chat.v2, chat.v1".parse().unwrap());
/// let protocols = parse_subprotocols(&headers).unwrap();
/// assert_eq!(protocols[0].as_str(), "chat.v2");
/// ```
///
/// # Errors
///
/// [`SubprotocolError`] for a name that is not a token, or that is repeated in the same spelling.
pub fn parse_subprotocols(headers: &HeaderMap) -> Result<Vec<Subprotocol>, SubprotocolError> {
    let mut seen = HashSet::new();
    let mut protocols = Vec::new();
    for element in elements(headers, &header::SEC_WEBSOCKET_PROTOCOL) {
        let name = std::str::from_utf8(element)
            .map_err(|_| SubprotocolError::NotToken(excerpt(element)))?;
        // RFC 6455, section 4.1: the elements "MUST all be unique strings". A set keeps this
        // linear, however long the list.
        if !seen.insert(name) {
            return Err(SubprotocolError::Repeated(excerpt(name)));
        }
        protocols.push(Subprotocol::new(name)?);
    }
    Ok(protocols)
}

/// Returns the offered protocol with this name: one with the same spelling, otherwise the first
/// that differs only in case.
pub(crate) fn find<'a>(offered: &'a [Subprotocol], name: &str) -> Option<&'a Subprotocol> {
    offered
        .iter()
        .find(|protocol| protocol.as_str() == name)
        .or_else(|| offered.iter().find(|protocol| protocol.matches(name)))
}

/// The error for an invalid `Sec-WebSocket-Protocol`.
///
/// [`parse_subprotocols`] has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubprotocolError {
    /// The name is not a token: it is empty, or has a separator, a space, a control character or a
    /// character outside ASCII.
    NotToken(String),
    /// The name is repeated.
    Repeated(String),
}

impl fmt::Display for SubprotocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotToken(name) => {
                write!(f, "Sec-WebSocket-Protocol: {name} is not a token")
            }
            Self::Repeated(name) => {
                write!(f, "Sec-WebSocket-Protocol has {name} more than once")
            }
        }
    }
}

impl std::error::Error for SubprotocolError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn parse(lines: &[&[u8]]) -> Result<Vec<Subprotocol>, SubprotocolError> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_bytes(line).unwrap());
        }
        parse_subprotocols(&headers)
    }

    #[test]
    fn several_headers_are_one_list_in_order() {
        let protocols = parse(&[b"Chat.V2,, soap ,", b"xmpp"]).unwrap();
        let spelt: Vec<_> = protocols.iter().map(Subprotocol::as_str).collect();
        assert_eq!(spelt, ["Chat.V2", "soap", "xmpp"]);
        let lower: Vec<_> = protocols.iter().map(Subprotocol::lower_case).collect();
        assert_eq!(lower, ["chat.v2", "soap", "xmpp"]);
        assert_eq!(parse(&[]).unwrap(), []);
        assert_eq!(parse(&[b" , "]).unwrap(), []);
    }

    #[test]
    fn only_tokens_are_names() {
        for bad in [&b"a b"[..], b"a/b", b"\"a\"", b"a;b", b"caf\xc3\xa9", b"\xff"] {
            assert!(matches!(parse(&[bad]), Err(SubprotocolError::NotToken(_))), "{bad:?}");
        }
        assert!(Subprotocol::new("").is_err());
        assert!(Subprotocol::new("a\r\nb").is_err());
    }

    #[test]
    fn a_repeated_name_is_an_error_unless_it_is_spelt_differently() {
        let error = parse(&[b"chat, soap", b"chat"]).unwrap_err();
        assert_eq!(error.to_string(), "Sec-WebSocket-Protocol has \"chat\" more than once");
        assert_eq!(parse(&[b"chat, Chat"]).unwrap().len(), 2);
    }

    #[test]
    fn the_exact_spelling_is_preferred() {
        let offered = parse(&[b"Chat, chat, SOAP"]).unwrap();
        assert_eq!(find(&offered, "chat").unwrap().as_str(), "chat");
        assert_eq!(find(&offered, "CHAT").unwrap().as_str(), "Chat");
        assert_eq!(find(&offered, "soap").unwrap().as_str(), "SOAP");
        assert_eq!(find(&offered, "xmpp"), None);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(line in proptest::collection::vec(32u8..=255, 0..60)) {
            if !line.contains(&127) {
                let _ = parse(&[&line]);
            }
        }
    }
}
