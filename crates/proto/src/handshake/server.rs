//! The server side of the opening handshake (RFC 6455, section 4.2).

use http::{HeaderValue, Request, Response, StatusCode, Uri, header};

use crate::compression::Negotiated;
use crate::handshake::accept::{Accept, AcceptError, Protocols};
use crate::handshake::agreed::Agreed;
use crate::handshake::cookie::{Cookie, parse_cookies};
use crate::handshake::extension::{Extension, parse_extensions};
use crate::handshake::header::visible_value;
use crate::handshake::key::Key;
use crate::handshake::mechanism::Mechanism;
use crate::handshake::origin::{Origin, OriginPolicy};
use crate::handshake::reading::{
    bad, check_extended_connect, check_upgrade, read_host, read_key, read_origin, read_resource,
    read_version,
};
use crate::handshake::rejection::Rejection;
use crate::handshake::subprotocol::{Subprotocol, find, parse_subprotocols};
use crate::handshake::version::Version;

/// A client's opening handshake, validated and parsed.
///
/// A server inspects it, then [accepts](Offer::accept) it or answers with a [`Rejection`].
///
/// ```
/// use towline_proto::handshake::{Accept, Offer, OriginPolicy};
///
/// let request = http::Request::get("/chat?room=7")
///     .header("Host", "example.com")
///     .header("Upgrade", "websocket")
///     .header("Connection", "keep-alive, Upgrade")
///     .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
///     .header("Sec-WebSocket-Version", "13")
///     .header("Sec-WebSocket-Protocol", "Chat.v2, chat.v1")
///     .body(())?;
///
/// let offer = Offer::from_request(&request)?;
/// assert_eq!(offer.path(), "/chat");
///
/// let accept = Accept::new().protocol("chat.v2");
/// let (response, agreed) = offer.accept(&accept, &OriginPolicy::SameOrigin)?;
/// assert_eq!(response.status(), 101);
/// assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// assert_eq!(response.headers()["sec-websocket-protocol"], "Chat.v2");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[doc(alias = "WebSocketRequest")]
pub struct Offer {
    mechanism: Mechanism,
    key: Option<Key>,
    version: Version,
    host: String,
    uri: Uri,
    resource: String,
    origin: Option<String>,
    protocols: Vec<Subprotocol>,
    extensions: Vec<Extension>,
    cookies: Vec<Cookie>,
}

impl Offer {
    /// Parses a client's opening handshake.
    ///
    /// The request determines the [`Mechanism`], see [`Mechanism::of`]: a request with a
    /// [`Protocol`](crate::handshake::mechanism::Protocol) extension, or of HTTP/2 or later, must
    /// be an extended CONNECT. Any other must be an upgrade.
    ///
    /// # Errors
    ///
    /// [`Rejection`] for the first violation of RFC 6455, section 4.2.1, or RFC 8441, section 5:
    ///
    /// | status | over HTTP/1.1 |
    /// | --- | --- |
    /// | 405 | the method is not `GET` |
    /// | 400 | HTTP/1.0 |
    /// | 426 | no `Upgrade: websocket` or no `Connection: Upgrade`: an ordinary request |
    /// | 426 | the version is not supported; `Sec-WebSocket-Version` lists those that are |
    /// | 400 | the key or the host is missing, repeated or invalid; any other header is invalid |
    /// | 400 | the request has a body, whose end a proxy and the server could place differently |
    ///
    /// Over HTTP/2 or HTTP/3, the status is 405 for an ordinary request, 501 for another protocol,
    /// and 400 for everything else.
    pub fn from_request<B>(request: &Request<B>) -> Result<Self, Rejection> {
        Self::from_request_since(Version::Draft8, request)
    }

