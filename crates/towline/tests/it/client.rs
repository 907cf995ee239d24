//! A client: what becomes of a URL.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio::time::Instant;
use towline::{
    Blame, Client, Connection, Error, ErrorKind, Message, Result, Role, Server, Version,
};
use towline_kit::frame;

use crate::http::{accepts, head};

/// What a server answers to the request that the client makes.
async fn answered(
    client: Client,
    answer: impl FnOnce(&str) -> Vec<u8>,
) -> (Result<Connection>, String, DuplexStream) {
    let (near, mut far) = duplex(64 << 10);
    let connecting =
        tokio::spawn(async move { client.connect_over(near, "ws://h/feed?a=b").await });
    let request = head(&mut far).await;
    far.write_all(&answer(&request)).await.unwrap();
    far.flush().await.unwrap();
    (connecting.await.unwrap(), request, far)
}

async fn refused(client: Client, answer: impl Into<String>) -> Error {
    let answer = answer.into();
    let (result, _, _far) = answered(client, |_| answer.into_bytes()).await;
    result.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn the_request_says_what_was_asked_for() {
    let client = Client::new()
        .protocols(["chat.v2", "chat.v1"])
        .origin("https://app.example")
        .header("authorization", "Bearer x")
        .keep_request(true);
    let (connection, request, _far) = answered(client, |request| {
        accepts(request, "Sec-WebSocket-Protocol: chat.v1\r\nX-Hi: 1\r\n")
    })
    .await;
    let header = |name| crate::http::header(&request, name);
    assert!(request.starts_with("GET /feed?a=b HTTP/1.1\r\n"), "{request}");
    assert_eq!(header("host"), Some("h"));
    assert_eq!(header("origin"), Some("https://app.example"));
    assert_eq!(header("authorization"), Some("Bearer x"));
    assert_eq!(header("sec-websocket-version"), Some("13"));
    let connection = connection.unwrap();
    assert_eq!(connection.protocol(), Some("chat.v1"));
    assert_eq!(connection.role(), Role::Client);
    assert_eq!(connection.response().unwrap().headers()["x-hi"], "1");
    let sent = connection.request().unwrap();
    assert_eq!(sent.uri().path_and_query().unwrap(), "/feed?a=b");
    assert_eq!(
        sent.headers().len(),
        request.lines().skip(1).filter(|line| line.contains(':')).count()
    );
    for (name, value) in sent.headers() {
        assert_eq!(header(name.as_str()), value.to_str().ok(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn version_8_differs_in_the_name_of_the_origin() {
    let client = Client::new().version(Version::Draft8).origin("https://app.example");
    let (connection, request, _far) = answered(client, |request| accepts(request, "")).await;
    assert_eq!(crate::http::header(&request, "sec-websocket-version"), Some("8"));
    assert_eq!(crate::http::header(&request, "sec-websocket-origin"), Some("https://app.example"));
    assert_eq!(crate::http::header(&request, "origin"), None);
    assert_eq!(connection.unwrap().version(), Version::Draft8);

    let mut server = Server::builder().build();
    let (near, far) = duplex(1 << 10);
    server.serve(far, None);
    let client = Client::new().version(Version::Draft8).origin("http://h");
    let (client, server) = tokio::join!(client.connect_over(near, "ws://h/"), async {
        let request = server.next_request().await.unwrap();
        assert_eq!((request.version(), request.origin()), (Version::Draft8, Some("http://h")));
        request.accept().await.unwrap()
    });
    client.unwrap().send("hi").await.unwrap();
    let mut server = server;
    assert_eq!(server.recv().await.unwrap(), Some(Message::text("hi")));
}

#[tokio::test(start_paused = true)]
async fn what_comes_before_and_behind_the_answer_is_taken_in_order() {
    let (connection, _, mut far) = answered(Client::new(), |request| {
        let first = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
        let behind = [frame().text("early"), frame().text("birds").fin(false)];
        let behind = towline_kit::join(behind);
        [first, &*accepts(request, ""), &behind].concat()
    })
    .await;
    let mut connection = connection.unwrap();
    assert_eq!(connection.recv().await.unwrap(), Some(Message::text("early")));
    far.write_all(&frame().continuation("!").bytes()).await.unwrap();
    assert_eq!(connection.recv().await.unwrap(), Some(Message::text("birds!")));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_websocket_is_told_with_status_headers_and_body() {
    let body = "x".repeat(10_000);
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 30\r\nContent-Length: 10000\r\n\r\n{body}"
    );
    let error = refused(Client::new(), answer).await;
    assert_eq!((error.kind(), error.blame()), (ErrorKind::HttpResponse, Blame::Remote));
    assert!(error.to_string().contains("503"), "{error}");
    let response = error.response().unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (503, &"30".parse().unwrap())
    );
    assert_eq!(response.body(), &body.as_bytes()[..4096]);
    // A body that does not come is not waited for without end.
    let short = "HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nnot all";
    let error = refused(Client::new(), short).await;
    assert_eq!(&error.response().unwrap().body()[..], b"not all");
    // A page instead of a WebSocket.
    let error = refused(Client::new(), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    assert_eq!(error.response().unwrap().status().as_u16(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_says_that_tls_is_spoken_there_is_told_as_such() {
    for (status, body) in [
        ("400 Bad Request", "This port speaks TLS: use https:// or wss://, not http or ws.\n"),
        (
            "400 Bad Request",
            "<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>",
        ),
        ("497 x", "<center>The plain HTTP request was sent to HTTPS port</center>"),
        (
            "400 Bad Request",
            "Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
        ),
    ] {
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
        let error = refused(Client::new(), answer).await;
        assert_eq!((error.kind(), error.blame()), (ErrorKind::IsTls, Blame::Remote), "{error}");
        assert!(error.to_string().contains("wss://"), "{error}");
        assert_eq!(error.response().unwrap().body(), body);
    }
    // Go's says no length.
    let answer =
        "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    assert_eq!(refused(Client::new(), answer).await.kind(), ErrorKind::IsTls);
    // Other words, or another status.
    for (status, body) in
        [("400 Bad Request", "This port is closed"), ("403 Forbidden", "This port speaks TLS")]
    {
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
        assert_eq!(refused(Client::new(), answer).await.kind(), ErrorKind::HttpResponse);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_wrong_is_refused() {
    let wrong_key = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    for (answer, kind) in [
        (wrong_key, ErrorKind::Handshake),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", ErrorKind::NotHttp),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", ErrorKind::Handshake),
    ] {
        let error = refused(Client::new(), answer).await;
        assert_eq!((error.kind(), error.blame()), (kind, Blame::Remote), "{error}");
    }
    for more in [
        "Sec-WebSocket-Protocol: never-offered\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate\r\n",
    ] {
        let client = Client::new().protocols(["offered"]);
        let (result, _, _far) = answered(client, |request| accepts(request, more)).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Handshake, "{more}");
    }
    let long = format!("HTTP/1.1 101 Switching Protocols\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    assert_eq!(refused(Client::new(), long).await.kind(), ErrorKind::Handshake);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_up_is_told() {
    for said in ["", "HTTP/1.1 101 Switch"] {
        let (near, mut far) = duplex(64 << 10);
        let connecting =
            tokio::spawn(
                async move { Client::new().connect_over(near, "ws://h/").await.map(drop) },
            );
        head(&mut far).await;
        far.write_all(said.as_bytes()).await.unwrap();
        drop(far);
        assert_eq!(connecting.await.unwrap().unwrap_err().kind(), ErrorKind::Handshake);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_costs_the_connect_timeout() {
    let (near, mut far) = duplex(64 << 10);
    let began = Instant::now();
    let client = Client::new().connect_timeout(Duration::from_secs(7));
    let error = client.connect_over(near, "ws://h/").await.unwrap_err();
    assert_eq!((error.kind(), error.blame()), (ErrorKind::HandshakeTimeout, Blame::Remote));
    assert!(error.to_string().contains("connect_timeout"), "{error}");
    assert_eq!(began.elapsed().as_secs(), 7);
    // And the stream is let go of.
    let mut request = String::new();
    far.read_to_string(&mut request).await.unwrap();
}

#[tokio::test]
async fn what_can_not_be_connected_to_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = format!("ws://{}/", listener.local_addr().unwrap());
    drop(listener);
    for (url, kind) in [
        (&*refused, ErrorKind::Connect),
        ("ws://no-such-host.invalid/", ErrorKind::Connect),
        ("ftp://127.0.0.1/", ErrorKind::InvalidUrl),
        ("ws:///", ErrorKind::InvalidUrl),
        ("/just/a/path", ErrorKind::InvalidUrl),
        ("ws://h h/", ErrorKind::InvalidUrl),
        ("", ErrorKind::InvalidUrl),
    ] {
        let error = Client::new().connect(url).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{url}: {error}");
        assert_eq!(error.code(), kind.code());
    }
    for client in [
        Client::new().protocols(["two words"]),
        Client::new().header("sec-websocket-key", "mine"),
        Client::new().header("bad name", "x"),
    ] {
        let error = client.connect(&refused).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.blame()),
            (ErrorKind::InvalidHandshakeOption, Blame::Local)
        );
    }
}
