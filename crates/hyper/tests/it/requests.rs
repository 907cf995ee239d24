use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::TcpListener;
use towline::Server;
use towline_hyper::{HttpServer, mount};

use crate::raw_http2::RawHttp2;
use crate::support::{FRONTS, Front, HANDSHAKE, Raw, echo, page, request, serve, soon};

#[tokio::test]
async fn plain_requests_reach_the_service() {
    for front in FRONTS {
        let server = Server::builder().build();
        let address = serve(&server, front).await;
        let mut client = Raw::connect(address).await;
        client.request("GET /a", &[]).await;
        let answer = client.response().await;
        assert_eq!(answer.status(), 200, "{front:?}");
        assert_eq!(answer.body, format!("page /a for {}", client.local_addr()), "{front:?}");
    }
}

#[tokio::test]
async fn an_upgrade_to_something_else_is_a_plain_request() {
    let server = Server::builder().build();
    let mut client = Raw::connect(serve(&server, Front::Http1).await).await;
    for upgrade in ["Upgrade: h2c", "Upgrade: websockets, x-websocket", "Upgrade: websocket/13"] {
        client.request("GET /", &[upgrade, "Connection: Upgrade"]).await;
        assert_eq!(client.response().await.status(), 200, "{upgrade}");
    }
}

#[tokio::test]
async fn plain_requests_may_come_before_the_handshake() {
    for front in FRONTS {
        let server = Server::builder().build();
        let address = serve(&server, front).await;
        echo(server);
        let mut client = Raw::connect(address).await;
        // All in one packet: the second waits in hyper's buffer while the first is answered.
        let handshake = request("GET /chat", &HANDSHAKE);
        let frame = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
        let mut bytes =
            [request("GET /a", &[]), request("GET /b", &[]), handshake].concat().into_bytes();
        bytes.extend(frame);
        client.send(bytes).await;
        assert!(client.response().await.body.starts_with("page /a "), "{front:?}");
        assert!(client.response().await.body.starts_with("page /b "), "{front:?}");
        assert_eq!(client.response().await.status(), 101, "{front:?}");
        assert_eq!(client.read(4).await, b"\x81\x02hi", "{front:?}");
    }
}

#[tokio::test]
async fn a_request_says_where_it_comes_from() {
    for front in FRONTS {
        let mut server = Server::builder().build();
        let mut client = Raw::connect(serve(&server, front).await).await;
        client
            .request(
                "GET /chat?room=7",
                &[&HANDSHAKE[..], &["X-Forwarded-For: 192.0.2.7"]].concat(),
            )
            .await;
        let request = soon(server.next_request()).await.unwrap();
        assert_eq!(request.resource(), "/chat?room=7");
        assert_eq!(request.peer_addr(), Some(client.local_addr()), "{front:?}");
        // Loopback is trusted to forward.
        assert_eq!(request.remote_address(), Some([192, 0, 2, 7].into()), "{front:?}");
    }
}

/// hyper adds it to the time that it is.
#[tokio::test]
async fn a_head_can_have_all_the_time_there_is() {
    let server = Server::builder().build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let http = HttpServer::new(mount(server.handle(), service_fn(page::<Incoming>)))
        .header_timeout(Duration::MAX);
    http.listen(listener);
    let mut client = Raw::connect(address).await;
    client.request("GET /", &[]).await;
    assert_eq!(client.response().await.status(), 200);
    echo(server);
    RawHttp2::connect(address).await.open(1).await;
}
