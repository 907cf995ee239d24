//! All else that a client can do, over HTTP/2.

use http::header::{AUTHORIZATION, COOKIE, HOST};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use towline::{Connection, ErrorKind, Proxy};

use crate::server::{Hub, serve};
use crate::support::{client, echoes, listener, soon};

fn echoed<'a>(connection: &'a Connection, name: &str) -> Option<&'a str> {
    let value = connection.response().unwrap().headers().get(format!("echo-{name}"))?;
    Some(value.to_str().unwrap())
}

#[tokio::test]
async fn headers_go_along() {
    let hub = Hub::new(100).await;
    let client = client()
        .origin("https://app.example")
        .header("x-berth", "7")
        .header(COOKIE, "a=b")
        .protocols(["chat.v1", "chat.v2"]);
    let url = hub.url.replace("ws://", "ws://user:secret@");
    let connection = soon(client.connect(&url)).await.unwrap();
    assert_eq!(echoed(&connection, "origin"), Some("https://app.example"));
    assert_eq!(echoed(&connection, "x-berth"), Some("7"));
    assert_eq!(echoed(&connection, "cookie"), Some("a=b"));
    assert_eq!(echoed(&connection, "authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
    assert_eq!(echoed(&connection, "sec-websocket-protocol"), Some("chat.v1, chat.v2"));
    assert_eq!(echoed(&connection, "authority"), Some(&hub.url[5..]));
    assert!(!connection.url().unwrap().to_string().contains("secret"));

    // A host of the program's own takes the place of the URL's.
    let request = http::Request::get(&hub.url).header(HOST, "other.example:81");
    let request = request.header(AUTHORIZATION, "Bearer x").body(()).unwrap();
    let connection = soon(client.connect_request(request)).await.unwrap();
    assert_eq!(echoed(&connection, "authority"), Some("other.example:81"));
    assert_eq!(echoed(&connection, "authorization"), Some("Bearer x"));
    assert_eq!(hub.connections().0, 1);
}

#[tokio::test]
async fn redirects_are_followed() {
    let hub = Hub::new(100).await;
    let client = client();
    let url = format!("{}/to/to/chat", hub.url);
    let error = soon(client.connect(&url)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HttpResponse);
    assert_eq!(error.response().unwrap().status(), 302);
    let mut connection = soon(client.follow_redirects(2).connect(&url)).await.unwrap();
    assert_eq!(connection.path(), "/chat");
    echoes(&mut connection, "ahoy").await;
}

/// A proxy that connects its clients to whatever they ask for, and answers so.
async fn proxy(answer: &'static str) -> String {
    let (listener, url) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(near.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let to = head.split(' ').nth(1).unwrap();
                let mut far = TcpStream::connect(to).await.unwrap();
                near.write_all(answer.as_bytes()).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    url.replace("ws://", "http://")
}

#[tokio::test]
async fn a_tunnel_of_a_proxy_is_shared() {
    let hub = Hub::new(100).await;
    let proxy = proxy("HTTP/1.1 200 OK\r\n\r\n").await;
    let behind = client().proxy(Proxy::new(&proxy).unwrap());
    let mut one = soon(behind.connect(&hub.url)).await.unwrap();
    let mut two = soon(behind.connect(&hub.url)).await.unwrap();
    assert_eq!(hub.connections().0, 1);
    assert!(proxy.starts_with(one.proxy().unwrap()) && two.proxy() == one.proxy());
    echoes(&mut one, "ahoy").await;
    echoes(&mut two, "ahoy").await;
}

#[tokio::test]
async fn a_stream_of_the_program_carries_one_websocket() {
    let (near, far) = tokio::io::duplex(1 << 16);
    tokio::spawn(serve(far, 100));
    let mut connection = soon(client().connect_over(near, "ws://example.com/chat")).await.unwrap();
    assert_eq!(connection.http_version(), Some(http::Version::HTTP_2));
    assert_eq!(echoed(&connection, "authority"), Some("example.com"));
    echoes(&mut connection, "ahoy").await;
}

/// Receiving and sending in two tasks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_halves_of_many_work_at_once() {
    let hub = Hub::new(100).await;
    let client = client();
    let mut connections = Vec::new();
    for _ in 0..20 {
        connections.push(soon(client.connect(&hub.url)).await.unwrap());
    }
    let mut tasks = Vec::new();
    for connection in connections {
        let (sender, mut receiver) = connection.split();
        tasks.push(tokio::spawn(async move {
            for number in 0..500 {
                sender.send(number.to_string().repeat(number % 50 + 1)).await.unwrap();
            }
        }));
        tasks.push(tokio::spawn(async move {
            for number in 0..500 {
                let text = number.to_string().repeat(number % 50 + 1);
                assert_eq!(soon(receiver.recv()).await.unwrap(), Some(text.into()));
            }
        }));
    }
    for task in tasks {
        soon(task).await.unwrap();
    }
    assert_eq!(hub.connections().0, 1);
}
