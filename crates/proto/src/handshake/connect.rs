//! What a client asks for in its opening handshake.

use std::collections::HashSet;
use std::{error, fmt};

use http::{HeaderName, HeaderValue, header};

use super::excerpt::excerpt;
use super::extension::Extension;
use super::extra_headers::{ExtraHeaders, HeaderError};
use super::key::KeyError;
use super::subprotocol::{Subprotocol, SubprotocolError};
use super::transport::Transport;
use super::version::Version;

/// What a client asks for; by default nothing but a WebSocket, over an upgrade of HTTP/1.1.
///
/// What is wrong with a value is reported by [`open`](Connect::open).
#[derive(Clone, Debug, Default)]
pub struct Connect {
    pub(super) transport: Transport,
    pub(super) version: Version,
    pub(super) origin: Option<String>,
    pub(super) headers: ExtraHeaders,
    protocols: Vec<String>,
}

impl Connect {
    /// Nothing but a WebSocket.
    pub fn new() -> Connect {
        Connect::default()
    }

    /// Offers these subprotocols, in the order of preference; each call adds to them.
    #[doc(alias = "requestedProtocols")]
    #[must_use]
    pub fn protocols<I>(mut self, names: I) -> Connect
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.protocols.extend(names.into_iter().map(Into::into));
        self
    }

    /// Names the origin of the page on whose behalf the connection is made. Default: none.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Connect {
        self.origin = Some(origin.into());
        self
    }

    /// Speaks this version. Default: [`Version::Rfc6455`].
    #[doc(alias = "webSocketVersion")]
    #[must_use]
    pub fn version(mut self, version: Version) -> Connect {
        self.version = version;
        self
    }

    /// Asks by these words. Default: [`Transport::Http1Upgrade`].
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Connect {
        self.transport = transport;
        self
    }

    /// Adds this header to the request; each call adds one.
    ///
    /// `Host` may be set, to ask a server for a name other than the one it was reached by;
    /// `Authorization` takes the place of the URI's user and password. `Origin` has a
    /// [method of its own](Connect::origin).
    #[must_use]
    pub fn header<N, V>(mut self, name: N, value: V) -> Connect
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        self.headers.push(name, value);
        self
    }

    /// The subprotocols, checked.
    pub(super) fn checked_protocols(&self) -> Result<Vec<Subprotocol>, SubprotocolError> {
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

    /// The extensions to offer. None is known yet.
    pub(super) fn offered_extensions(&self) -> Vec<Extension> {
        Vec::new()
    }

    /// Whether a header of the application has no business in a request.
    pub(super) fn check_headers(&self) -> Result<(), HeaderError> {
        let clashes = self.headers.contains(&header::ORIGIN);
        if clashes { Err(HeaderError::Reserved { name: header::ORIGIN }) } else { Ok(()) }
    }
}

/// Why there is no request to send.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// [`Connect::origin`] cannot be the value of a header.
    Origin {
        /// What was given.
        origin: String,
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
            RequestError::Uri { uri } => write!(
                f,
                "{} is not the URI of a WebSocket: that is \"ws://\" or \"wss://\", a host and a \
                 path",
                excerpt(uri)
            ),
            RequestError::Protocol(error) => error.fmt(f),
            RequestError::Origin { origin } => {
                write!(f, "the origin {} has a control character", excerpt(origin))
            }
            RequestError::Header(error) => error.fmt(f),
            RequestError::RepeatedHost => f.write_str("the header Host is set more than once"),
            RequestError::Key(error) => error.fmt(f),
        }
    }
}

impl error::Error for RequestError {}

impl From<SubprotocolError> for RequestError {
    fn from(error: SubprotocolError) -> RequestError {
        RequestError::Protocol(error)
    }
}

impl From<HeaderError> for RequestError {
    fn from(error: HeaderError) -> RequestError {
        RequestError::Header(error)
    }
}

impl From<KeyError> for RequestError {
    fn from(error: KeyError) -> RequestError {
        RequestError::Key(error)
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
    fn protocols_add_up() {
        let connect = Connect::new().protocols(["a"]).protocols(vec![String::from("b")]);
        let names = connect.checked_protocols().unwrap();
        assert_eq!(names.iter().map(Subprotocol::as_str).collect::<Vec<_>>(), ["a", "b"]);
    }
}
