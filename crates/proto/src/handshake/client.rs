//! The client side of the opening handshake (RFC 6455, section 4.1).

use std::fmt;

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};

use crate::compression::{Compression, Negotiated};
use crate::handshake::agreed::Agreed;
use crate::handshake::authority::Authority;
use crate::handshake::connect::{Connect, RequestError};
use crate::handshake::excerpt::{excerpt, excerpt_up_to};
use crate::handshake::extension::{Extension, ExtensionError, parse_extensions};
use crate::handshake::header::{FieldError, X_WEBSOCKET_REJECT_REASON, lists, single};
use crate::handshake::key::Key;
use crate::handshake::mechanism::{Mechanism, Protocol};
use crate::handshake::subprotocol::Subprotocol;
use crate::handshake::target::Target;
use crate::handshake::version::Version;

/// The most bytes of a refusal's reason that are kept.
const LONGEST_REASON: usize = 256;

/// A client's opening handshake in progress: the request to send, and the data needed to verify the
/// response.
///
/// ```
/// use towline_proto::handshake::Connect;
///
/// let opening = Connect::new()
///     .protocols(["chat.v2"])
///     .origin("https://app.example")
///     .header("X-Berth", "7")
///     .open(&"wss://example.com:8443/feed".parse()?)?;
/// assert_eq!(opening.target().host(), "example.com");
/// assert_eq!(opening.request().uri(), "/feed");
/// assert_eq!(opening.request().headers()["host"], "example.com:8443");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Opening {
    mechanism: Mechanism,
    version: Version,
    key: Key,
    target: Target,
    protocols: Vec<Subprotocol>,
    compression: Option<Compression>,
    request: Request<()>,
}

impl Connect {
    /// Starts a handshake with the server that the URI names, with a new key.
    ///
    /// The schemes are `ws` and `wss`; `http` and `https` mean the same. The fragment is not sent
    /// (RFC 6455, section 3, forbids one). A user and password become an `Authorization` header,
    /// unless one is set already.
    ///
    /// # Errors
    ///
    /// [`RequestError`] if the URI, a protocol, the origin or a header cannot be sent, or if the
    /// operating system provides no random numbers for the key.
    pub fn open(&self, uri: &Uri) -> Result<Opening, RequestError> {
        self.open_with_key(uri, Key::generate()?)
    }

    fn open_with_key(&self, uri: &Uri, key: Key) -> Result<Opening, RequestError> {
        let target = Target::from_uri(uri).ok_or_else(|| {
            let uri = uri.to_string();
            // Errors get logged; keep the password out of them.
            let shown = match (uri.split_once("://"), uri.rsplit_once('@')) {
                (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
                (None, Some((_, rest))) => rest.to_owned(),
                (_, None) => uri,
            };
            RequestError::Uri { uri: shown }
        })?;
        let protocols = self.checked_protocols()?;
        let extensions = self.offered_extensions();
        let mut request = match self.mechanism {
            Mechanism::Http1Upgrade => upgrade(&target, &key),
            Mechanism::ExtendedConnect => extended_connect(&target),
        }
        .map_err(|_| RequestError::Uri { uri: target.authority().to_owned() })?;
        self.write_headers(request.headers_mut(), &target, &protocols, &extensions)?;
        if self.mechanism == Mechanism::ExtendedConnect {
            replace_authority(&mut request)?;
        }
        let (mechanism, version, compression) = (self.mechanism, self.version, self.compression);
        Ok(Opening { mechanism, version, key, target, protocols, compression, request })
    }

    fn write_headers(
        &self,
        headers: &mut HeaderMap,
        target: &Target,
        protocols: &[Subprotocol],
        extensions: &[Extension],
    ) -> Result<(), RequestError> {
        let version = HeaderValue::from(u16::from(self.version.number()));
        headers.insert(header::SEC_WEBSOCKET_VERSION, version);
        if !protocols.is_empty() {
            let names: Vec<_> = protocols.iter().map(Subprotocol::as_str).collect();
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, tokens(&names.join(", ")));
        }
        if !extensions.is_empty() {
            // On one line: some servers read only the first.
            let offers: Vec<_> = extensions.iter().map(ToString::to_string).collect();
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, tokens(&offers.join(", ")));
        }
        if let Some(origin) = &self.origin {
            // RFC 6454, section 7.1: an origin is ASCII. Servers refuse anything else.
            let is_ascii = origin.bytes().all(|byte| matches!(byte, b'!'..=b'~'));
            let value = HeaderValue::from_str(origin).ok().filter(|_| is_ascii);
            let value = value.ok_or_else(|| RequestError::Origin { origin: origin.clone() })?;
            headers.insert(self.version.origin_header(), value);
        }
        self.check_headers()?;
        // The application's `Host` replaces that of the URI, which was inserted first to come
        // first.
        let has_own = self.headers.contains(&header::HOST);
        let own_host = if has_own { headers.remove(header::HOST) } else { None };
        self.headers.append_to(headers)?;
        if own_host.is_some() && headers.get_all(header::HOST).iter().count() > 1 {
            return Err(RequestError::RepeatedHost);
        }
        if has_own {
            check_host(headers)?;
        }
        if let Some(credentials) = target.credentials() {
            headers.entry(header::AUTHORIZATION).or_insert_with(|| credentials.clone());
        }
        Ok(())
    }
}

