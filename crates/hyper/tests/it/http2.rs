//! Extended CONNECT (RFC 8441): a WebSocket as a stream of an HTTP/2 connection.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use towline::{CloseCode, Config, Connection, Message, Role, Server};
use towline_hyper::{HttpServer, mount};
use towline_kit::http2_io::Tunnel;

use crate::support::{Front, LONG, echo, page, serve, soon};

/// A client's connection once the server has said that extended CONNECT is welcome.
pub(crate) async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    connect_over(TcpStream::connect(address).await.unwrap()).await
}

pub(crate) async fn connect_over<S>(stream: S) -> SendRequest<Bytes>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
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

pub(crate) fn extended(
    requests: &mut SendRequest<Bytes>,
    protocol: &str,
) -> (ResponseFuture, SendStream<Bytes>) {
    let mut request = Request::connect("https://example.com/chat?room=7")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Protocol", "chat.v1")
        .header("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")
        .body(())
        .unwrap();
    request.extensions_mut().insert(Protocol::from(protocol));
    requests.send_request(request, false).unwrap()
}

pub(crate) async fn open(requests: &mut SendRequest<Bytes>) -> Connection {
    let (response, send) = extended(requests, "websocket");
    let response = soon(response).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("sec-websocket-accept"));
    let tunnel = Tunnel::new(send, response.into_body());
    Connection::from_stream(tunnel, Role::Client, &Config::client(), Bytes::new())
}

#[tokio::test]
async fn an_extended_connect_becomes_a_connection() {
    let server = Server::builder().build();
    let address = serve(&server, Front::HttpServer).await;
    let bare = echo(server);
    let mut requests = connect(address).await;
    // Several on one connection, and a page beside them.
    let (mut one, mut two) = (open(&mut requests).await, open(&mut requests).await);
    // More than the windows of flow control hold.
    let long = Message::binary(vec![7; 300_000]);
    for client in [&mut one, &mut two] {
        for message in [Message::text("ship ahoy"), long.clone()] {
            client.send(message.clone()).await.unwrap();
            assert_eq!(soon(client.recv()).await.unwrap(), Some(message));
        }
    }
    let request = Request::get("https://example.com/a").body(()).unwrap();
    let (response, _) = requests.send_request(request, true).unwrap();
    assert_eq!(soon(response).await.unwrap().status(), 200);
    for mut client in [one, two] {
        assert!(soon(client.close(CloseCode::NORMAL, "bye")).await.unwrap().is_clean());
    }
    assert_eq!(bare.load(std::sync::atomic::Ordering::Relaxed), 0);
}

/// The header of a frame is no DATA frame of its own.
#[tokio::test]
async fn a_long_message_takes_few_data_frames() {
    const LONG_MESSAGE: usize = 1 << 20;
    // The largest DATA frame, unless the client allows more.
    const LARGEST: usize = 16 << 10;

    let mut server = Server::builder().build();
    let address = serve(&server, Front::HttpServer).await;
    let stream = TcpStream::connect(address).await.unwrap();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(4 << 20).initial_connection_window_size(4 << 20);
    let (mut requests, connection) = builder.handshake(stream).await.unwrap();
    tokio::spawn(connection);
    while !requests.is_extended_connect_protocol_enabled() {
        tokio::task::yield_now().await;
    }
    let (response, _send) = extended(&mut requests, "websocket");
    let connection = soon(server.next_request()).await.unwrap().accept().await.unwrap();
    let mut receive = soon(response).await.unwrap().into_body();
    connection.send(vec![7; LONG_MESSAGE]).await.unwrap();
    let (mut frames, mut bytes) = (0, 0);
    while bytes < LONG_MESSAGE {
        bytes += soon(receive.data()).await.unwrap().unwrap().len();
        frames += 1;
    }
    assert!(frames <= LONG_MESSAGE / LARGEST * 5 / 4, "{frames} DATA frames");
}

#[tokio::test]
async fn the_request_is_like_any_other() {
    let mut server = Server::builder().build();
    let address = serve(&server, Front::HttpServer).await;
    let mut requests = connect(address).await;
    let (response, _send) = extended(&mut requests, "websocket");
    let request = soon(server.next_request()).await.unwrap();
    assert_eq!((request.host(), request.resource()), ("example.com", "/chat?room=7"));
    assert!(request.peer_addr().is_some());
    let accept = towline::Accept::new().protocol("chat.v1");
    let connection = soon(request.accept_with(accept)).await.unwrap();
    assert_eq!(connection.protocol(), Some("chat.v1"));
    let response = soon(response).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat.v1");
}