    /// Like [`from_request`](Self::from_request), but does not support versions older than
    /// `oldest`: with [`Version::Rfc6455`], a client of draft 8 is asked to use version 13.
    ///
    /// # Errors
    ///
    /// As [`from_request`](Self::from_request).
    pub fn from_request_since<B>(oldest: Version, request: &Request<B>) -> Result<Self, Rejection> {
        let (headers, uri) = (request.headers(), request.uri());
        let mechanism = Mechanism::of(request);
        match mechanism {
            Mechanism::Http1Upgrade => {
                check_upgrade(request.method(), request.version(), headers)?;
            }
            Mechanism::ExtendedConnect => {
                check_extended_connect(request.method(), request.extensions())?;
            }
        }
        let version = read_version(headers, mechanism, oldest)?;
        let key = match mechanism {
            Mechanism::Http1Upgrade => Some(read_key(headers)?),
            Mechanism::ExtendedConnect => None,
        };
        Ok(Self {
            mechanism,
            key,
            version,
            host: read_host(uri, headers, mechanism)?,
            uri: uri.clone(),
            resource: read_resource(uri)?,
            origin: read_origin(headers, version)?,
            protocols: parse_subprotocols(headers).map_err(|error| bad(error.to_string()))?,
            extensions: parse_extensions(headers).map_err(|error| bad(error.to_string()))?,
            cookies: parse_cookies(headers),
        })
    }

    /// Returns the HTTP mechanism of the request.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Returns the client's key. An extended CONNECT has none.
    pub fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    /// Returns the protocol version that the client asks for.
    #[doc(alias("webSocketVersion", "websocketVersion"))]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Returns the host that the request is for, from `Host` or `:authority`. Includes the port if
    /// the client sent one.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the target of the request. Over HTTP/1.1 it usually has only a path and a query.
    #[doc(alias = "resourceURL")]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Returns the path and the query: `/chat?room=7`.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Returns the path: `/chat`.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// Returns the query, without the question mark: `room=7`.
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// Returns the origin of the page that made the request, from `Origin`, or `None` if the
    /// request does not come from a page. Clients of draft 8 send it in `Sec-WebSocket-Origin`.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// Returns the subprotocols that the client offers, in its order of preference.
    ///
    /// WebSocket-Node returns them in lower case: see [`Subprotocol::lower_case`].
    #[doc(alias = "requestedProtocols")]
    pub fn protocols(&self) -> &[Subprotocol] {
        &self.protocols
    }

