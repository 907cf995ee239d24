//! The client side of the opening handshake (RFC 6455, section 4.1).

use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};

use crate::handshake::agreed::Agreed;
use crate::handshake::authority::Authority;
use crate::handshake::connect::{Connect, RequestError};
use crate::handshake::extra_headers::HeaderError;
use crate::handshake::header::visible_value;
use crate::handshake::key::Key;
use crate::handshake::mechanism::{Mechanism, Protocol};
use crate::handshake::subprotocol::Subprotocol;
use crate::handshake::target::Target;
use crate::handshake::verifying::{Handshake, HandshakeError};

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
    handshake: Handshake,
    target: Target,
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
        let handshake = self.handshake(key)?;
        let mut request = match self.mechanism {
            // RFC 6455, section 4.1, items 2 to 4. The rest is in the headers.
            Mechanism::Http1Upgrade => {
                Request::get(target.resource()).header(header::HOST, target.authority()).body(())
            }
            Mechanism::ExtendedConnect => extended_connect(&target),
        }
        .map_err(|_| RequestError::Uri { uri: target.authority().to_owned() })?;
        self.write_headers(request.headers_mut(), &handshake)?;
        if let Some(credentials) = target.credentials() {
            let headers = request.headers_mut();
            headers.entry(header::AUTHORIZATION).or_insert_with(|| credentials.clone());
        }
        if self.mechanism == Mechanism::ExtendedConnect {
            replace_authority(&mut request)?;
        }
        Ok(Opening { handshake, target, request })
    }

    /// Starts a handshake, with a new key, in a request of another HTTP client: adds the headers. The
    /// client chooses the server, and sets the URL and `Host`.
    ///
    /// The request is a GET of HTTP/1.1. With [`Mechanism::ExtendedConnect`] it is a CONNECT of HTTP/2,
    /// whose `:protocol` the client sets to `websocket`. Headers of the same name are replaced, and
    /// `Sec-WebSocket-Protocol` and `Sec-WebSocket-Extensions` are removed if nothing is offered. If this
    /// fails, no header has been changed.
    ///
    /// ```
    /// use http::{Request, Response};
    /// use towline_proto::handshake::Connect;
    /// # let send = |_: Request<()>| Response::new(());
    ///
    /// let mut request = Request::get("https://example.com/feed").body(())?;
    /// let handshake = Connect::new().protocols(["chat.v2"]).add_to(request.headers_mut())?;
    /// assert_eq!(request.headers()["upgrade"], "websocket");
    /// let response = send(request);
    /// match handshake.verify(&response) {
    ///     Ok(agreed) => println!("the subprotocol is {:?}", agreed.protocol),
    ///     Err(error) => println!("{error}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), except for those about the URI.
    pub fn add_to(&self, headers: &mut HeaderMap) -> Result<Handshake, RequestError> {
        let handshake = self.handshake(Key::generate()?)?;
        let mut own = HeaderMap::new();
        self.write_headers(&mut own, &handshake)?;
        headers.try_reserve(own.len()).map_err(|_| HeaderError::TooMany)?;
        // An offer that was there before would be answered, and fail the handshake.
        headers.remove(header::SEC_WEBSOCKET_PROTOCOL);
        headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
        headers.extend(own);
        Ok(handshake)
    }

    fn handshake(&self, key: Key) -> Result<Handshake, RequestError> {
        let protocols = self.checked_protocols()?;
        let (mechanism, version, compression) = (self.mechanism, self.version, self.compression);
        Ok(Handshake { mechanism, version, key, protocols, compression })
    }

    fn write_headers(
        &self,
        headers: &mut HeaderMap,
        handshake: &Handshake,
    ) -> Result<(), RequestError> {
        // RFC 6455, section 4.1, items 5 to 7. RFC 8441, section 5, has neither of them.
        if self.mechanism == Mechanism::Http1Upgrade {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(header::SEC_WEBSOCKET_KEY, visible_value(handshake.key.as_str()));
        }
        let version = HeaderValue::from(u16::from(self.version.number()));
        headers.insert(header::SEC_WEBSOCKET_VERSION, version);
        if !handshake.protocols.is_empty() {
            let names: Vec<_> = handshake.protocols.iter().map(Subprotocol::as_str).collect();
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, visible_value(&names.join(", ")));
        }
        let extensions = self.offered_extensions();
        if !extensions.is_empty() {
            // On one line: some servers read only the first.
            let offers: Vec<_> = extensions.iter().map(ToString::to_string).collect();
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, visible_value(&offers.join(", ")));
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
        if has_own {
            headers.remove(header::HOST);
        }
        self.headers.append_to(headers)?;
        if has_own {
            check_host(headers)?;
        }
        Ok(())
    }
}

