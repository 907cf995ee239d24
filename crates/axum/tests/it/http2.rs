//! Over HTTP/2, by extended CONNECT (RFC 8441).

use std::net::SocketAddr;

use axum::Router;
use axum::routing::{any, get};
use bytes::Bytes;
use h2::client::SendRequest;
use h2::ext::Protocol;
use http::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use towline::{CloseCode, Connection, Server};
use towline_axum::{Upgrade, layer, shutdown_on};
use towline_hyper::{Http2Executor, HttpServer};

use crate::support::{LONG, app, echoing, serve, soon};

async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (requests, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    soon(async {
        while !requests.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    requests
}

fn request(method: &str, path: &str, protocol: Option<&str>) -> Request<()> {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("https://example.com{path}"))
        .header("Sec-WebSocket-Version", "13")
        .body(())
        .unwrap();
    if let Some(protocol) = protocol {
        request.extensions_mut().insert(Protocol::from(protocol));
    }
    request
}

/// The masked text frame "hi".
const HI: Bytes = Bytes::from_static(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']);

async fn data(receive: &mut h2::RecvStream) -> Bytes {
    loop {
        let data = soon(receive.data()).await.expect("more").unwrap();
        receive.flow_control().release_capacity(data.len()).unwrap();
        if !data.is_empty() {
            return data;
        }
    }
}

#[tokio::test]
async fn several_websockets_share_a_connection_with_a_page() {
    let address = serve(app()).await;
    let mut requests = connect(address).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let request = request("CONNECT", "/ws", Some("websocket"));
        let (response, mut send) = requests.send_request(request, false).unwrap();
        let response = soon(response).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("sec-websocket-accept"));
        send.send_data(HI, false).unwrap();
        open.push((send, response.into_body()));
    }
    let (response, _) = requests.send_request(request("GET", "/", None), true).unwrap();
    assert_eq!(soon(response).await.unwrap().status(), 200);
    for (_, receive) in &mut open {
        assert_eq!(&data(receive).await[..], b"\x81\x02hi");
    }
}

async fn refused(request: Request<()>) -> Response<h2::RecvStream> {
    let app = app().route("/get-only", get(echoing));
    let mut requests = connect(serve(app).await).await;
    let (response, _send) = requests.send_request(request, false).unwrap();
    soon(response).await.unwrap()
}

#[tokio::test]
async fn what_opens_no_websocket_is_refused() {
    for (request, status) in [
        (request("GET", "/ws", None), 405),
        (request("CONNECT", "/ws", Some("connect-udp")), 501),
        (request("CONNECT", "/get-only", Some("websocket")), 405),
    ] {
        let response = refused(request).await;
        assert_eq!(response.status(), status);
        let none_of_http1 = |headers: &HeaderMap| {
            !headers.contains_key("connection") && !headers.contains_key("upgrade")
        };
        assert!(none_of_http1(response.headers()), "{response:?}");
    }
    let mut old = request("CONNECT", "/ws", Some("websocket"));
    old.headers_mut().insert("sec-websocket-version", "7".parse().unwrap());
    let response = refused(old).await;
    assert_eq!(response.status(), 400);
    assert!(response.headers().contains_key("sec-websocket-version"));
}

#[tokio::test]
async fn a_shutdown_ends_websockets_with_1001_and_then_their_connection() {
    let server = Server::builder().build_handle();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (signal, signalled) = tokio::sync::oneshot::channel::<()>();
    let stop = shutdown_on(server.clone(), async { drop(signalled.await) }).deadline(LONG);
    let app: Router = app().layer(layer(server.clone()));
    let serving =
        tokio::spawn(async { axum::serve(listener, app).with_graceful_shutdown(stop).await });
    let mut requests = connect(address).await;
    let request = request("CONNECT", "/ws", Some("websocket"));
    let (response, mut send) = requests.send_request(request, false).unwrap();
    let mut receive = soon(response).await.unwrap().into_body();
    send.send_data(HI, false).unwrap();
    data(&mut receive).await;
    signal.send(()).unwrap();
    assert_eq!(&data(&mut receive).await[..], [0x88, 2, 0x03, 0xE9]);
    assert!(!serving.is_finished());
    let reply =
        [&[0x88, 0x82, 0, 0, 0, 0][..], &CloseCode::GOING_AWAY.get().to_be_bytes()].concat();
    send.send_data(reply.into(), true).unwrap();
    drop((send, receive, requests));
    soon(serving).await.unwrap().unwrap();
    assert!(server.connections().is_empty());
}

