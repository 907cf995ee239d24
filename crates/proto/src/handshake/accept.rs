//! A server's options for accepting a handshake, and the errors of doing so.

use std::fmt;

use http::{HeaderName, HeaderValue, StatusCode};

use crate::compression::Compression;
use crate::handshake::cookie::SetCookie;
use crate::handshake::excerpt::excerpt;
use crate::handshake::extra_headers::{ExtraHeaders, HeaderError};
use crate::handshake::rejection::Rejection;

/// The subprotocols that a server accepts.
#[derive(Debug, Clone, Default)]
pub(crate) enum Protocols {
    #[default]
    None,
    /// The client must have offered it.
    One(String),
    /// In order of preference.
    FirstOf(Vec<String>),
}

/// The options with which a server accepts a request.
///
/// The default is no subprotocol, no cookies and no extra headers; the server's policy decides on
/// the origin.
///
/// ```
/// use towline_proto::handshake::{Accept, SetCookie};
///
/// let accept = Accept::new()
///     .protocol("chat.v2")
///     .origin("https://app.example")
///     .cookie(SetCookie::new("session", "31d4d96e407aad42")?.http_only(true))
///     .header("X-Served-By", "berth 7");
/// # Ok::<(), towline_proto::handshake::CookieError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[doc(alias = "accept")]
pub struct Accept {
    pub(crate) protocols: Protocols,
    pub(crate) origin: Option<String>,
    pub(crate) cookies: Vec<SetCookie>,
    pub(crate) headers: ExtraHeaders,
    pub(crate) over_tls: bool,
    /// `None` if not set, which leaves the choice to the server.
    compression: Option<Option<Compression>>,
}

impl Accept {
    /// Creates the default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Selects this subprotocol, which the client must have offered; ASCII case is ignored. The
    /// response uses the client's spelling. Default: none. Replaces [`protocols`](Self::protocols).
    #[doc(alias = "acceptedProtocol")]
    #[must_use]
    pub fn protocol(mut self, name: impl Into<String>) -> Self {
        self.protocols = Protocols::One(name.into());
        self
    }

    /// Selects the first of these subprotocols that the client offers; ASCII case is ignored. Pass them
    /// in the server's order of preference. If the client offers none of them, none is selected, and the
    /// connection is accepted without one. Replaces [`protocol`](Self::protocol).
    ///
    /// Browsers fail a connection for which they offered subprotocols and the server selected none. To
    /// refuse such a request instead, use [`Offer::choose_protocol`].
    ///
    /// [`Offer::choose_protocol`]: crate::handshake::Offer::choose_protocol
    ///
    /// ```
    /// let accept = towline_proto::handshake::Accept::new().protocols(["chat.v2", "chat.v1"]);
    /// ```
    #[doc(alias = "handleProtocols")]
    #[must_use]
    pub fn protocols<I>(mut self, supported: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.protocols = Protocols::FirstOf(supported.into_iter().map(Into::into).collect());
        self
    }

    /// Allows only this origin, whatever the server's policy. A request without an origin does not
    /// come from a browser and is still accepted.
    #[doc(alias = "allowedOrigin")]
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Sets a cookie; each call adds one.
    #[doc(alias = "cookies")]
    #[must_use]
    pub fn cookie(mut self, cookie: SetCookie) -> Self {
        self.cookies.push(cookie);
        self
    }