/// Checks that a server can parse the application's `Host`. The URI's is already checked.
fn check_host(headers: &HeaderMap) -> Result<(), RequestError> {
    let Some(host) = headers.get(header::HOST) else { return Ok(()) };
    match host.to_str().ok().and_then(Authority::parse) {
        Some(_) => Ok(()),
        None => {
            let host = String::from_utf8_lossy(host.as_bytes()).into_owned();
            Err(RequestError::Host { host })
        }
    }
}

/// RFC 6455, section 4.1, items 2 to 7.
fn upgrade(target: &Target, key: &Key) -> Result<Request<()>, http::Error> {
    Request::get(target.resource())
        .header(header::HOST, target.authority())
        .header(header::UPGRADE, "websocket")
        .header(header::CONNECTION, "Upgrade")
        .header(header::SEC_WEBSOCKET_KEY, key.as_str())
        .body(())
}

/// RFC 8441, section 5: "the scheme of the target URI … MUST be "https" for "wss"-schemed
/// WebSockets and "http" for "ws"-schemed WebSockets"; neither key nor `Upgrade` nor
/// `Connection`.
fn extended_connect(target: &Target) -> Result<Request<()>, http::Error> {
    let uri = Uri::builder()
        .scheme(if target.is_secure() { "https" } else { "http" })
        .authority(target.authority())
        .path_and_query(target.resource())
        .build()?;
    Request::builder()
        .method(Method::CONNECT)
        .version(http::Version::HTTP_2)
        .uri(uri)
        .extension(Protocol::WEBSOCKET)
        .body(())
}

/// RFC 9113, section 8.3.1: `:authority` takes the place of `Host`, which must not differ.
fn replace_authority(request: &mut Request<()>) -> Result<(), RequestError> {
    let Some(host) = request.headers_mut().remove(header::HOST) else { return Ok(()) };
    let invalid = || RequestError::Host { host: String::from_utf8_lossy(host.as_bytes()).into() };
    let mut parts = request.uri().clone().into_parts();
    parts.authority = Some(host.as_bytes().try_into().map_err(|_| invalid())?);
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| invalid())?;
    Ok(())
}

/// Converts a value made of tokens, which is always a valid header value.
fn tokens(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static(""))
}

impl Opening {
    /// Returns the request to send.
    pub fn request(&self) -> &Request<()> {
        &self.request
    }

    /// Returns the server to send it to.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Returns the key that the server must answer. An extended CONNECT does not send it.
    pub fn key(&self) -> &Key {
        &self.key
    }

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
/// [`Opening`] has an example.
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::handshake::extra_headers::HeaderError;
    use proptest::prelude::*;

    fn open(connect: &Connect, uri: &str) -> Result<Opening, RequestError> {
        connect.open_with_key(&uri.parse().unwrap(), Key::from_nonce(*b"the sample nonce"))
    }

    fn opening(connect: &Connect) -> Opening {
        open(connect, "ws://server.example.com/chat").unwrap()
    }

