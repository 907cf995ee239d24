//! A connection asked for by a request, and the user in a URL.

use http::{HeaderValue, Method, Request, Version};
use towline::{Blame, Client, ErrorKind};

use crate::http::{accepts, header};
use crate::loopback::{Loopback, direct, texts};

/// The request that is made of this one.
async fn asked(client: Client, request: http::request::Builder) -> String {
    let server = Loopback::new(|request| match header(request, "sec-websocket-protocol") {
        Some(_) => accepts(request, "Sec-WebSocket-Protocol: chat.v2\r\n"),
        None => accepts(request, ""),
    })
    .await;
    let request = request.uri(server.url("/feed?a=b")).body(()).unwrap();
    client.connect_request(request).await.unwrap();
    server.said().remove(0)
}

#[tokio::test]
async fn the_requests_headers_join_the_clients_or_take_their_place() {
    let client = direct()
        .header("authorization", "Bearer old")
        .header("x-kept", "1")
        .header("x-kept", "2")
        .header("x-many", "old");
    let request = Request::get("/")
        .header("Authorization", "Bearer new")
        .header("X-Many", "a")
        .header("X-Many", "b")
        .header("X-New", "new");
    let asked = asked(client, request).await;
    assert!(asked.starts_with("GET /feed?a=b HTTP/1.1\r\n"), "{asked}");
    let lines = |name: &str| {
        let name = name.to_owned() + ": ";
        let lines = asked.lines().filter_map(|line| line.strip_prefix(&name));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines("Authorization"), ["Bearer new"]);
    assert_eq!(lines("X-Kept"), ["1", "2"]);
    assert_eq!(lines("X-Many"), ["a", "b"]);
    assert_eq!(lines("X-New"), ["new"]);
}

#[tokio::test]
async fn its_subprotocols_and_its_origin_are_offered() {
    let client = direct().protocols(["old"]).origin("https://old.example");
    let request = Request::get("/")
        .header("sec-websocket-protocol", "chat.v2, chat.v1")
        .header("sec-websocket-protocol", "chat.v0")
        .header("origin", "https://new.example");
    let text = asked(client.clone(), request).await;
    assert_eq!(header(&text, "sec-websocket-protocol"), Some("chat.v2, chat.v1, chat.v0"));
    assert_eq!(header(&text, "origin"), Some("https://new.example"));
    assert_eq!(text.matches("Origin").count(), 1);

    let client = direct().protocols(["chat.v2"]).origin("https://old.example");
    let text = asked(client, Request::get("/")).await;
    assert_eq!(header(&text, "sec-websocket-protocol"), Some("chat.v2"));
    assert_eq!(header(&text, "origin"), Some("https://old.example"));
}

#[tokio::test]
async fn a_request_made_for_another_library_will_do() {
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let request = Request::get("/")
        .header("Host", "front.example")
        .header("Connection", "keep-alive, Upgrade")
        .header("Upgrade", "WebSocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", key);
    let asked = asked(direct(), request).await;
    assert_eq!(header(&asked, "host"), Some("front.example"));
    for name in ["Host", "Connection", "Upgrade", "Sec-WebSocket-Version", "Sec-WebSocket-Key"] {
        assert_eq!(asked.matches(&format!("\r\n{name}: ")).count(), 1, "{name}: {asked}");
    }
    // "The nonce MUST be selected randomly for each connection."
    assert_ne!(header(&asked, "sec-websocket-key"), Some(key));
}

