//! The options of a client's opening handshake.

use std::collections::HashSet;
use std::fmt;

use http::{HeaderName, HeaderValue, header};

use crate::compression::Compression;
use crate::handshake::excerpt::excerpt;
use crate::handshake::extension::Extension;
use crate::handshake::extra_headers::{ExtraHeaders, HeaderError};
use crate::handshake::key::KeyError;
use crate::handshake::mechanism::Mechanism;
use crate::handshake::subprotocol::{Subprotocol, SubprotocolError};
use crate::handshake::version::Version;

/// The options of a client's opening handshake.
///
/// The default is a plain WebSocket over an HTTP/1.1 upgrade: no subprotocols, no origin, no
/// compression, no extra headers. [`open`](Connect::open) reports invalid values.
///
/// [`Opening`](crate::handshake::Opening) has an example.
#[derive(Debug, Clone, Default)]
pub struct Connect {
    pub(crate) mechanism: Mechanism,
    pub(crate) version: Version,
    pub(crate) origin: Option<String>,
    pub(crate) headers: ExtraHeaders,
    pub(crate) compression: Option<Compression>,
    protocols: Vec<String>,
}

impl Connect {
    /// Creates the default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers these subprotocols, in order of preference; each call adds to the list.
    #[doc(alias = "requestedProtocols")]
    #[must_use]
    pub fn protocols<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.protocols.extend(names.into_iter().map(Into::into));
        self
    }

    /// Sets the origin of the page that the connection is made for, in visible ASCII. Default:
    /// none.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Sets the protocol version to request. Default: [`Version::Rfc6455`].
    #[doc(alias = "webSocketVersion")]
    #[must_use]
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// Sets the HTTP mechanism of the request. Default: [`Mechanism::Http1Upgrade`].
    #[must_use]
    pub fn mechanism(mut self, mechanism: Mechanism) -> Self {
        self.mechanism = mechanism;
        self
    }

    /// Adds this header to the request; each call adds one.
    ///
    /// `Host` may be set, to ask for a virtual host other than that of the URI. `Authorization`
    /// replaces the user and password of the URI. `Origin` is not allowed here: use
    /// [`origin`](Connect::origin).
    #[must_use]
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        self.headers.push(name, value);
        self
    }

    /// Keeps the headers added so far for which `keep` returns `true`, and removes the others.
    #[must_use]
    pub fn retain_headers(mut self, keep: impl FnMut(&HeaderName, &HeaderValue) -> bool) -> Self {
        self.headers.retain(keep);
        self
    }

    /// Offers compression. Default: none. `towline` sets this from its configuration.
    #[must_use]
    pub fn compression(mut self, compression: impl Into<Option<Compression>>) -> Self {
        self.compression = compression.into();
        self
    }

    /// Returns the subprotocols, or the error for the first invalid one.
    pub(crate) fn checked_protocols(&self) -> Result<Vec<Subprotocol>, SubprotocolError> {
        let mut seen = HashSet::new();
        let check = |name: &String| {
            // RFC 6455, section 4.1: the elements "MUST all be unique strings".
            if !seen.insert(name.clone()) {
                return Err(SubprotocolError::Repeated(excerpt(name)));
            }
            Subprotocol::new(name.clone())
        };
        self.protocols.iter().map(check).collect()
    }

    /// The extensions to offer.
    pub(crate) fn offered_extensions(&self) -> Vec<Extension> {
        self.compression.iter().flat_map(Compression::offers).collect()
    }

    /// Rejects headers that may not be set on a request.
    pub(crate) fn check_headers(&self) -> Result<(), HeaderError> {
        let clashes = self.headers.contains(&header::ORIGIN);
        if clashes { Err(HeaderError::Reserved { name: header::ORIGIN }) } else { Ok(()) }
    }
}

/// The error for a request that cannot be made.
///
/// ```
/// use towline_proto::handshake::{Connect, RequestError};
///
/// let error = Connect::new().protocols(["no token"]).open(&"ws://example.com/".parse().unwrap());
/// assert!(matches!(error, Err(RequestError::Protocol(_))));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The URI is not a WebSocket URI: its scheme is not `ws`, `wss`, `http` or `https`, or its
    /// host is neither a name nor an address.
    Uri {
        /// The URI, without user and password.
        uri: String,
    },
    /// A name in [`Connect::protocols`] is not a token, or is repeated.
    Protocol(SubprotocolError),
    /// [`Connect::origin`] has a character outside visible ASCII, which servers refuse. Write an
    /// internationalized host as browsers do: `http://xn--9ca` rather than `http://é`.
    Origin {
        /// The value given.
        origin: String,
    },
    /// The `Host` set with [`Connect::header`] is not a host with an optional port, so a server
    /// would refuse it.
    Host {
        /// The value given.
        host: String,
    },
    /// A header set with [`Connect::header`] cannot be added.
    Header(HeaderError),
    /// `Host` is set more than once.
    RepeatedHost,
    /// No `Sec-WebSocket-Key` could be generated.
    Key(KeyError),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri { uri } => write!(
                f,
                "{} is not a WebSocket URI: expected \"ws://\" or \"wss://\", a host and a path",
                excerpt(uri)
            ),
            Self::Protocol(error) => error.fmt(f),
            Self::Origin { origin } => {
                write!(
                    f,
                    "the origin {} has a character outside visible ASCII: write its host as \
                     browsers do, such as \"http://xn--9ca\"",
                    excerpt(origin)
                )
            }
            Self::Host { host } => {
                write!(f, "the header Host is {}, which is not a host and a port", excerpt(host))
            }
            Self::Header(error) => error.fmt(f),
            Self::RepeatedHost => f.write_str("the header Host is set more than once"),
            Self::Key(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RequestError {}

impl From<SubprotocolError> for RequestError {
    fn from(error: SubprotocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<HeaderError> for RequestError {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}

impl From<KeyError> for RequestError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn protocols_are_tokens_and_unique() {
        let checked = |names: &[&str]| Connect::new().protocols(names.to_vec()).checked_protocols();
        assert_eq!(checked(&["chat.v2", "chat.v1"]).unwrap().len(), 2);
        for bad in [&["a", "a"][..], &["a b"], &[""], &["a,b"]] {
            assert!(checked(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn headers_that_are_not_kept_are_not_sent() {
        let connect = Connect::new().header("X-A", "1").header("Cookie", "a=b").header("X-A", "2");
        let uri = "ws://h/".parse().unwrap();
        let names = |connect: &Connect| {
            let opening = connect.open(&uri).unwrap();
            ["x-a", "cookie"].map(|name| opening.request().headers().get_all(name).iter().count())
        };
        assert_eq!(names(&connect), [2, 1]);
        let kept = connect.clone().retain_headers(|_, value| !value.is_sensitive());
        assert_eq!(names(&kept), [2, 0]);
        let kept = connect.retain_headers(|name, _| name == "cookie");
        assert_eq!(names(&kept), [0, 1]);
    }

    #[test]
    fn protocols_add_up() {
        let connect = Connect::new().protocols(["a"]).protocols(vec![String::from("b")]);
        let names = connect.checked_protocols().unwrap();
        assert_eq!(names.iter().map(Subprotocol::as_str).collect::<Vec<_>>(), ["a", "b"]);
    }
}