    /// The response of RFC 6455, section 1.2, with headers changed: an empty value removes one, a
    /// name with a plus sign adds another.
    fn response(changes: &[(&'static str, &'static str)]) -> Response<()> {
        let mut response = Response::builder()
            .status(101)
            .header("Upgrade", "websocket")
            .header("Connection", "Upgrade")
            .header("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
            .body(())
            .unwrap();
        let headers = response.headers_mut();
        for (name, value) in changes {
            let value = HeaderValue::from_str(value).unwrap();
            match name.strip_prefix('+') {
                Some(name) => drop(headers.append(name, value)),
                None if value.is_empty() => drop(headers.remove(*name)),
                None => drop(headers.insert(*name, value)),
            }
        }
        response
    }

    #[test]
    fn the_request_of_rfc_6455_section_1_2() {
        let connect = Connect::new()
            .protocols(["chat", "superchat"])
            .origin("http://example.com")
            .header("Cookie", "a=b");
        let opening = opening(&connect);
        let request = opening.request();
        assert_eq!(request.method(), Method::GET);
        assert_eq!(request.uri(), "/chat");
        let lines: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        assert_eq!(
            lines,
            [
                "host: server.example.com",
                "upgrade: websocket",
                "connection: Upgrade",
                "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
                "sec-websocket-version: 13",
                "sec-websocket-protocol: chat, superchat",
                "origin: http://example.com",
                "cookie: a=b",
            ]
        );
        let agreed = opening.verify(&response(&[("sec-websocket-protocol", "chat")])).unwrap();
        assert_eq!(agreed.protocol.unwrap().as_str(), "chat");
        assert_eq!(opening.verify(&response(&[])).unwrap(), Agreed::default());
    }

    #[test]
    fn every_handshake_has_its_own_key() {
        let uri = "ws://a".parse().unwrap();
        let connect = Connect::new();
        assert_ne!(connect.open(&uri).unwrap().key(), connect.open(&uri).unwrap().key());
    }

    #[test]
    fn draft_8_names_its_origin_elsewhere() {
        let connect = Connect::new().version(Version::Draft8).origin("http://example.com");
        let opening = opening(&connect);
        let headers = opening.request().headers();
        assert_eq!(headers["sec-websocket-version"], "8");
        assert_eq!(headers["sec-websocket-origin"], "http://example.com");
        assert!(!headers.contains_key("origin"));
        assert_eq!(opening.verify(&response(&[])).unwrap().version, Version::Draft8);
    }

    #[test]
    fn credentials_come_from_the_uri_unless_there_is_a_header() {
        let uri = "ws://user:secret@example.com";
        let opening = open(&Connect::new(), uri).unwrap();
        let headers = opening.request().headers();
        assert_eq!(headers["authorization"], "Basic dXNlcjpzZWNyZXQ=");
        assert_eq!(headers["host"], "example.com");
        assert!(!format!("{opening:?}").contains("dXNlc"), "{opening:?}");

        let connect = Connect::new().header(header::AUTHORIZATION, "Bearer x");
        let opening = open(&connect, uri).unwrap();
        let values: Vec<_> = opening.request().headers().get_all("authorization").iter().collect();
        assert_eq!(values, ["Bearer x"]);
    }

    #[test]
    fn what_cannot_be_asked_is_an_error() {
        let error = |connect: Connect| open(&connect, "ws://a").unwrap_err();
        for name in ["Sec-WebSocket-Key", "Upgrade", "Content-Length", "Origin"] {
            let error = error(Connect::new().header(name, "1"));
            assert!(matches!(error, RequestError::Header(HeaderError::Reserved { .. })), "{name}");
        }
        let repeated = error(Connect::new().protocols(["a", "a"]));
        assert_eq!(repeated.to_string(), "Sec-WebSocket-Protocol has \"a\" more than once");
        assert!(error(Connect::new().origin("a\r\nb")).to_string().contains("\"a\\r\\nb\""));
        let hosts = Connect::new().header("host", "a").header("host", "b");
        assert_eq!(error(hosts), RequestError::RepeatedHost);

        for origin in ["http://\u{e9}", "http://a\tb", "\u{2028}", "a\u{7f}"] {
            let error = error(Connect::new().origin(origin));
            assert_eq!(error, RequestError::Origin { origin: origin.to_owned() });
            assert!(
                error.to_string().contains(&origin.as_bytes().escape_ascii().to_string()),
                "{error}"
            );
        }
        for host in ["a b", "user@a", "a:b", "", "a/b", "[::1", "\u{e9}"] {
            let value = HeaderValue::from_str(host).unwrap();
            for mechanism in [Mechanism::Http1Upgrade, Mechanism::ExtendedConnect] {
                let connect = Connect::new().mechanism(mechanism).header("Host", value.clone());
                let error = error(connect);
                assert_eq!(error, RequestError::Host { host: host.to_owned() });
                assert!(
                    error.to_string().contains(&host.as_bytes().escape_ascii().to_string()),
                    "{error}"
                );
            }
        }

        let error = open(&Connect::new(), "ftp://user:secret@a/b").unwrap_err();
        assert!(error.to_string().starts_with("\"ftp://a/b\" is not a WebSocket URI"), "{error}");
    }

    #[test]
    fn a_host_may_be_set() {
        let opening = opening(&Connect::new().header("Host", "virtual.example"));
        let hosts: Vec<_> = opening.request().headers().get_all("host").iter().collect();
        assert_eq!(hosts, ["virtual.example"]);
        assert_eq!(opening.target().host(), "server.example.com");
    }

    #[test]
    fn what_the_rfc_tolerates_is_tolerated() {
        let opening = opening(&Connect::new());
        for change in [
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, UPGRADE"),
            ("sec-websocket-accept", " s3pPLMBiTxaQ9kYGzzhZRbK+xOo= "),
            ("server", "tug"),
        ] {
            assert!(opening.verify(&response(&[change])).is_ok(), "{change:?}");
        }
    }

    #[test]
    fn a_response_that_is_not_to_the_letter_is_an_error_that_says_why() {
        let opening = opening(&Connect::new().protocols(["chat"]));
        for (name, value, message) in [
            ("upgrade", "", "Upgrade is missing, not \"websocket\""),
            ("upgrade", "h2c, websocket", "Upgrade is \"h2c, websocket\", not \"websocket\""),
            ("+upgrade", "websocket", "Upgrade appears more than once, not \"websocket\""),
            ("connection", "", "Connection is missing, without \"Upgrade\""),
            ("connection", "close", "Connection is \"close\", without \"Upgrade\""),
            (
                "sec-websocket-accept",
                "",
                "Sec-WebSocket-Accept is missing, not \"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\"",
            ),
            (
                "sec-websocket-accept",
                "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
                "Sec-WebSocket-Accept is \"S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\", not \
                 \"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\"",
            ),
            (
                "+sec-websocket-accept",
                "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
                "Sec-WebSocket-Accept appears more than once, not \
                 \"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\"",
            ),
            (
                "sec-websocket-protocol",
                "Chat",
                "Sec-WebSocket-Protocol is \"Chat\", which is not one of those offered: \"chat\"",
            ),
            ("sec-websocket-extensions", "mux; a=1", "the extension \"mux; a=1\" was not offered"),
            (
                "sec-websocket-extensions",
                "mux;",
                "Sec-WebSocket-Extensions is \"mux;\", which is invalid at byte 4",
            ),
        ] {
            let error = opening.verify(&response(&[(name, value)])).unwrap_err();
            assert_eq!(error.to_string(), format!("the server's handshake: {message}"));
        }
        let twice = [("sec-websocket-protocol", "chat"), ("+sec-websocket-protocol", "chat")];
        assert!(opening.verify(&response(&twice)).is_err());
        let mut old = response(&[]);
        *old.version_mut() = http::Version::HTTP_10;
        assert!(matches!(opening.verify(&old), Err(HandshakeError::HttpVersion(_))));
    }

    #[test]
    fn an_unasked_protocol_is_an_error() {
        let response = response(&[("sec-websocket-protocol", "chat")]);
        let error = opening(&Connect::new()).verify(&response).unwrap_err();
        assert!(error.to_string().ends_with("is \"chat\", but none was offered"), "{error}");
    }

    #[test]
    fn a_refusal_is_told_with_its_reason() {
        let mut response = response(&[("x-websocket-reject-reason", "no such room")]);
        *response.status_mut() = StatusCode::NOT_FOUND;
        let error = opening(&Connect::new()).verify(&response).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the server's handshake: the status is 404 Not Found, \"no such room\""
        );
        *response.status_mut() = StatusCode::OK;
        assert!(opening(&Connect::new()).verify(&response).is_err());
    }