/// Checks that there is one `Host` of the application's, which a server can parse. The URI's is already
/// checked.
fn check_host(headers: &HeaderMap) -> Result<(), RequestError> {
    if headers.get_all(header::HOST).iter().count() > 1 {
        return Err(RequestError::RepeatedHost);
    }
    let Some(host) = headers.get(header::HOST) else { return Ok(()) };
    match host.to_str().ok().and_then(Authority::parse) {
        Some(_) => Ok(()),
        None => {
            let host = String::from_utf8_lossy(host.as_bytes()).into_owned();
            Err(RequestError::Host { host })
        }
    }
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
        &self.handshake.key
    }

    /// Verifies the server's response. May be called more than once.
    ///
    /// # Errors
    ///
    /// As [`Handshake::verify`].
    pub fn verify<B>(&self, response: &Response<B>) -> Result<Agreed, HandshakeError> {
        self.handshake.verify(response)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::handshake::version::Version;
    use http::StatusCode;
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
    fn a_handshake_in_the_request_of_another_client_leaves_the_rest_of_it() {
        let mut request = Request::get("https://example.com/feed")
            .header("Host", "example.com")
            .header("Authorization", "Bearer x")
            .header("Connection", "keep-alive")
            .header("Sec-WebSocket-Protocol", "other")
            .header("Sec-WebSocket-Extensions", "x-other")
            .header("Sec-WebSocket-Extensions", "x-another")
            .body(())
            .unwrap();
        let connect = Connect::new().protocols(["chat"]).header("Cookie", "a=b");
        let handshake = connect.add_to(request.headers_mut()).unwrap();
        let value = |name: &str| {
            let mut values = request.headers().get_all(name).iter();
            let value = values.next().unwrap().to_str().unwrap();
            assert_eq!(values.next(), None, "{name}");
            value
        };
        for (name, expected) in [
            ("host", "example.com"),
            ("authorization", "Bearer x"),
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "chat"),
            ("cookie", "a=b"),
        ] {
            assert_eq!(value(name), expected);
        }
        assert_eq!(value("sec-websocket-key"), handshake.key.as_str());
        assert!(!request.headers().contains_key("sec-websocket-extensions"));
        let mut again = request.headers().clone();
        Connect::new().add_to(&mut again).unwrap();
        assert!(!again.contains_key("sec-websocket-protocol"));

        let accept = handshake.key.accept();
        let answer = |accept: &str| {
            let mut response = response(&[("sec-websocket-protocol", "chat")]);
            let accept = HeaderValue::from_str(accept).unwrap();
            response.headers_mut().insert("sec-websocket-accept", accept);
            handshake.verify(&response)
        };
        assert_eq!(answer(&accept).unwrap().protocol.unwrap().as_str(), "chat");
        let other = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        assert!(matches!(answer(other), Err(HandshakeError::Accept { .. })));
    }

    #[test]
    fn a_handshake_that_cannot_be_added_adds_nothing() {
        for connect in [
            Connect::new().protocols(["no token"]),
            Connect::new().origin("http://\u{e9}"),
            Connect::new().header("Upgrade", "h2c"),
            Connect::new().header("Host", "a b"),
            Connect::new().header("Host", "a").header("Host", "b"),
        ] {
            let mut headers = HeaderMap::new();
            assert!(connect.add_to(&mut headers).is_err(), "{connect:?}");
            assert!(headers.is_empty(), "{headers:?}");
        }
        let mut headers = HeaderMap::new();
        let connect = Connect::new().header("Host", "virtual.example");
        headers.insert("host", HeaderValue::from_static("example.com"));
        connect.add_to(&mut headers).unwrap();
        assert_eq!(headers["host"], "virtual.example");

        let connect = connect.mechanism(Mechanism::ExtendedConnect);
        let mut headers = HeaderMap::new();
        connect.add_to(&mut headers).unwrap();
        assert!(!headers.contains_key("upgrade") && !headers.contains_key("sec-websocket-key"));
        assert_eq!(headers["sec-websocket-version"], "13");
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
