//! Handshakes that are not accepted: what the client sees, and what becomes of its connection.

use std::time::Duration;

use http::StatusCode;
use towline::{Client, CloseCode, ErrorKind, OriginPolicy, Server, ServerEvent};

use crate::support::{FRONTS, Front, HANDSHAKE, LONG, Raw, serve, soon};

#[tokio::test]
async fn a_rejection_is_an_http_response() {
    for front in FRONTS {
        let mut server = Server::builder().build();
        let address = serve(&server, front).await;
        tokio::spawn(async move {
            let request = server.next_request().await.unwrap();
            request.reject(StatusCode::NOT_FOUND, "no such room").await.unwrap();
            server
        });
        let error = soon(Client::new().connect(format!("ws://{address}/attic"))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HttpResponse, "{front:?}");
        let response = error.response().unwrap();
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["x-websocket-reject-reason"], "no such room");
        assert_eq!(response.body(), "no such room\n");
    }
}

#[tokio::test]
async fn a_rejection_ends_the_http_connection_as_it_says() {
    for front in FRONTS {
        let mut server = Server::builder().build();
        let mut client = Raw::connect(serve(&server, front).await).await;
        client.request("GET /", &HANDSHAKE).await;
        let request = soon(server.next_request()).await.unwrap();
        request.reject(StatusCode::FORBIDDEN, "no").await.unwrap();
        let answer = client.response().await;
        assert_eq!((answer.status(), answer.header("connection")), (403, Some("close")));
        assert_eq!(client.end().await, b"", "{front:?}");
    }
}

#[tokio::test]
async fn a_request_that_the_program_drops_is_answered_with_500() {
    for front in FRONTS {
        let mut server = Server::builder().build();
        let mut client = Raw::connect(serve(&server, front).await).await;
        client.request("GET /", &HANDSHAKE).await;
        drop(soon(server.next_request()).await.unwrap());
        let answer = client.response().await;
        assert_eq!(answer.status(), 500, "{front:?}");
        assert!(answer.header("x-websocket-reject-reason").is_some());
    }
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused() {
    let origins = OriginPolicy::list(["https://app.example"]).unwrap();
    let mut server = Server::builder().origins(origins).build();
    let mut client = Raw::connect(serve(&server, Front::Auto).await).await;
    client.request("GET /", &[&HANDSHAKE[..], &["Origin: https://evil.example"]].concat()).await;
    let error = soon(server.next_request()).await.unwrap().accept().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OriginRefused);
    assert_eq!(client.response().await.status(), 403);
}

/// The request's line and headers, the status of the answer, and one header of it.
type Case = (&'static str, &'static [&'static str], u16, (&'static str, Option<&'static str>));

#[tokio::test]
async fn an_invalid_handshake_is_answered_and_goes_no_further() {
    const UPGRADE: &str = "Upgrade: websocket";
    const CONNECTION: &str = "Connection: Upgrade";
    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    const VERSION: &str = "Sec-WebSocket-Version: 13";
    let cases: [Case; 8] = [
        ("GET /", &[UPGRADE, KEY, VERSION], 426, ("upgrade", Some("websocket"))),
        ("GET /", &["upgrade: h2c, WebSocket", KEY], 426, ("upgrade", Some("websocket"))),
        (
            "GET /",
            &[UPGRADE, CONNECTION, KEY, "Sec-WebSocket-Version: 7"],
            426,
            ("sec-websocket-version", Some("13, 8")),
        ),
        ("POST /", &[UPGRADE, CONNECTION, KEY, VERSION], 405, ("allow", Some("get"))),
        ("GET /", &[UPGRADE, CONNECTION, VERSION], 400, ("allow", None)),
        ("GET /", &[UPGRADE, CONNECTION, KEY, KEY, VERSION], 400, ("upgrade", None)),
        ("GET /", &[UPGRADE, CONNECTION, "Sec-WebSocket-Key: c2hvcnQ=", VERSION], 400, ("x", None)),
        ("GET /", &[UPGRADE, CONNECTION, KEY, VERSION, "Content-Length: 5"], 400, ("x", None)),
    ];
    for front in FRONTS {
        let mut server = Server::builder().build();
        let mut events = server.events();
        let address = serve(&server, front).await;
        for (line, headers, status, (name, value)) in &cases {
            let mut client = Raw::connect(address).await;
            client.request(line, headers).await;
            let answer = client.response().await;
            assert_eq!(answer.status(), *status, "{front:?} {headers:?} {answer:?}");
            assert_eq!(answer.header(name), *value, "{front:?} {headers:?} {answer:?}");
            assert!(answer.header("x-websocket-reject-reason").is_some());
            let event = soon(events.next()).await.unwrap();
            let ServerEvent::HandshakeFailed { kind, status: told, peer_addr, .. } = event else {
                panic!("{event:?}");
            };
            assert_eq!(kind, ErrorKind::Handshake);
            assert_eq!((told.unwrap().as_u16(), peer_addr), (*status, Some(client.local_addr())));
        }
        soon(server.shutdown(CloseCode::GOING_AWAY, LONG)).await.unwrap();
        assert!(soon(server.next_request()).await.is_none(), "{front:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_finishes_its_request_is_cut_off() {
    for sent in ["", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nUpgrade: webs"] {
        let server = Server::builder().build();
        let mut client = Raw::connect(serve(&server, Front::HttpServer).await).await;
        client.send(sent).await;
        let end = tokio::time::timeout(Duration::from_secs(3600), client.end()).await;
        assert_eq!(end.unwrap(), b"", "{sent}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = Server::builder().build();
    let mut client = Raw::connect(serve(&server, Front::HttpServer).await).await;
    // To the byte, so that nothing lies unread when the connection is closed.
    let mut head = b"GET / HTTP/1.1\r\nHost: example.com\r\nX: ".to_vec();
    head.resize(64 << 10, b'x');
    client.send(head).await;
    assert_eq!(client.response().await.status(), 431);
}
