//! Towline's client over HTTP/2, against Towline's server on hyper.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::StatusCode;
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::TcpListener;
use towline::{
    Accept, Client, CloseCode, Config, Deflate, ErrorKind, HttpVersion, Message, Proxy, Server,
};
use towline_hyper::{HttpServer, mount};

use crate::support::{Front, LONG, echo, page, serve, soon};

fn client() -> Client {
    Client::new().proxy(Proxy::none()).http_version(HttpVersion::Http2)
}

fn url(address: SocketAddr) -> String {
    format!("ws://{address}/chat?room=7")
}

#[tokio::test]
async fn messages_go_both_ways() {
    let server = Server::builder().build();
    let address = serve(&server, Front::HttpServer).await;
    echo(server);
    let client = client();
    let mut connections = Vec::new();
    for _ in 0..50 {
        connections.push(soon(client.connect(url(address))).await.unwrap());
    }
    for connection in &mut connections {
        for message in [Message::text("ship ahoy"), Message::binary(vec![7; 200_000])] {
            connection.send(message.clone()).await.unwrap();
            assert_eq!(soon(connection.recv()).await.unwrap(), Some(message));
        }
    }
    for mut connection in connections {
        assert_eq!(connection.http_version(), Some(http::Version::HTTP_2));
        assert!(soon(connection.close(CloseCode::NORMAL, "bye")).await.unwrap().is_clean());
    }
}

#[tokio::test]
async fn a_loop_that_does_not_allow_extended_connect_is_told() {
    let server = Server::builder().build();
    let address = serve(&server, Front::Auto).await;
    let error = soon(client().connect(url(address))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoExtendedConnect, "{error}");
    assert!(error.to_string().contains("SETTINGS_ENABLE_CONNECT_PROTOCOL"), "{error}");
}

#[tokio::test]
async fn what_is_asked_for_is_agreed_on() {
    let deflate = Deflate::server().send_context_takeover(true);
    let mut server = Server::builder().config(Config::server().compression(deflate)).build();
    let address = serve(&server, Front::HttpServer).await;
    let client = client()
        .config(Config::client().compression(Deflate::client()))
        .protocols(["chat.v2", "chat.v1"])
        .header("cookie", "a=b")
        .origin(format!("http://{address}"));
    let connecting = tokio::spawn(client.connect(url(address)));
    let request = soon(server.next_request()).await.unwrap();
    assert_eq!(request.resource(), "/chat?room=7");
    assert_eq!(request.http().version(), http::Version::HTTP_2);
    assert_eq!(request.http().headers()["cookie"], "a=b");
    let accept = Accept::new().protocol("chat.v1");
    let mut there = soon(request.accept_with(accept)).await.unwrap();
    let mut here = soon(connecting).await.unwrap().unwrap();
    assert_eq!((here.protocol(), there.protocol()), (Some("chat.v1"), Some("chat.v1")));
    assert_eq!(here.extensions(), there.extensions());
    assert_eq!(here.extensions().len(), 1);
    let text = "ship ahoy, ".repeat(20_000);
    for _ in 0..3 {
        here.send(text.as_str()).await.unwrap();
        assert_eq!(soon(there.recv()).await.unwrap(), Some(text.as_str().into()));
        there.send(text.as_str()).await.unwrap();
        assert_eq!(soon(here.recv()).await.unwrap(), Some(text.as_str().into()));
    }
}

#[tokio::test]
async fn a_refusal_is_told_and_leaves_the_others_alone() {
    let mut server = Server::builder().build();
    let address = serve(&server, Front::HttpServer).await;
    let client = client();
    let connecting = tokio::spawn(client.connect(url(address)));
    let accepted = soon(server.next_request()).await.unwrap().accept().await.unwrap();
    let mut open = soon(connecting).await.unwrap().unwrap();
    for _ in 0..10 {
        let connecting = tokio::spawn(client.connect(url(address)));
        let request = soon(server.next_request()).await.unwrap();
        request.reject(StatusCode::FORBIDDEN, "no such room").await.unwrap();
        let error = soon(connecting).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HttpResponse, "{error}");
        assert!(error.to_string().contains("no such room"), "{error}");
        let response = error.response().unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(response.body(), "no such room\n");
    }
    accepted.send("still here").await.unwrap();
    assert_eq!(soon(open.recv()).await.unwrap(), Some("still here".into()));
}

#[tokio::test]
async fn a_shutdown_closes_all_with_1001() {
    let server = Server::builder().build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let http = HttpServer::new(mount(server.handle(), service_fn(page::<Incoming>)));
    http.listen(listener);
    let handle = server.handle();
    echo(server);
    let client = client();
    let mut receiving = Vec::new();
    for _ in 0..20 {
        let mut connection = soon(client.connect(url(address))).await.unwrap();
        receiving.push(tokio::spawn(async move {
            (connection.recv().await, connection.closed().unwrap().code())
        }));
    }
    let (aborted, shutdown) = soon(async {
        tokio::join!(http.shutdown(LONG), handle.shutdown(CloseCode::GOING_AWAY, LONG))
    })
    .await;
    let shutdown = shutdown.unwrap();
    assert_eq!((aborted, shutdown.connections, shutdown.aborted), (0, 20, 0));
    for receiving in receiving {
        let (received, code) = soon(receiving).await.unwrap();
        assert_eq!((received.unwrap(), code), (None, CloseCode::GOING_AWAY));
    }
}

/// The server's side of a program that does not receive.
#[tokio::test]
async fn a_server_that_does_not_receive_is_backpressure() {
    let mut server = Server::builder().build();
    let address = serve(&server, Front::HttpServer).await;
    let config = Config::client().send_timeout(None).keepalive(None);
    let client = client().config(config);
    let connecting = tokio::spawn(client.connect(url(address)));
    let mut there = soon(server.next_request()).await.unwrap().accept().await.unwrap();
    let here = soon(connecting).await.unwrap().unwrap();
    let message = Message::binary(vec![7; 10_000]);
    let mut sent = 0;
    while let Ok(Ok(())) =
        tokio::time::timeout(Duration::from_millis(500), here.send(message.clone())).await
    {
        sent += 1;
        assert!(sent < 1000, "10 MB are on the way");
    }
    for _ in 0..sent {
        assert_eq!(soon(there.recv()).await.unwrap(), Some(message.clone()));
    }
    soon(here.send(message.clone())).await.unwrap();
    assert_eq!(soon(there.recv()).await.unwrap(), Some(message));
}

#[tokio::test]
async fn a_server_that_vanishes_ends_all() {
    let server = Server::builder().build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let http = HttpServer::new(mount(server.handle(), service_fn(page::<Incoming>)));
    http.listen(listener);
    echo(server);
    let client = client();
    let mut connections = Vec::new();
    for _ in 0..5 {
        connections.push(soon(client.connect(url(address))).await.unwrap());
    }
    assert_eq!(http.shutdown(Duration::ZERO).await, 1);
    for mut connection in connections {
        let error = soon(connection.recv()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
        let error = error.get_ref().unwrap();
        assert!(error.downcast_ref::<io::Error>().is_some());
    }
}
