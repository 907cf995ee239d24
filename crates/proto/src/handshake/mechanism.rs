//! Which HTTP carries the handshake.

use std::borrow::Cow;

use http::Request;

/// How HTTP is asked for a WebSocket.
///
/// The two say the same in different words: an upgrade is a `GET` with `Upgrade`, `Connection`,
/// `Host` and a key, answered by 101; an extended CONNECT has `:protocol`, `:authority` and no
/// key, is answered by 200, and may not have any of the others (RFC 8441, section 5).
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
    /// The mechanism by which this request came: extended CONNECT if it bears a [`Protocol`] or
    /// is of HTTP/2 or later, else an upgrade.
    ///
    /// Whether it is a valid request for a WebSocket is another matter; this also says how to
    /// word a refusal.
    pub fn of<B>(request: &Request<B>) -> Self {
        let marked = request.extensions().get::<Protocol>().is_some();
        if marked || request.version() >= http::Version::HTTP_2 {
            Self::ExtendedConnect
        } else {
            Self::Http1Upgrade
        }
    }
}

/// The `:protocol` of an extended CONNECT (RFC 8441, section 4), which `http::Request` has no
/// field for: it is put into the request's extensions.
///
/// An adapter to an HTTP/2 library copies it there from that library's own type; a client's
/// request has it there for the adapter to read.
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
    /// `websocket`, the only one that a WebSocket server accepts.
    pub const WEBSOCKET: Self = Self(Cow::Borrowed("websocket"));

    /// Whatever a peer sent in `:protocol`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Cow::Owned(value.into()))
    }

    /// The value.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it asks for a WebSocket, in whatever case.
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
