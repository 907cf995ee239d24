//! Redirects: where they lead, what goes along, and where nobody follows.

use std::time::Duration;

use http::HeaderValue;
use tokio::io::duplex;
use towline::{Blame, Client, Error, ErrorKind, Proxy};

use crate::http::{accepts, header};
use crate::loopback::{Loopback, behind, direct, once};

fn redirect(status: u16, location: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
        .into_bytes()
}

fn path(request: &str) -> &str {
    request.split(' ').nth(1).unwrap()
}

fn paths(server: &Loopback) -> Vec<String> {
    server.said().iter().map(|request| path(request).to_owned()).collect()
}

/// Redirects from `/` to that location, and accepts elsewhere.
async fn once_to(status: u16, location: &str) -> Loopback {
    let location = location.to_owned();
    Loopback::new(move |request| match path(request) {
        "/" => redirect(status, &location),
        _ => accepts(request, ""),
    })
    .await
}

async fn error_at(location: &str) -> Error {
    let server = once_to(302, location).await;
    direct().follow_redirects(5).connect(server.url("/")).await.unwrap_err()
}

#[tokio::test]
async fn a_redirect_is_followed_if_the_program_says_so() {
    for status in [301, 302, 303, 307, 308] {
        let server = once_to(status, "/there?a=b#c").await;
        let connection = direct().follow_redirects(1).connect(server.url("/")).await.unwrap();
        assert_eq!(connection.url().unwrap().to_string(), server.url("/there?a=b"));
        assert_eq!(paths(&server), ["/", "/there?a=b"]);
        assert!(server.said().iter().all(|request| request.starts_with("GET ")));

        let error = direct().connect(server.url("/")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HttpResponse);
        assert_eq!(error.response().unwrap().headers()["location"], "/there?a=b#c");
    }
    for status in [300, 304, 305, 306, 399] {
        let server = once_to(status, "/there").await;
        let error = direct().follow_redirects(1).connect(server.url("/")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HttpResponse, "{status}");
    }
}

#[tokio::test]
async fn the_url_is_known_without_a_redirect_too() {
    let server = Loopback::accepting().await;
    let url = format!("http://user:secret@{}/a?b#c", server.address);
    let connection = direct().connect(url).await.unwrap();
    assert_eq!(connection.url().unwrap().to_string(), server.url("/a?b"));
}

#[tokio::test]
async fn http_in_a_location_is_the_same_as_ws() {
    for scheme in ["ws", "http", "HTTP"] {
        let there = Loopback::accepting().await;
        let here = once_to(307, &format!("{scheme}://{}/x", there.address)).await;
        let connection = direct().follow_redirects(1).connect(here.url("/")).await.unwrap();
        assert_eq!(connection.url().unwrap().to_string(), there.url("/x"));
    }
}

#[tokio::test]
async fn a_chain_is_followed_as_far_as_it_may_be() {
    let server = Loopback::new(|request| match path(request) {
        "/5" => accepts(request, ""),
        at => redirect(302, &format!("/{}", at[1..].parse::<u32>().unwrap() + 1)),
    })
    .await;
    direct().follow_redirects(5).connect(server.url("/0")).await.unwrap();
    let error = direct().follow_redirects(4).connect(server.url("/0")).await.unwrap_err();
    assert_eq!((error.kind(), error.blame()), (ErrorKind::Redirect, Blame::Remote));
    let text = error.to_string();
    assert!(text.contains("more than 4 redirects (follow_redirects)"), "{text}");
    assert_eq!(error.response().unwrap().headers()["location"], "/5");
    assert_eq!(error.code(), "ERR_REDIRECT");
}

#[tokio::test]
async fn a_circle_is_left() {
    for (location, asked) in [("/", 1), ("/a", 2)] {
        let server = Loopback::new(move |request| match path(request) {
            "/" => redirect(302, location),
            _ => redirect(302, "/"),
        })
        .await;
        let error = direct().follow_redirects(u8::MAX).connect(server.url("/")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Redirect);
        assert!(error.to_string().ends_with("in a circle"), "{error}");
        assert_eq!(server.said().len(), asked);
    }
}