#[tokio::test]
async fn a_request_that_is_none_for_a_websocket_is_refused() {
    let get = || Request::get("ws://127.0.0.1:1/");
    for (request, told) in [
        (get().method(Method::POST), "the method is POST"),
        (get().method(Method::CONNECT), "the method is CONNECT"),
        (get().version(Version::HTTP_10), "the version is HTTP/1.0"),
        (get().version(Version::HTTP_2), "the version is HTTP/2.0"),
        (get().header("upgrade", "h2c"), "the header upgrade is not \"websocket\""),
        (get().header("connection", "close"), "the header connection is not \"upgrade\""),
        (get().header("sec-websocket-version", "8"), "sec-websocket-version is not \"13\""),
        (get().header("sec-websocket-protocol", "two words"), "Sec-WebSocket-Protocol"),
        (get().header("sec-websocket-protocol", "a, a"), "Sec-WebSocket-Protocol"),
        (get().header("sec-websocket-extensions", "x"), "Sec-WebSocket-Extensions"),
        (get().header("sec-websocket-accept", "x"), "Sec-WebSocket-Accept"),
        (get().header("content-length", "5"), "Content-Length"),
        (get().header("origin", HeaderValue::from_bytes(b"\xff").unwrap()), "Origin"),
    ] {
        let error = direct().connect_request(request.body(()).unwrap()).await.unwrap_err();
        let expected = (ErrorKind::InvalidHandshakeOption, Blame::Local);
        assert_eq!((error.kind(), error.blame()), expected, "{error}");
        assert!(error.to_string().contains(told), "{told}: {error}");
    }
    for uri in ["/feed", "ftp://user:s3cret@h/", "user:s3cret@h", "ws://user:s3cret/x#@h"] {
        let request = Request::get(uri).body(()).unwrap();
        let error = direct().connect_request(request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidUrl, "{error}");
        assert!(!texts(&error).contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_built_is_an_error_of_connecting() {
    async fn connect(request: http::request::Builder) -> towline::Result<towline::Connection> {
        direct().connect_request(request.body(())?).await
    }
    for (request, kind, told) in [
        (Request::get("ws://a b/"), ErrorKind::InvalidUrl, "uri"),
        (Request::get("ws://h/").header("x", "a\nb"), ErrorKind::InvalidHandshakeOption, "value"),
        (Request::get("ws://h/").header("a b", "x"), ErrorKind::InvalidHandshakeOption, "name"),
    ] {
        let error = connect(request).await.unwrap_err();
        assert_eq!((error.kind(), error.blame()), (kind, Blame::Local), "{error}");
        assert!(error.to_string().contains(told), "{error}");
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn draft_8_has_its_own_version() {
    let client = direct().version(towline::Version::Draft8);
    let request = || Request::get("/").header("sec-websocket-version", "8");
    assert_eq!(header(&asked(client, request()).await, "sec-websocket-version"), Some("8"));
}

#[tokio::test]
async fn what_is_sensitive_in_a_request_stays_with_its_server() {
    let there = Loopback::accepting().await;
    let location = there.url("/");
    let answer = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n");
    let here = Loopback::new(move |_| answer.clone().into_bytes()).await;
    let mut key = HeaderValue::from_static("s3cret");
    key.set_sensitive(true);
    let request = Request::get(here.url("/")).header("x-api-key", key).header("x-plain", "plain");
    let client = direct().follow_redirects(1);
    client.connect_request(request.body(()).unwrap()).await.unwrap();
    assert_eq!(header(&here.said()[0], "x-api-key"), Some("s3cret"));
    assert_eq!(header(&there.said()[0], "x-api-key"), None);
    assert_eq!(header(&there.said()[0], "x-plain"), Some("plain"));
}

#[tokio::test]
async fn the_urls_user_and_password_become_an_authorization() {
    let server = Loopback::accepting().await;
    let url = format!("ws://user:p%40ss@{}/", server.address);
    direct().connect(&url).await.unwrap();
    direct().header("authorization", "Bearer t0ken").connect(&url).await.unwrap();
    direct().connect_request(Request::get(&url).body(()).unwrap()).await.unwrap();
    let request = Request::get(&url).header("authorization", "Bearer t0ken").body(()).unwrap();
    direct().connect_request(request).await.unwrap();
    let said = server.said();
    let all: Vec<_> = said.iter().map(|request| header(request, "authorization")).collect();
    let (basic, bearer) = (Some("Basic dXNlcjpwQHNz"), Some("Bearer t0ken"));
    assert_eq!(all, [basic, bearer, basic, bearer]);
    assert!(said.iter().all(|request| !request.contains("p%40ss") && !request.contains("@")));
}