    /// Returns the first of these protocols, in the server's order of preference, that the client
    /// offers. Ignores ASCII case.
    pub fn choose_protocol<I>(&self, supported: I) -> Option<&Subprotocol>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        supported.into_iter().find_map(|name| find(&self.protocols, name.as_ref()))
    }

    /// Returns the extensions that the client offers, in its order of preference.
    #[doc(alias = "requestedExtensions")]
    pub fn extensions(&self) -> &[Extension] {
        &self.extensions
    }

    /// Returns the cookies of the request; see [`parse_cookies`].
    pub fn cookies(&self) -> &[Cookie] {
        &self.cookies
    }

    /// Accepts the request. Returns the response to send, and the parameters that apply once it is
    /// sent.
    ///
    /// The status is 101 for an upgrade, 200 for an extended CONNECT.
    ///
    /// # Errors
    ///
    /// [`AcceptError`] if the origin is not allowed (by [`Accept::origin`] if set, otherwise by the
    /// policy), if the protocol was not offered, or if a header cannot be added. The offer stays
    /// usable: accept it with other options, or answer with [`AcceptError::rejection`].
    pub fn accept(
        &self,
        accept: &Accept,
        policy: &OriginPolicy,
    ) -> Result<(Response<()>, Agreed), AcceptError> {
        self.check_origin(accept, policy)?;
        let protocol = self.agree_on_protocol(accept)?;
        let compression =
            accept.wanted_compression().and_then(|wanted| wanted.answer(&self.extensions));
        let extensions: Vec<_> = compression.iter().map(Negotiated::extension).collect();

        let mut response = Response::new(());
        let headers = response.headers_mut();
        if let Some(key) = &self.key {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, visible_value(&key.accept()));
        }
        if let Some(protocol) = protocol {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, visible_value(protocol.as_str()));
        }
        for extension in &extensions {
            headers.append(header::SEC_WEBSOCKET_EXTENSIONS, visible_value(&extension.to_string()));
        }
        for cookie in &accept.cookies {
            headers.append(header::SET_COOKIE, cookie.to_header_value());
        }
        accept.headers.append_to(headers)?;
        *response.status_mut() = match self.mechanism {
            Mechanism::Http1Upgrade => StatusCode::SWITCHING_PROTOCOLS,
            Mechanism::ExtendedConnect => StatusCode::OK,
        };
        let protocol = protocol.cloned();
        Ok((response, Agreed { protocol, extensions, compression, version: self.version }))
    }

    fn check_origin(&self, accept: &Accept, policy: &OriginPolicy) -> Result<(), AcceptError> {
        let Some(origin) = self.origin() else { return Ok(()) };
        let allowed = match &accept.origin {
            // An application that passes on the request's own origin allows it, even if it cannot
            // be parsed.
            Some(confirmed) => {
                confirmed == origin
                    || matches!(
                        (Origin::parse(confirmed), Origin::parse(origin)),
                        (Ok(confirmed), Ok(origin)) if confirmed == origin
                    )
            }
            None => policy.check(Some(origin), &self.host, accept.over_tls),
        };
        if allowed {
            return Ok(());
        }
        Err(AcceptError::OriginNotAllowed { origin: origin.to_owned(), host: self.host.clone() })
    }

    fn agree_on_protocol(&self, accept: &Accept) -> Result<Option<&Subprotocol>, AcceptError> {
        let name = match &accept.protocols {
            Protocols::None => return Ok(None),
            Protocols::One(name) => name,
            Protocols::FirstOf(names) => return Ok(self.choose_protocol(names)),
        };
        match find(&self.protocols, name) {
            Some(protocol) => Ok(Some(protocol)),
            None => Err(AcceptError::ProtocolNotOffered {
                protocol: name.clone(),
                offered: self.protocols.iter().map(ToString::to_string).collect(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::handshake::cookie::SetCookie;
    use crate::handshake::mechanism::Protocol;
    use http::{HeaderName, Method};
    use proptest::prelude::*;

    /// The request of RFC 6455, section 1.2, with headers changed: an empty value removes one, a
    /// name with a plus sign adds another.
    fn request(changes: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::get("/chat?room=7")
            .header("Host", "server.example.com")
            .header("Upgrade", "websocket")
            .header("Connection", "Upgrade")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("Origin", "http://example.com")
            .header("Sec-WebSocket-Protocol", "Chat, superchat")
            .header("Sec-WebSocket-Version", "13")
            .body(())
            .unwrap();
        let headers = request.headers_mut();
        for (name, value) in changes {
            let line = HeaderName::from_bytes(name.trim_start_matches('+').as_bytes()).unwrap();
            match HeaderValue::from_bytes(value.as_bytes()).unwrap() {
                value if name.starts_with('+') => drop(headers.append(line, value)),
                value if value.is_empty() => drop(headers.remove(line)),
                value => drop(headers.insert(line, value)),
            }
        }
        request
    }

    fn connect(protocol: &str) -> Request<()> {
        let mut request = Request::connect("https://server.example.com/chat?room=7")
            .version(http::Version::HTTP_2)
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Protocol", "chat")
            .header("Origin", "https://server.example.com")
            .body(())
            .unwrap();
        request.extensions_mut().insert(Protocol::new(protocol));
        request
    }

    fn offer(changes: &[(&str, &str)]) -> Offer {
        Offer::from_request(&request(changes)).unwrap()
    }

    fn refused(changes: &[(&str, &str)]) -> Rejection {
        Offer::from_request(&request(changes)).unwrap_err()
    }

    #[test]
    fn the_example_of_rfc_6455_section_1_2() {
        let offer = offer(&[("Cookie", "a=1; b=2"), ("Sec-WebSocket-Extensions", "foo; bar")]);
        assert_eq!(offer.mechanism(), Mechanism::Http1Upgrade);
        assert_eq!(offer.key().unwrap().as_str(), "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(offer.version(), Version::Rfc6455);
        assert_eq!(offer.host(), "server.example.com");
        assert_eq!(offer.uri(), "/chat?room=7");
        assert_eq!(offer.resource(), "/chat?room=7");
        assert_eq!((offer.path(), offer.query()), ("/chat", Some("room=7")));
        assert_eq!(offer.origin(), Some("http://example.com"));
        assert_eq!(offer.protocols()[0].lower_case(), "chat");
        assert_eq!(offer.extensions()[0].to_string(), "foo; bar");
        assert_eq!(offer.cookies().len(), 2);

        let (response, agreed) =
            offer.accept(&Accept::new().protocol("chat"), &OriginPolicy::Any).unwrap();
        assert_eq!(response.status(), 101);
        let lines: Vec<_> =
            response.headers().iter().map(|(name, value)| (name.as_str(), value)).collect();
        assert_eq!(
            lines,
            [
                ("upgrade", "websocket"),
                ("connection", "Upgrade"),
                ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
                ("sec-websocket-protocol", "Chat"),
            ]
            .map(|(name, value)| (name, HeaderValue::from_static(value)))
            .each_ref()
            .map(|(name, value)| (*name, value)),
        );
        assert_eq!(agreed.protocol.unwrap().as_str(), "Chat");
        assert_eq!(agreed.extensions, []);
        assert_eq!(agreed.version, Version::Rfc6455);
    }

    #[test]
    fn headers_are_read_as_lists_without_case() {
        offer(&[("Upgrade", "foo, WebSocket"), ("Connection", "keep-alive, UPGRADE")]);
        offer(&[("Connection", "keep-alive"), ("+Connection", "upgrade")]);
        offer(&[("Content-Length", "0")]);
    }

    #[test]
    fn an_ordinary_request_is_told_to_upgrade() {
        for change in [
            ("Upgrade", ""),
            ("Upgrade", "h2c"),
            ("Upgrade", "websocket/13"),
            ("Connection", ""),
            ("Connection", "keep-alive"),
        ] {
            let rejection = refused(&[change]);
            assert_eq!(rejection.status(), 426, "{change:?}");
            let response = rejection.response(Mechanism::Http1Upgrade);
            assert_eq!(response.headers()["upgrade"], "websocket");
            assert_eq!(response.headers()["connection"], "Upgrade, close");
        }
    }

    #[test]
    fn only_get_over_http_1_1_is_an_upgrade() {
        let mut post = request(&[]);
        *post.method_mut() = Method::POST;
        let rejection = Offer::from_request(&post).unwrap_err();
        assert_eq!(rejection.status(), 405);
        let response = rejection.response(Mechanism::Http1Upgrade);
        assert_eq!(response.headers()["allow"], "GET");
        assert_eq!(
            response.headers()["x-websocket-reject-reason"],
            "a WebSocket is opened by GET, not by \"POST\""
        );
        let mut old = request(&[]);
        *old.version_mut() = http::Version::HTTP_10;
        assert_eq!(Offer::from_request(&old).unwrap_err().status(), 400);
    }

    #[test]
    fn an_unknown_version_is_told_the_known_ones() {
        for version in ["8", "7", ""] {
            let request = request(&[("Sec-WebSocket-Version", version)]);
            let rejection = Offer::from_request_since(Version::Rfc6455, &request).unwrap_err();
            assert_eq!(rejection.status(), 426, "{version}");
            assert!(rejection.reason().ends_with("supported is 13"), "{}", rejection.reason());
            let response = rejection.response(Mechanism::Http1Upgrade);
            assert_eq!(response.headers()["sec-websocket-version"], "13");
        }
        assert!(Offer::from_request_since(Version::Rfc6455, &request(&[])).is_ok());
        for version in ["", "7", "14", "013", "13, 8", "x"] {
            let rejection = refused(&[("Sec-WebSocket-Version", version)]);
            assert_eq!(rejection.status(), 426, "{version}");
            let response = rejection.response(Mechanism::Http1Upgrade);
            assert_eq!(response.headers()["sec-websocket-version"], "13, 8");
        }
        assert_eq!(refused(&[("+Sec-WebSocket-Version", "13")]).status(), 400);
    }

    #[test]
    fn what_the_rfc_does_not_allow_is_a_bad_request_that_says_why() {
        for (name, value, reason) in [
            ("Sec-WebSocket-Key", "", "Sec-WebSocket-Key is missing"),
            ("Sec-WebSocket-Key", "abc", "Sec-WebSocket-Key is \"abc\", which is not 16 bytes"),
            ("+Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Key appears more"),
            ("Host", "", "Host is missing"),
            ("+Host", "other", "Host appears more than once"),
            ("Host", "a b", "the host \"a b\" is not"),
            ("Host", "user@a", "the host \"user@a\" is not"),
            ("Host", "\u{e9}", "Host has a character"),
            ("+Origin", "http://a", "Origin appears more than once"),
            ("Sec-WebSocket-Protocol", "a, a", "Sec-WebSocket-Protocol has \"a\" more than once"),
            ("Sec-WebSocket-Protocol", "a/b", "Sec-WebSocket-Protocol: \"a/b\" is not a token"),
            (
                "Sec-WebSocket-Extensions",
                "a;",
                "Sec-WebSocket-Extensions is \"a;\", which is invalid",
            ),
            ("Content-Length", "5", "a request for a WebSocket has no body"),
            ("Transfer-Encoding", "chunked", "a request for a WebSocket has no body"),
        ] {
            let rejection = refused(&[(name, value)]);
            assert_eq!(rejection.status(), 400, "{name}: {value}");
            assert!(rejection.reason().starts_with(reason), "{}", rejection.reason());
        }
    }

    #[test]
    fn the_target_names_the_host_if_it_is_absolute() {
        let mut absolute = request(&[]);
        *absolute.uri_mut() = "http://other.example:81?x".parse().unwrap();
        let offer = Offer::from_request(&absolute).unwrap();
        assert_eq!((offer.host(), offer.resource()), ("other.example:81", "/?x"));
        for bad in ["*", "example.com:80"] {
            *absolute.uri_mut() = bad.parse().unwrap();
            assert_eq!(Offer::from_request(&absolute).unwrap_err().status(), 400, "{bad}");
        }
    }

    #[test]
    fn only_offered_protocols_are_accepted_and_in_the_client_s_spelling() {
        let offer = offer(&[("Sec-WebSocket-Protocol", "Chat.V2, soap")]);
        let accept = |name: &str| offer.accept(&Accept::new().protocol(name), &OriginPolicy::Any);
        let (response, agreed) = accept("CHAT.v2").unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "Chat.V2");
        assert_eq!(agreed.protocol.unwrap().lower_case(), "chat.v2");
        assert_eq!(
            accept("mqtt").unwrap_err().to_string(),
            "cannot accept the subprotocol \"mqtt\": the client offered \"Chat.V2, soap\""
        );
        assert!(accept("Chat.V2, soap").is_err());
        assert!(accept("").is_err());

        let (response, agreed) = offer.accept(&Accept::new(), &OriginPolicy::Any).unwrap();
        assert!(!response.headers().contains_key("sec-websocket-protocol"));
        assert_eq!(agreed.protocol, None);
        assert_eq!(offer.choose_protocol(["mqtt", "SOAP"]).unwrap().as_str(), "soap");
        assert_eq!(offer.choose_protocol(["mqtt"]), None);
    }

    #[test]
    fn the_first_supported_protocol_that_is_offered_is_accepted() {
        let offer = offer(&[("Sec-WebSocket-Protocol", "chat.v1, Chat.V2")]);
        let agreed = |accept: Accept| {
            let (response, agreed) = offer.accept(&accept, &OriginPolicy::Any).unwrap();
            let header = response.headers().get("sec-websocket-protocol");
            let protocol = agreed.protocol.map(|protocol| protocol.as_str().to_owned());
            assert_eq!(header.map(|header| header.to_str().unwrap()), protocol.as_deref());
            protocol
        };
        let both = Accept::new().protocols(["chat.v3", "chat.v2", "chat.v1"]);
        assert_eq!(agreed(both.clone()).as_deref(), Some("Chat.V2"));
        assert_eq!(agreed(Accept::new().protocols(["mqtt"])), None);
        assert_eq!(agreed(Accept::new().protocols(Vec::<String>::new())), None);
        // The last choice counts.
        assert_eq!(agreed(both.clone().protocol("chat.v1")).as_deref(), Some("chat.v1"));
        assert_eq!(
            agreed(Accept::new().protocol("mqtt").protocols(["chat.v1"])).as_deref(),
            Some("chat.v1")
        );
    }

    #[test]
    fn a_foreign_page_is_refused_unless_it_is_allowed() {
        let offer = offer(&[]);
        let status = |accept: Accept, policy: &OriginPolicy| match offer.accept(&accept, policy) {
            Ok((response, _)) => response.status(),
            Err(error) => error.rejection().status(),
        };
        let same = &OriginPolicy::SameOrigin;
        assert_eq!(status(Accept::new(), same), 403);
        assert_eq!(status(Accept::new(), &OriginPolicy::Any), 101);
        assert_eq!(status(Accept::new().origin("HTTP://example.com:80"), same), 101);
        // An accept that names an origin is stricter than a policy that does not care.
        assert_eq!(status(Accept::new().origin("http://other"), &OriginPolicy::Any), 403);

        let program = self::offer(&[("Origin", "")]);
        assert!(program.accept(&Accept::new().origin("http://other"), same).is_ok());
        let odd = self::offer(&[("Origin", "*")]);
        assert!(odd.accept(&Accept::new(), same).is_err());
        assert!(odd.accept(&Accept::new().origin("*"), same).is_ok());
    }

    #[test]
    fn draft_8_has_another_origin_header() {
        let draft = ("Sec-WebSocket-Version", "8");
        let origin = ("Sec-WebSocket-Origin", "http://draft");
        assert_eq!(offer(&[draft, origin, ("Origin", "")]).origin(), Some("http://draft"));
        assert_eq!(offer(&[draft]).origin(), Some("http://example.com"));
        assert_eq!(refused(&[draft, origin]).status(), 400);
        assert_eq!(offer(&[origin]).origin(), Some("http://example.com"));
        let (_, agreed) = offer(&[draft]).accept(&Accept::new(), &OriginPolicy::Any).unwrap();
        assert_eq!(agreed.version, Version::Draft8);
    }

    #[test]
    fn cookies_and_headers_are_added_but_never_override() {
        let accept = Accept::new()
            .cookie(SetCookie::new("a", "1").unwrap())
            .cookie(SetCookie::new("b", "2").unwrap())
            .header("X-Served-By", "berth 7")
            .header(header::SET_COOKIE, "c=3");
        let (response, _) = offer(&[]).accept(&accept, &OriginPolicy::Any).unwrap();
        let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1", "b=2", "c=3"]);
        assert_eq!(response.headers()["x-served-by"], "berth 7");
        for name in ["Sec-WebSocket-Accept", "upgrade", "Connection", "Content-Length"] {
            let accept = Accept::new().header(name, "1");
            let error = offer(&[]).accept(&accept, &OriginPolicy::Any).unwrap_err();
            assert!(matches!(error, AcceptError::Header(_)), "{error}");
        }
    }

    #[test]
    fn an_extended_connect_has_no_key_and_is_answered_by_200() {
        let offer = Offer::from_request(&connect("websocket")).unwrap();
        assert_eq!(offer.mechanism(), Mechanism::ExtendedConnect);
        assert_eq!((offer.key(), offer.host()), (None, "server.example.com"));
        assert_eq!(offer.resource(), "/chat?room=7");
        let accept = Accept::new().protocol("CHAT");
        let (response, _) = offer.accept(&accept, &OriginPolicy::SameOrigin).unwrap();
        assert_eq!(response.status(), 200);
        let names: Vec<_> = response.headers().keys().collect();
        assert_eq!(names, ["sec-websocket-protocol"]);
    }

    #[test]
    fn an_extended_connect_is_refused_in_the_words_of_http_2() {
        let status = |request: &Request<()>| Offer::from_request(request).unwrap_err().status();
        assert_eq!(status(&connect("connect-udp")), 501);
        let mut plain = connect("websocket");
        *plain.method_mut() = Method::GET;
        assert_eq!(status(&plain), 405);
        let mut unmarked = connect("websocket");
        unmarked.extensions_mut().clear();
        assert_eq!(status(&unmarked), 400);
        let mut old = connect("websocket");
        old.headers_mut().insert("sec-websocket-version", HeaderValue::from_static("7"));
        let rejection = Offer::from_request(&old).unwrap_err();
        assert_eq!(rejection.status(), 400);
        let response = rejection.response(Mechanism::of(&old));
        assert_eq!(response.headers()["sec-websocket-version"], "13, 8");
        assert!(!response.headers().contains_key("upgrade"));
        assert!(!response.headers().contains_key("connection"));
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(
            which in 0usize..9,
            value in proptest::collection::vec(32u8..=255, 0..40),
        ) {
            let names = [
                "host", "upgrade", "connection", "sec-websocket-key", "origin",
                "sec-websocket-protocol", "sec-websocket-version", "sec-websocket-extensions",
                "cookie",
            ];
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                let mut request = request(&[]);
                request.headers_mut().insert(names[which], value);
                match Offer::from_request(&request) {
                    Ok(offer) => drop(offer.accept(&Accept::new(), &OriginPolicy::SameOrigin)),
                    Err(rejection) => drop(rejection.response(Mechanism::Http1Upgrade)),
                }
            }
        }
    }
}