#[tokio::test]
async fn where_nobody_can_go_nobody_follows() {
    let long = format!("ws://h:99999/{}", "x".repeat(9000));
    for (location, told) in [
        ("ftp://user:secret@h/", "another scheme"),
        ("javascript:alert(1)", "another scheme"),
        ("", "empty Location"),
        (" ", "empty Location"),
        ("ws://", "not a URL"),
        ("ws://user:secret@h:99999/", "not a URL"),
        ("ws://[::1/", "not a URL"),
        ("ws://user:secret@a b/", "not a URL"),
        ("//", "not a URL"),
        ("ws:", "not a URL"),
        (&*long, "not a URL"),
    ] {
        let error = error_at(location).await;
        let text = error.to_string();
        assert_eq!((error.kind(), error.blame()), (ErrorKind::Redirect, Blame::Remote), "{text}");
        assert!(text.contains(told) && text.contains("redirects to"), "{location}: {text}");
        assert!(text.len() < 400 && !text.contains('\n') && !text.contains("secret"), "{text}");
        assert_eq!(error.response().unwrap().status().as_u16(), 302);
    }
    for (lines, told) in
        [("", "without a Location"), ("Location: /a\r\nLocation: /b\r\n", "more than one")]
    {
        let answer = format!("HTTP/1.1 302 Found\r\n{lines}\r\n");
        let server = Loopback::new(move |_| answer.clone().into_bytes()).await;
        let error = direct().follow_redirects(5).connect(server.url("/")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Redirect);
        assert!(error.to_string().contains(told), "{error}");
    }
    let server = Loopback::new(|_| b"HTTP/1.1 302 Found\r\nLocation: /\xff\r\n\r\n".to_vec()).await;
    let error = direct().follow_redirects(5).connect(server.url("/")).await.unwrap_err();
    assert!(error.to_string().contains("not UTF-8"), "{error}");
}

#[tokio::test]
async fn a_location_in_utf8_is_taken_for_what_it_means() {
    let server = once_to(302, "/caf\u{e9}?\u{e9}").await;
    direct().follow_redirects(1).connect(server.url("/")).await.unwrap();
    assert_eq!(paths(&server)[1], "/caf%C3%A9?%C3%A9");
}

