//! Verifies the server's response to a client's opening handshake (RFC 6455, section 4.1).

use std::fmt;

use http::{HeaderMap, Response, StatusCode, header};

use crate::compression::{Compression, Negotiated};
use crate::handshake::agreed::Agreed;
use crate::handshake::excerpt::{excerpt, excerpt_up_to};
use crate::handshake::extension::{Extension, ExtensionError, parse_extensions};
use crate::handshake::header::{FieldError, X_WEBSOCKET_REJECT_REASON, lists, single};
use crate::handshake::key::Key;
use crate::handshake::mechanism::Mechanism;
use crate::handshake::subprotocol::Subprotocol;
use crate::handshake::version::Version;

/// The most bytes of a refusal's reason that are kept.
const LONGEST_REASON: usize = 256;

/// A client's opening handshake in a request of another HTTP client: the data needed to verify the
/// response. [`Connect::add_to`](crate::handshake::Connect::add_to) makes it, and has an example.
#[derive(Debug)]
pub struct Handshake {
    pub(crate) mechanism: Mechanism,
    pub(crate) version: Version,
    pub(crate) key: Key,
    pub(crate) protocols: Vec<Subprotocol>,
    pub(crate) compression: Option<Compression>,
}

impl Handshake {
    /// Verifies the server's response. May be called more than once.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`] for the first violation of RFC 6455, section 4.1, or RFC 8441. The
    /// connection cannot be used after it.
    pub fn verify<B>(&self, response: &Response<B>) -> Result<Agreed, HandshakeError> {
        let headers = response.headers();
        match self.mechanism {
            Mechanism::Http1Upgrade => {
                check_status(response.status(), headers, |status| status == 101)?;
                if response.version() < http::Version::HTTP_11 {
                    return Err(HandshakeError::HttpVersion(response.version()));
                }
                check_upgrade(headers)?;
                self.check_accept(headers)?;
            }
            Mechanism::ExtendedConnect => {
                check_status(response.status(), headers, |status| status.is_success())?;
            }
        }
        let protocol = self.agreed_protocol(headers)?;
        let extensions = parse_extensions(headers).map_err(HandshakeError::Extensions)?;
        let compression = agreed_compression(self.compression.as_ref(), &extensions)?;
        Ok(Agreed { protocol, extensions, compression, version: self.version })
    }

    fn check_accept(&self, headers: &HeaderMap) -> Result<(), HandshakeError> {
        let expected = self.key.accept();
        let found = single(headers, &header::SEC_WEBSOCKET_ACCEPT);
        if found == Ok(Some(expected.as_str())) {
            return Ok(());
        }
        Err(HandshakeError::Accept { found: describe(found), expected })
    }

    /// "If … this header field indicates the use of a subprotocol that was not present in the
    /// client's handshake …, the client MUST _Fail the WebSocket Connection_."
    fn agreed_protocol(&self, headers: &HeaderMap) -> Result<Option<Subprotocol>, HandshakeError> {
        let found = single(headers, &header::SEC_WEBSOCKET_PROTOCOL);
        let offered = match found {
            Ok(None) => return Ok(None),
            Ok(Some(name)) => self.protocols.iter().find(|protocol| protocol.as_str() == name),
            Err(_) => None,
        };
        match offered {
            Some(protocol) => Ok(Some(protocol.clone())),
            None => Err(HandshakeError::Protocol {
                found: describe(found),
                offered: self.protocols.iter().map(ToString::to_string).collect(),
            }),
        }
    }
}

impl Compression {
    /// Verifies the extensions in a server's response to [`offers`](Self::offers), as the client.
    /// Returns `None` if the server declined compression.
    ///
    /// Needed only if something else does the handshake: [`Opening::verify`] includes it.
    ///
    /// [`Opening::verify`]: crate::handshake::client::Opening::verify
    ///
    /// # Errors
    ///
    /// [`HandshakeError`] for an extension that was not offered, or for parameters that do not
    /// answer this offer.
    pub fn verify(&self, answered: &[Extension]) -> Result<Option<Negotiated>, HandshakeError> {
        agreed_compression(Some(self), answered)
    }
}

/// "If … this header field indicates the use of an extension that was not present in the client's
/// handshake …, the client MUST _Fail the WebSocket Connection_."
fn agreed_compression(
    offered: Option<&Compression>,
    answered: &[Extension],
) -> Result<Option<Negotiated>, HandshakeError> {
    let mut agreed = None;
    for extension in answered {
        let Some(wanted) = offered.filter(|offered| offered.method.name() == extension.name())
        else {
            return Err(HandshakeError::ExtensionNotOffered { extension: extension.to_string() });
        };
        let broken =
            |reason| HandshakeError::ExtensionAnswer { extension: extension.to_string(), reason };
        let negotiated = wanted.method.accept(wanted, &extension.pairs()).map_err(broken)?;
        if agreed.replace(negotiated).is_some() {
            return Err(broken("the extension is repeated".to_owned()));
        }
    }
    Ok(agreed)
}

