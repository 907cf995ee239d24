//! How a server accepts a handshake, and what can be wrong with that.

use std::fmt;

use http::{HeaderName, HeaderValue, StatusCode};

use crate::compression::Compression;
use crate::handshake::cookie::SetCookie;
use crate::handshake::excerpt::excerpt;
use crate::handshake::extra_headers::{ExtraHeaders, HeaderError};
use crate::handshake::rejection::Rejection;

/// With what a server accepts a request; by default with no subprotocol, and only if its policy
/// allows the origin.
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
    pub(crate) protocol: Option<String>,
    pub(crate) origin: Option<String>,
    pub(crate) cookies: Vec<SetCookie>,
    pub(crate) headers: ExtraHeaders,
    pub(crate) over_tls: bool,
    /// `None` where nothing is said, which leaves it to the server.
    compression: Option<Option<Compression>>,
}

impl Accept {
    /// With no subprotocol, and only if the server's policy allows the origin.
    pub fn new() -> Self {
        Self::default()
    }

    /// Speaks this subprotocol, which must be one that the client offered, in whatever case. The
    /// response names it as the client did.
    #[doc(alias = "acceptedProtocol")]
    #[must_use]
    pub fn protocol(mut self, name: impl Into<String>) -> Self {
        self.protocol = Some(name.into());
        self
    }

    /// Allows this origin and no other, whatever the server's policy. A request without an origin
    /// is not a browser's and is accepted all the same.
    #[doc(alias = "allowedOrigin")]
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Sets this cookie; each call adds one.
    #[doc(alias = "cookies")]
    #[must_use]
    pub fn cookie(mut self, cookie: SetCookie) -> Self {
        self.cookies.push(cookie);
        self
    }

    /// Adds this header to the response; each call adds one. A header that cannot be added makes
    /// the acceptance fail with [`AcceptError::Header`].
    #[must_use]
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        self.headers.push(name, value);
        self
    }

    /// Compresses this connection in this way, or not at all, whatever the server's configuration
    /// says; if the client offers it in a way that this can meet. Default: what the configuration
    /// says, which without a server is no compression.
    ///
    /// A server without `assemble_fragments` hands out frames, and so never compresses.
    #[must_use]
    pub fn compression(mut self, compression: impl Into<Option<Compression>>) -> Self {
        self.compression = Some(compression.into());
        self
    }

    /// Says that the request came over TLS, so that [`SameOrigin`] asks for a page of `https`.
    /// Default: off, for what is not known. `towline` sets it where it knows.
    ///
    /// [`SameOrigin`]: crate::handshake::OriginPolicy::SameOrigin
    #[must_use]
    pub fn over_tls(mut self, on: bool) -> Self {
        self.over_tls = on;
        self
    }

    /// The same where [`compression`](Self::compression) was not set, for who serves by a
    /// configuration.
    #[must_use]
    pub fn compression_by_default(mut self, compression: impl Into<Option<Compression>>) -> Self {
        self.compression.get_or_insert(compression.into());
        self
    }

    /// The compression to negotiate.
    pub(crate) fn wanted_compression(&self) -> Option<Compression> {
        self.compression.flatten()
    }
}

/// Why a request was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcceptError {
    /// [`Accept::protocol`] names a protocol which the client did not offer.
    ///
    /// RFC 6455, section 4.2.2: "The value chosen MUST be derived from the client's handshake,
    /// specifically by selecting one of the values from the |Sec-WebSocket-Protocol| field".
    ProtocolNotOffered {
        /// The name given.
        protocol: String,
        /// The names that the client offered.
        offered: Vec<String>,
    },
    /// The request comes from a page of an origin which is not allowed.
    OriginNotAllowed {
        /// The origin, as the request has it.
        origin: String,
        /// The host that the request is for.
        host: String,
    },
    /// A header of [`Accept::header`] cannot be added.
    Header(HeaderError),
}

impl AcceptError {
    /// What to tell the client: 403 for its origin, 500 for what is the application's mistake.
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
