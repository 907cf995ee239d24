use std::sync::atomic::Ordering;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use towline::{Client, CloseCode, Config, Connection, ErrorKind, Message, Role, Server};
use towline_hyper::mount;

use crate::support::{FRONTS, HANDSHAKE, echo, echo_messages, page, read, request, serve, soon};

#[tokio::test]
async fn a_handshake_becomes_a_connection_on_the_bare_socket() {
    for front in FRONTS {
        let server = Server::builder().build();
        let address = serve(&server, front).await;
        let bare = echo(server);
        let mut client = Client::new().connect(format!("ws://{address}/chat")).await.unwrap();
        for message in [Message::text("ship ahoy"), Message::binary(vec![7; 200_000])] {
            client.send(message.clone()).await.unwrap();
            assert_eq!(soon(client.recv()).await.unwrap(), Some(message), "{front:?}");
        }
        let closed = soon(client.close(CloseCode::NORMAL, "bye")).await.unwrap();
        assert!(closed.is_clean(), "{front:?}");
        assert_eq!(bare.load(Ordering::Relaxed), 1, "{front:?}: hyper's wrapper is still there");
    }
}

#[tokio::test]
async fn subprotocols_and_headers_go_through() {
    for front in FRONTS {
        let mut server = Server::builder().build();
        let address = serve(&server, front).await;
        tokio::spawn(async move {
            let request = server.next_request().await.unwrap();
            let accept = towline::Accept::new()
                .protocol("chat.v2")
                .header("X-Ship", "Endurance")
                .cookie(towline::SetCookie::new("deck", "2").unwrap());
            let mut connection = request.accept_with(accept).await.unwrap();
            echo_messages(&mut connection).await;
        });
        let client = Client::new().protocols(["chat.v1", "chat.v2"]);
        let client = soon(client.connect(format!("ws://{address}/"))).await.unwrap();
        assert_eq!(client.protocol(), Some("chat.v2"), "{front:?}");
        let headers = client.response().unwrap().headers();
        assert_eq!(headers["x-ship"], "Endurance");
        assert_eq!(headers["set-cookie"], "deck=2");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_will_do() {
    let server = Server::builder().build();
    let (at_server, mut at_client) = tokio::net::UnixStream::pair().unwrap();
    let service = mount(server.handle(), service_fn(page::<Incoming>));
    echo(server);
    let io = TokioIo::new(at_server);
    tokio::spawn(http1::Builder::new().serve_connection(io, service).with_upgrades());
    upgrade_and_echo(&mut at_client).await;
}

#[tokio::test]
async fn a_stream_that_hyper_keeps_will_do() {
    let server = Server::builder().build();
    let (at_server, mut at_client) = tokio::io::duplex(1 << 10);
    let service = mount(server.handle(), service_fn(page::<Incoming>));
    let bare = echo(server);
    let io = TokioIo::new(at_server);
    tokio::spawn(http1::Builder::new().serve_connection(io, service).with_upgrades());
    upgrade_and_echo(&mut at_client).await;
    let config = Config::client();
    let mut client = Connection::from_stream(at_client, Role::Client, &config, Bytes::new());
    let message = Message::binary(vec![7; 100_000]);
    client.send(message.clone()).await.unwrap();
    assert_eq!(soon(client.recv()).await.unwrap(), Some(message));
    assert!(soon(client.close(CloseCode::NORMAL, "")).await.unwrap().is_clean());
    assert_eq!(bare.load(Ordering::Relaxed), 0);
}

/// Asks for an upgrade and sends a frame along with it.
async fn upgrade_and_echo(
    client: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin),
) {
    use tokio::io::AsyncWriteExt as _;

    let mut bytes = request("GET /", &HANDSHAKE).into_bytes();
    bytes.extend([0x81, 0x82, 0, 0, 0, 0, b'h', b'i']);
    client.write_all(&bytes).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(read(client, 1).await);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    assert_eq!(read(client, 4).await, b"\x81\x02hi");
}

#[tokio::test]
async fn a_connection_served_without_upgrades_says_what_is_missing() {
    let mut server = Server::builder().build();
    let (at_server, mut at_client) = tokio::io::duplex(1 << 10);
    let service = mount(server.handle(), service_fn(page::<Incoming>));
    let io = TokioIo::new(at_server);
    tokio::spawn(http1::Builder::new().serve_connection(io, service));
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        at_client.write_all(request("GET /", &HANDSHAKE).as_bytes()).await.unwrap();
        read(&mut at_client, 1).await;
        std::future::pending::<()>().await;
    });
    let request = soon(server.next_request()).await.unwrap();
    let error = soon(request.accept()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RequestGone);
    assert!(error.to_string().contains("with_upgrades"), "{error}");
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_is_gone() {
    for front in FRONTS {
        let mut server = Server::builder().build();
        let mut client = crate::support::Raw::connect(serve(&server, front).await).await;
        client.request("GET /", &HANDSHAKE).await;
        let request = soon(server.next_request()).await.unwrap();
        drop(client);
        // Nothing tells when hyper has noticed; the answer fails once it has, or else the first
        // thing the connection does.
        match soon(request.accept()).await {
            Err(error) => assert_eq!(error.kind(), ErrorKind::RequestGone, "{front:?}"),
            Ok(mut connection) => assert!(soon(connection.recv()).await.is_err(), "{front:?}"),
        }
    }
}
