//! What a client asks for in its opening handshake.

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

/// What a client asks for; by default nothing but a WebSocket, over an upgrade of HTTP/1.1.
///
/// What is wrong with a value is reported by [`open`](Connect::open).
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
    /// Nothing but a WebSocket.
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers these subprotocols, in the order of preference; each call adds to them.
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

    /// Names the origin of the page on whose behalf the connection is made, in visible ASCII.
    /// Default: none.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Speaks this version. Default: [`Version::Rfc6455`].
    #[doc(alias = "webSocketVersion")]
    #[must_use]
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// Asks by these words. Default: [`Mechanism::Http1Upgrade`].
    #[must_use]
    pub fn mechanism(mut self, mechanism: Mechanism) -> Self {
        self.mechanism = mechanism;
        self
    }

    /// Adds this header to the request; each call adds one.
    ///
    /// `Host` may be set, to ask a server for a name other than the one it was reached by;
    /// `Authorization` takes the place of the URI's user and password. `Origin` has a
    /// [method of its own](Connect::origin).
    #[must_use]
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        self.headers.push(name, value);
        self
    }

    /// Keeps of the headers added so far those of which this is true, and drops the others.
    #[must_use]
    pub fn retain_headers(mut self, keep: impl FnMut(&HeaderName, &HeaderValue) -> bool) -> Self {
        self.headers.retain(keep);
        self
    }

    /// Offers to compress. Default: no compression. `towline` sets it to what the configuration
    /// says.
    #[must_use]
    pub fn compression(mut self, compression: impl Into<Option<Compression>>) -> Self {
        self.compression = compression.into();
        self
    }

    /// The subprotocols, checked.
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

    /// Whether a header of the application has no business in a request.
    pub(crate) fn check_headers(&self) -> Result<(), HeaderError> {
        let clashes = self.headers.contains(&header::ORIGIN);
        if clashes { Err(HeaderError::Reserved { name: header::ORIGIN }) } else { Ok(()) }
    }
}

/// Why there is no request to send.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The URI is not one of a WebSocket: its scheme is not `ws`, `wss`, `http` or `https`, or
    /// its host is not a name or an address.
    Uri {
        /// The URI, without user and password.
        uri: String,
    },
    /// A name of [`Connect::protocols`] is not a token, or there twice.
    Protocol(SubprotocolError),
    /// [`Connect::origin`] has a character which is not visible ASCII: a server refuses it. The
    /// host of an origin is written as browsers write it, `http://xn--9ca` rather than `http://é`.
    Origin {
        /// What was given.
        origin: String,
    },
    /// The header `Host` of [`Connect::header`] is not a host, with or without a port: a server
    /// refuses it.
    Host {
        /// What was given.
        host: String,
    },
    /// A header of [`Connect::header`] cannot be added.
    Header(HeaderError),
    /// The headers name more than one host.
    RepeatedHost,
    /// There is no key.
    Key(KeyError),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri { uri } => write!(
                f,
                "{} is not the URI of a WebSocket: that is \"ws://\" or \"wss://\", a host and a \
                 path",
                excerpt(uri)
            ),
            Self::Protocol(error) => error.fmt(f),
            Self::Origin { origin } => {
                write!(
                    f,
                    "the origin {} has a character which is not visible ASCII: write its host as \
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