#[tokio::test]
async fn an_error_after_a_redirect_says_where_that_led() {
    let error = error_at("ws://127.0.0.1:1/x").await;
    assert_eq!(error.kind(), ErrorKind::Connect);
    let text = error.to_string();
    assert!(
        text.starts_with("after a redirect to \"ws://127.0.0.1:1/x\": can't connect"),
        "{text}"
    );
    let refusing =
        Loopback::new(|_| b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
    let here = once_to(302, &refusing.url("/x")).await;
    let error = direct().follow_redirects(1).connect(here.url("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HttpResponse);
    assert_eq!(error.response().unwrap().status().as_u16(), 410);
}

fn with_secrets() -> Client {
    let mut key = HeaderValue::from_static("secret-key");
    key.set_sensitive(true);
    direct()
        .follow_redirects(9)
        .protocols(["chat"])
        .origin("https://app.example")
        .header("authorization", "Bearer secret-token")
        .header("cookie", "session=secret-cookie")
        .header("proxy-authorization", "secret-for-proxies")
        .header("x-api-key", key)
        .header("host", "front.example")
        .header("x-plain", "plain")
}

#[tokio::test]
async fn nothing_secret_goes_to_another_origin_nor_comes_back() {
    let third = Loopback::accepting().await;
    let back = third.url("/third");
    let second = Loopback::new(move |_| redirect(302, &back)).await;
    let first = once_to(302, &second.url("/second")).await;
    with_secrets().connect(first.url("/")).await.unwrap();
    let asked = [&first, &second, &third].map(|server| server.said()[0].clone());
    for secret in
        ["secret-token", "secret-cookie", "secret-for-proxies", "secret-key", "front.example"]
    {
        assert!(asked[0].contains(secret), "{}", asked[0]);
        assert!(!asked[1].contains(secret) && !asked[2].contains(secret), "{secret}");
    }
    for request in &asked[1..] {
        assert_eq!(header(request, "x-plain"), Some("plain"));
        assert_eq!(header(request, "origin"), Some("https://app.example"));
        assert_eq!(header(request, "sec-websocket-protocol"), Some("chat"));
    }
    assert_eq!(header(&asked[1], "host"), Some(&*second.address.to_string()));
    let keys = asked.each_ref().map(|request| header(request, "sec-websocket-key").unwrap());
    assert!(keys[0] != keys[1] && keys[1] != keys[2]);
}

#[tokio::test]
async fn to_the_same_origin_all_goes_along() {
    let server = once_to(302, "/there").await;
    with_secrets().connect(server.url("/")).await.unwrap();
    let asked = server.said();
    for name in ["authorization", "cookie", "x-api-key", "host", "x-plain"] {
        assert_eq!(header(&asked[0], name), header(&asked[1], name), "{name}");
        assert!(header(&asked[1], name).is_some(), "{name}");
    }
}

#[tokio::test]
async fn the_urls_user_stays_with_its_origin() {
    let there = Loopback::accepting().await;
    let location = there.url("/away");
    let here = Loopback::new(move |request| match path(request) {
        "/" => redirect(302, "/same"),
        _ => redirect(302, &location),
    })
    .await;
    let url = format!("ws://user:secret@{}/", here.address);
    direct().follow_redirects(9).connect(url).await.unwrap();
    let basic = Some("Basic dXNlcjpzZWNyZXQ=");
    assert_eq!(
        here.said().iter().map(|one| header(one, "authorization")).collect::<Vec<_>>(),
        [basic; 2]
    );
    assert_eq!(header(&there.said()[0], "authorization"), None);
}

#[tokio::test]
async fn the_body_of_a_redirect_is_not_waited_for_and_its_connection_ends() {
    let mut here = Loopback::new(|request| match path(request) {
        "/" => b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 99\r\n\r\n".to_vec(),
        _ => accepts(request, ""),
    })
    .await;
    let connection = direct().follow_redirects(1).connect(here.url("/")).await.unwrap();
    // Of its 99 bytes of body none has come.
    here.ended().await;
    drop(connection);
}

#[tokio::test]
async fn a_proxy_is_asked_for_each_target() {
    let there = Loopback::accepting().await;
    let location = there.url("/x");
    let (proxy, task) = once(async move |mut stream| {
        use tokio::io::AsyncWriteExt as _;
        let asked = crate::http::head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        crate::http::head(&mut stream).await;
        stream.write_all(&redirect(302, &location)).await.unwrap();
        asked
    })
    .await;
    let proxy = Proxy::new(format!("http://{proxy}")).unwrap().no_proxy("127.0.0.1");
    let client = Client::new().proxy(proxy).follow_redirects(1);
    client.connect("ws://feed.invalid/").await.unwrap();
    assert!(task.await.unwrap().starts_with("CONNECT feed.invalid:80 HTTP/1.1\r\n"));
    assert_eq!(paths(&there), ["/x"]);
}

#[tokio::test]
async fn a_target_that_does_not_answer_is_named_in_the_timeout() {
    let (silent, asked) =
        once(async |mut stream| (crate::http::head(&mut stream).await, stream)).await;
    let here = once_to(302, &format!("ws://{silent}/x")).await;
    let url = here.url("/");
    let connecting =
        tokio::spawn(async move { direct().follow_redirects(1).connect(url).await.map(drop) });
    let _held = asked.await.unwrap();
    // From here on nothing is on its way, and time may pass.
    tokio::time::pause();
    let error = connecting.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HandshakeTimeout);
    let doing = format!("waiting for the server's answer, after a redirect to \"ws://{silent}/x\"");
    assert!(error.to_string().ends_with(&doing), "{error}");
}

#[tokio::test(start_paused = true)]
async fn over_a_stream_of_the_programs_no_redirect_is_followed() {
    let (near, mut far) = duplex(64 << 10);
    let client = direct().follow_redirects(9).connect_timeout(Duration::from_secs(9));
    let connecting = tokio::spawn(async move { client.connect_over(near, "ws://h/").await });
    crate::http::head(&mut far).await;
    tokio::io::AsyncWriteExt::write_all(&mut far, &redirect(302, "/x")).await.unwrap();
    let error = connecting.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HttpResponse);
}

#[tokio::test]
async fn behind_a_proxy_a_refused_redirect_is_still_the_servers() {
    let (proxy, _task) = once(async |mut stream| {
        use tokio::io::AsyncWriteExt as _;
        crate::http::head(&mut stream).await;
        // A proxy that redirects is one that refuses.
        stream.write_all(&redirect(302, "ws://evil.invalid/")).await.unwrap();
    })
    .await;
    let client = behind(&format!("http://{proxy}")).follow_redirects(9);
    let error = client.connect("ws://feed.invalid/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProxyRefused);
}