    /// Adds a header to the response; each call adds one. A header that cannot be added makes
    /// accepting fail with [`AcceptError::Header`].
    #[must_use]
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        self.headers.push(name, value);
        self
    }

    /// Sets the compression of this connection, or `None` for no compression, whatever the server's
    /// configuration. It applies if the client offers compression with parameters that this can
    /// meet. Default: the server's configuration, or none if there is no server.
    ///
    /// A server without `assemble_fragments` never compresses, because it returns single frames.
    #[must_use]
    pub fn compression(mut self, compression: impl Into<Option<Compression>>) -> Self {
        self.compression = Some(compression.into());
        self
    }

    /// Sets whether the request came over TLS; if so, [`SameOrigin`] requires an `https` page.
    /// Default: off, which means unknown. `towline` sets it if it knows.
    ///
    /// [`SameOrigin`]: crate::handshake::OriginPolicy::SameOrigin
    #[must_use]
    pub fn over_tls(mut self, on: bool) -> Self {
        self.over_tls = on;
        self
    }

    /// Sets [`compression`](Self::compression) unless it is set already. For servers that take the
    /// default from a configuration.
    #[must_use]
    pub fn compression_by_default(mut self, compression: impl Into<Option<Compression>>) -> Self {
        self.compression.get_or_insert(compression.into());
        self
    }

    /// Returns the compression to negotiate.
    pub(crate) fn wanted_compression(&self) -> Option<Compression> {
        self.compression.flatten()
    }
}

/// The error for a request that was not accepted.
///
/// [`Offer`](crate::handshake::Offer) has an example of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcceptError {
    /// [`Accept::protocol`] names a protocol that the client did not offer.
    ///
    /// RFC 6455, section 4.2.2: "The value chosen MUST be derived from the client's handshake,
    /// specifically by selecting one of the values from the |Sec-WebSocket-Protocol| field".
    ProtocolNotOffered {
        /// The name given.
        protocol: String,
        /// The names that the client offered.
        offered: Vec<String>,
    },
    /// The request comes from a page whose origin is not allowed.
    OriginNotAllowed {
        /// The origin, as the client sent it.
        origin: String,
        /// The host that the request is for.
        host: String,
    },
    /// A header set with [`Accept::header`] cannot be added.
    Header(HeaderError),
}

impl AcceptError {
    /// Returns the response for the client: 403 if its origin is not allowed, 500 if the
    /// application made the mistake.
    pub fn rejection(&self) -> Rejection {
        match self {
            // RFC 6455, section 10.2: "the server SHOULD respond … with an HTTP 403 Forbidden".
            Self::OriginNotAllowed { .. } => {
                Rejection::new(StatusCode::FORBIDDEN, self.to_string())
            }
            Self::ProtocolNotOffered { .. } | Self::Header(_) => Rejection::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the server failed to accept the connection",
            ),
        }
    }
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProtocolNotOffered { protocol, offered } if offered.is_empty() => {
                write!(
                    f,
                    "cannot accept the subprotocol {}: the client offered none",
                    excerpt(protocol)
                )
            }
            Self::ProtocolNotOffered { protocol, offered } => write!(
                f,
                "cannot accept the subprotocol {}: the client offered {}",
                excerpt(protocol),
                excerpt(offered.join(", ")),
            ),
            Self::OriginNotAllowed { origin, host } => write!(
                f,
                "the origin {} is not allowed to connect to {}",
                excerpt(origin),
                excerpt(host)
            ),
            Self::Header(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AcceptError {}

impl From<HeaderError> for AcceptError {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_what_was_given_and_what_was_offered() {
        let mut error =
            AcceptError::ProtocolNotOffered { protocol: "soap".into(), offered: vec![] };
        assert_eq!(
            error.to_string(),
            "cannot accept the subprotocol \"soap\": the client offered none"
        );
        if let AcceptError::ProtocolNotOffered { offered, .. } = &mut error {
            *offered = vec!["chat".into(), "mqtt".into()];
        }
        assert_eq!(
            error.to_string(),
            "cannot accept the subprotocol \"soap\": the client offered \"chat, mqtt\""
        );
        assert_eq!(error.rejection().status(), 500);
    }

    #[test]
    fn the_client_is_told_of_its_own_mistakes_only() {
        let origin = AcceptError::OriginNotAllowed {
            origin: "https://evil.example".into(),
            host: "example.com".into(),
        };
        assert_eq!(origin.rejection().status(), 403);
        assert!(origin.rejection().reason().contains("https://evil.example"));
        let header = AcceptError::from(HeaderError::InvalidName);
        assert!(!header.rejection().reason().contains("header"));
    }
}
