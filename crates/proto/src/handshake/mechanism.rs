//! The HTTP mechanism that carries the handshake.

use std::borrow::Cow;

use http::Request;

/// The HTTP mechanism by which a client asks for a WebSocket.
///
/// The two carry the same information. An upgrade is a `GET` with `Upgrade`, `Connection`, `Host`
/// and a key; the server answers 101. An extended CONNECT has `:protocol`, `:authority` and no key;
/// the server answers 200. It must not have the headers of an upgrade (RFC 8441, section 5).
///
/// [`Protocol`] has an example.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// The `Upgrade` of HTTP/1.1 (RFC 6455, section 4). The default.
    #[default]
    Http1Upgrade,
    /// The extended CONNECT of HTTP/2 (RFC 8441) and HTTP/3 (RFC 9220).
    ExtendedConnect,
}

impl Mechanism {
    /// Returns the mechanism of this request: extended CONNECT if it has a [`Protocol`] extension
    /// or is HTTP/2 or later, otherwise an upgrade.
    ///
    /// This does not validate the request. The result also decides the form of a refusal.
    pub fn of<B>(request: &Request<B>) -> Self {
        let marked = request.extensions().get::<Protocol>().is_some();
        if marked || request.version() >= http::Version::HTTP_2 {
            Self::ExtendedConnect
        } else {
            Self::Http1Upgrade
        }
    }
}

/// The `:protocol` of an extended CONNECT (RFC 8441, section 4). `http::Request` has no field for
/// it, so it is stored in the request's extensions.
///
/// On a server, the adapter to an HTTP/2 library copies it there from that library's own type. On a
/// client, the adapter reads it from the request of the handshake.
///
/// ```
/// use towline_proto::handshake::{Mechanism, Protocol};
///
/// let mut request = http::Request::connect("https://example.com/chat").body(()).unwrap();
/// request.extensions_mut().insert(Protocol::WEBSOCKET);
/// assert_eq!(Mechanism::of(&request), Mechanism::ExtendedConnect);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Protocol(Cow<'static, str>);

impl Protocol {
    /// `websocket`, the only value that a WebSocket server accepts.
    pub const WEBSOCKET: Self = Self(Cow::Borrowed("websocket"));

    /// Creates a protocol from the value of `:protocol` that a peer sent.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Cow::Owned(value.into()))
    }

    /// Returns the value.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether it asks for a WebSocket, ignoring ASCII case.
    pub(crate) fn is_websocket(&self) -> bool {
        self.0.eq_ignore_ascii_case("websocket")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_plain_request_is_an_upgrade() {
        let request = Request::get("/").body(()).unwrap();
        assert_eq!(Mechanism::of(&request), Mechanism::Http1Upgrade);
    }

    #[test]
    fn http_2_has_no_upgrade() {
        for version in [http::Version::HTTP_2, http::Version::HTTP_3] {
            let request = Request::get("/").version(version).body(()).unwrap();
            assert_eq!(Mechanism::of(&request), Mechanism::ExtendedConnect);
        }
    }

    #[test]
    fn the_marker_has_no_case() {
        assert!(Protocol::new("WebSocket").is_websocket());
        assert!(!Protocol::new("connect-udp").is_websocket());
        assert_eq!(Protocol::WEBSOCKET.as_str(), "websocket");
    }
}