fn check_status(
    status: StatusCode,
    headers: &HeaderMap,
    accepts: impl Fn(StatusCode) -> bool,
) -> Result<(), HandshakeError> {
    if accepts(status) {
        return Ok(());
    }
    let reason = headers.get(&X_WEBSOCKET_REJECT_REASON).map(|reason| {
        let reason = reason.as_bytes();
        String::from_utf8_lossy(reason.get(..LONGEST_REASON).unwrap_or(reason)).into_owned()
    });
    Err(HandshakeError::Status { status, reason })
}

fn check_upgrade(headers: &HeaderMap) -> Result<(), HandshakeError> {
    // "… contains a value that is not an ASCII case-insensitive match for the value "websocket"":
    // the value, not one of a list.
    let found = single(headers, &header::UPGRADE);
    match found {
        Ok(Some(value)) if value.eq_ignore_ascii_case("websocket") => {}
        _ => return Err(HandshakeError::Upgrade { found: describe(found) }),
    }
    // "… doesn't contain a token that is an ASCII case-insensitive match for the value "Upgrade"".
    if lists(headers, &header::CONNECTION, "upgrade") {
        return Ok(());
    }
    let all = headers.get_all(header::CONNECTION).iter().next();
    let found = all.map_or("is missing".to_owned(), |value| format!("is {}", excerpt(value)));
    Err(HandshakeError::Connection { found })
}

/// Describes the value found, to follow the name of its header.
fn describe(found: Result<Option<&str>, FieldError>) -> String {
    match found {
        Ok(Some(value)) => format!("is {}", excerpt(value)),
        Ok(None) => "is missing".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// The error for a server's response that does not open a WebSocket.
///
/// Each `found` describes the value in the response: `is "…"`, `is missing`, `appears more than
/// once`.
///
/// [`Connect::add_to`](crate::handshake::Connect::add_to) has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The server refuses, redirects, or is no WebSocket server.
    Status {
        /// The status of the response: not 101, or not of the class 2xx to an extended CONNECT.
        status: StatusCode,
        /// The `X-WebSocket-Reject-Reason`, if there is one.
        reason: Option<String>,
    },
    /// The response is HTTP/1.0, which has no upgrade.
    HttpVersion(http::Version),
    /// `Upgrade` is not `websocket`.
    Upgrade {
        /// What the response has instead.
        found: String,
    },
    /// `Connection` does not list `Upgrade`.
    Connection {
        /// What the response has instead.
        found: String,
    },
    /// `Sec-WebSocket-Accept` does not answer the key: the response is not from a WebSocket server,
    /// or answers another request.
    Accept {
        /// What the response has instead.
        found: String,
        /// The answer to the key.
        expected: String,
    },
    /// `Sec-WebSocket-Protocol` is not one of the protocols offered, in the same spelling.
    Protocol {
        /// What the response has instead.
        found: String,
        /// The protocols offered.
        offered: Vec<String>,
    },
    /// `Sec-WebSocket-Extensions` has an extension that was not offered.
    ExtensionNotOffered {
        /// The extension.
        extension: String,
    },
    /// `Sec-WebSocket-Extensions` has parameters that do not answer the offer.
    ExtensionAnswer {
        /// The extension.
        extension: String,
        /// What is wrong with them.
        reason: String,
    },
    /// `Sec-WebSocket-Extensions` cannot be parsed.
    Extensions(ExtensionError),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server's handshake: ")?;
        match self {
            Self::Status { status, reason } => {
                write!(f, "the status is {status}")?;
                // It is a sentence, of which the end may be what matters.
                let shown = reason.as_ref().map(|reason| excerpt_up_to(LONGEST_REASON, reason));
                shown.map_or(Ok(()), |reason| write!(f, ", {reason}"))
            }
            Self::HttpVersion(version) => write!(f, "{version:?} has no upgrade"),
            Self::Upgrade { found } => write!(f, "Upgrade {found}, not \"websocket\""),
            Self::Connection { found } => {
                write!(f, "Connection {found}, without \"Upgrade\"")
            }
            Self::Accept { found, expected } => {
                write!(f, "Sec-WebSocket-Accept {found}, not \"{expected}\"")
            }
            Self::Protocol { found, offered } if offered.is_empty() => {
                write!(f, "Sec-WebSocket-Protocol {found}, but none was offered")
            }
            Self::Protocol { found, offered } => write!(
                f,
                "Sec-WebSocket-Protocol {found}, which is not one of those offered: {}",
                excerpt(offered.join(", "))
            ),
            Self::ExtensionNotOffered { extension } => {
                write!(f, "the extension {} was not offered", excerpt(extension))
            }
            Self::ExtensionAnswer { extension, reason } => {
                write!(
                    f,
                    "the extension {} does not answer the offer: {reason}",
                    excerpt(extension)
                )
            }
            Self::Extensions(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for HandshakeError {}