/// The client gives no window for its last bytes.
#[tokio::test(start_paused = true)]
async fn the_stream_of_a_websocket_that_has_ended_is_reset() {
    let flood = async |upgrade: Upgrade| {
        upgrade.on_connection(async |connection: Connection| {
            connection.send(vec![7; 10_000]).await?;
            connection.abort(CloseCode::POLICY, "spam");
            towline::Result::Ok(())
        })
    };
    let app = Router::new().route("/ws", any(flood));
    let (at_server, at_client) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        let mut builder = auto::Builder::new(Http2Executor::new());
        builder.http2().enable_connect_protocol();
        let service = TowerToHyperService::new(app);
        drop(builder.serve_connection_with_upgrades(TokioIo::new(at_server), service).await);
    });
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(0);
    let (mut requests, connection) = builder.handshake::<_, Bytes>(at_client).await.unwrap();
    tokio::spawn(connection);
    soon(async {
        while !requests.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let request = request("CONNECT", "/ws", Some("websocket"));
    let (response, _send) = requests.send_request(request, false).unwrap();
    let mut receive = soon(response).await.unwrap().into_body();
    let error = soon(receive.data()).await.unwrap().unwrap_err();
    assert_eq!((error.is_reset(), error.reason()), (true, Some(h2::Reason::CANCEL)));
}

/// As the documentation of the crate shows.
#[tokio::test]
async fn an_app_can_be_served_by_an_http_server() {
    let greet = async |upgrade: Upgrade| {
        let peer = upgrade.request().peer_addr().unwrap();
        upgrade.on_connection(async move |mut connection: Connection| {
            connection.send(peer.to_string()).await?;
            connection.recv().await.map(drop)
        })
    };
    let server = Server::builder().build_handle();
    let app = Router::new().route("/ws", any(greet)).layer(layer(server.clone()));
    let http = HttpServer::new(TowerToHyperService::new(app));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    http.listen(listener);
    // Over HTTP/1.1 and HTTP/2.
    let mut first = crate::support::connect(address, "/ws").await;
    let mut requests = connect(address).await;
    let request = request("CONNECT", "/ws", Some("websocket"));
    let (response, mut send) = requests.send_request(request, false).unwrap();
    let mut receive = soon(response).await.unwrap().into_body();
    let greeting = soon(first.recv()).await.unwrap().unwrap().into_text().unwrap();
    assert!(greeting.starts_with("127.0.0.1:"), "{greeting:?}");
    assert!(data(&mut receive).await[2..].starts_with(b"127.0.0.1:"));
    let receiving = tokio::spawn(async move { (first.recv().await, first) });
    let closing = tokio::spawn(async move {
        tokio::join!(http.shutdown(LONG), server.shutdown(CloseCode::GOING_AWAY, LONG))
    });
    assert_eq!(&data(&mut receive).await[..], [0x88, 2, 0x03, 0xE9]);
    let reply = Bytes::from_static(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE9]);
    send.send_data(reply, true).unwrap();
    drop((send, receive, requests));
    let (aborted, closed) = soon(closing).await.unwrap();
    let closed = closed.unwrap();
    assert_eq!((aborted, closed.connections, closed.aborted), (0, 2, 0));
    let (received, first) = soon(receiving).await.unwrap();
    assert_eq!(received.unwrap(), None);
    assert_eq!(first.closed().unwrap().code(), CloseCode::GOING_AWAY);
}