#[tokio::test]
async fn what_is_no_websocket_is_a_plain_request() {
    let server = Server::builder().build();
    let address = serve(&server, Front::HttpServer).await;
    let mut requests = connect(address).await;
    let (response, _send) = extended(&mut requests, "connect-udp");
    assert_eq!(soon(response).await.unwrap().status(), 200);
    drop(server);
    let (response, _send) = extended(&mut requests, "websocket");
    assert_eq!(soon(response).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_rejection_has_no_headers_of_http_1() {
    let mut server = Server::builder().build();
    let address = serve(&server, Front::HttpServer).await;
    let mut requests = connect(address).await;
    let (response, _send) = extended(&mut requests, "websocket");
    let request = soon(server.next_request()).await.unwrap();
    request.reject(StatusCode::NOT_FOUND, "no such room").await.unwrap();
    let response: Response<RecvStream> = soon(response).await.unwrap();
    assert_eq!(response.status(), 404);
    assert_eq!(response.headers()["x-websocket-reject-reason"], "no such room");
    assert!(!response.headers().contains_key("connection"));
    let body = soon(response.into_body().data()).await.unwrap().unwrap();
    assert_eq!(body, "no such room\n");
    // The connection is fit for another.
    let (response, _send) = extended(&mut requests, "websocket");
    drop(soon(server.next_request()).await.unwrap());
    assert_eq!(soon(response).await.unwrap().status(), 500);
}

#[tokio::test]
async fn the_end_of_a_websocket_is_the_end_of_its_stream() {
    let mut server = Server::builder().build();
    let address = serve(&server, Front::HttpServer).await;
    let mut requests = connect(address).await;
    let (response, mut send) = extended(&mut requests, "websocket");
    let mut connection = soon(server.next_request()).await.unwrap().accept().await.unwrap();
    let mut receive = soon(response).await.unwrap().into_body();
    let closing = tokio::spawn(async move { connection.close(CloseCode::NORMAL, "").await });
    assert_eq!(&soon(receive.data()).await.unwrap().unwrap()[..], [0x88, 2, 0x03, 0xE8]);
    send.send_data(Bytes::from_static(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8]), false).unwrap();
    while let Some(data) = soon(receive.data()).await {
        assert!(data.unwrap().is_empty());
    }
    assert!(soon(closing).await.unwrap().unwrap().is_clean());
}

#[tokio::test]
async fn both_servers_end_together() {
    let server = Server::builder().build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let http = HttpServer::new(mount(server.handle(), service_fn(page::<Incoming>)));
    http.listen(listener);
    let handle = server.handle();
    echo(server);
    let mut requests = connect(address).await;
    let mut client = open(&mut requests).await;
    let receiving = tokio::spawn(async move { (client.recv().await, client) });
    let (aborted, shutdown) = soon(async {
        tokio::join!(http.shutdown(LONG), handle.shutdown(CloseCode::GOING_AWAY, LONG))
    })
    .await;
    let shutdown = shutdown.unwrap();
    assert_eq!((aborted, shutdown.connections, shutdown.aborted), (0, 1, 0));
    let (received, client) = soon(receiving).await.unwrap();
    assert_eq!(received.unwrap(), None);
    assert_eq!(client.closed().unwrap().code(), CloseCode::GOING_AWAY);
}

#[tokio::test]
async fn a_loop_of_one_s_own_will_do() {
    let server = Server::builder().build();
    let (at_server, at_client) = tokio::io::duplex(1 << 16);
    let service = mount(server.handle(), service_fn(page::<Incoming>));
    echo(server);
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.enable_connect_protocol();
    tokio::spawn(builder.serve_connection(TokioIo::new(at_server), service));
    let mut requests = connect_over(at_client).await;
    let mut client = open(&mut requests).await;
    client.send("ship ahoy").await.unwrap();
    assert_eq!(soon(client.recv()).await.unwrap(), Some(Message::text("ship ahoy")));
}