    #[test]
    fn an_extended_connect_has_no_headers_of_an_upgrade() {
        let connect = Connect::new().mechanism(Mechanism::ExtendedConnect).protocols(["chat"]);
        let opening = open(&connect, "wss://user@example.com:8443/chat?a").unwrap();
        let request = opening.request();
        assert_eq!(request.method(), Method::CONNECT);
        assert_eq!(request.uri(), "https://example.com:8443/chat?a");
        assert_eq!(request.extensions().get(), Some(&Protocol::WEBSOCKET));
        let names: Vec<_> = request.headers().keys().collect();
        assert_eq!(names, ["sec-websocket-version", "sec-websocket-protocol", "authorization"]);

        // A host of the application's own is the authority.
        let connect = connect.header("Host", "other.example:81");
        let opening = open(&connect, "wss://example.com:8443/chat?a").unwrap();
        assert_eq!(opening.request().uri(), "https://other.example:81/chat?a");
        assert!(!opening.request().headers().contains_key(header::HOST));
        assert_eq!(opening.target().authority(), "example.com:8443");
        let opening =
            open(&Connect::new().mechanism(Mechanism::ExtendedConnect), "ws://h").unwrap();

        let mut response = Response::new(());
        assert_eq!(opening.verify(&response).unwrap(), Agreed::default());
        response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("soap"));
        assert!(opening.verify(&response).is_err());
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        assert!(opening.verify(&response).is_err());
    }

    proptest! {
        #[test]
        fn no_response_makes_it_panic(
            which in 0usize..5,
            value in proptest::collection::vec(32u8..=255, 0..40),
            status in 100u16..1000,
        ) {
            let names = [
                "upgrade", "connection", "sec-websocket-accept", "sec-websocket-protocol",
                "sec-websocket-extensions",
            ];
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                let mut response = response(&[]);
                response.headers_mut().insert(names[which], value);
                let opening = opening(&Connect::new().protocols(["chat"]));
                let _ = opening.verify(&response);
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                let _ = opening.verify(&response).map_err(|error| error.to_string());
            }
        }
    }
}
