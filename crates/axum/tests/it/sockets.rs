//! On real sockets, served by axum as it is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::{any, get};
use axum::serve::ListenerExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use towline::{CloseCode, Connection, Message};
use towline_axum::Upgrade;

use crate::support::{app, client, connect, echo, serve, soon};

#[tokio::test]
async fn messages_of_all_sizes_come_back() {
    let address = serve(app()).await;
    let mut client = connect(address, "/ws").await;
    for message in [Message::text("ship ahoy"), Message::binary(vec![7; 300_000])] {
        client.send(message.clone()).await.unwrap();
        assert_eq!(soon(client.recv()).await.unwrap(), Some(message));
    }
    assert!(soon(client.close(CloseCode::NORMAL, "bye")).await.unwrap().is_clean());
}

/// An app that counts the connections on a bare socket, with Nagle's algorithm off.
fn counting(bare: &Arc<AtomicUsize>) -> Router {
    let bare = bare.clone();
    let count = move |upgrade: Upgrade| async move {
        upgrade.on_connection(async move |connection: Connection| {
            if connection.tcp_stream().is_some_and(|tcp| tcp.nodelay().unwrap()) {
                bare.fetch_add(1, Ordering::SeqCst);
            }
            echo(connection).await
        })
    };
    Router::new().route("/ws", any(count))
}

/// An idle connection costs what it costs on a listening socket of Towline, and no more: nothing of
/// hyper is left around the socket.
#[tokio::test]
async fn the_socket_is_taken_out_of_everything_that_axum_puts_around_it() {
    let bare = Arc::new(AtomicUsize::new(0));
    for turn in 0..4 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = counting(&bare);
        let with_info = app.clone().into_make_service_with_connect_info::<SocketAddr>();
        match turn {
            0 => drop(tokio::spawn(async { axum::serve(listener, app).await })),
            1 => drop(tokio::spawn(async { axum::serve(listener, with_info).await })),
            2 => {
                let listener = listener.tap_io(|tcp| tcp.set_ttl(64).unwrap());
                tokio::spawn(async { axum::serve(listener, app).await });
            }
            _ => {
                let never = std::future::pending();
                let serving = axum::serve(listener, app).with_graceful_shutdown(never);
                tokio::spawn(async { serving.await });
            }
        }
        let mut client = connect(address, "/ws").await;
        client.send("ahoy").await.unwrap();
        assert!(soon(client.recv()).await.unwrap().is_some());
        assert_eq!(bare.load(Ordering::SeqCst), turn + 1, "turn {turn}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_taken_out_too() {
    use tokio::net::{UnixListener, UnixStream};

    let path = std::env::temp_dir().join(format!("towline-axum-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let app = Router::new().route(
        "/ws",
        get(async |upgrade: Upgrade| {
            upgrade.on_connection(async |connection: Connection| {
                let is_bare = connection.unix_stream().is_some();
                connection.send(is_bare.to_string()).await
            })
        }),
    );
    tokio::spawn(async { axum::serve(listener, app).await });
    let stream = UnixStream::connect(&path).await.unwrap();
    let mut client = soon(client().connect_over(stream, "ws://localhost/ws")).await.unwrap();
    assert_eq!(soon(client.recv()).await.unwrap(), Some(Message::text("true")));
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn frames_in_the_packet_of_the_request_are_delivered() {
    let address = serve(app()).await;
    let mut tcp = TcpStream::connect(address).await.unwrap();
    let request = "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let frame = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
    tcp.write_all(&[request.as_bytes(), &frame].concat()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(tcp.read_u8()).await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    let mut frame = [0; 4];
    soon(tcp.read_exact(&mut frame)).await.unwrap();
    assert_eq!(&frame, b"\x81\x02hi");
}

#[tokio::test]
async fn the_peer_is_known_and_believed_about_who_it_forwards_for() {
    let who = async |upgrade: Upgrade| {
        let request = upgrade.request();
        let seen = format!("{:?} {:?}", request.peer_addr(), request.remote_address());
        upgrade.on_connection(async move |connection: Connection| connection.send(seen).await)
    };
    let app = Router::new().route("/ws", any(who));
    let address = serve(app.clone()).await;
    let client = client().header("x-forwarded-for", "192.0.2.7");
    let mut forwarded = soon(client.connect(format!("ws://{address}/ws"))).await.unwrap();
    let peer = forwarded.tcp_stream().unwrap().local_addr().unwrap();
    let seen = format!("{:?} Some(192.0.2.7)", Some(peer));
    assert_eq!(soon(forwarded.recv()).await.unwrap(), Some(Message::text(seen)));

    // Without `ConnectInfo` nobody is known, and so nobody is believed.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await });
    let mut unknown = soon(client.connect(format!("ws://{address}/ws"))).await.unwrap();
    assert_eq!(soon(unknown.recv()).await.unwrap(), Some(Message::text("None None")));
}

#[tokio::test]
async fn many_connections_and_pages_at_once() {
    let address = serve(app()).await;
    let talking = (0..200).map(|number| {
        tokio::spawn(async move {
            let mut client = connect(address, "/ws").await;
            for turn in 0..5 {
                let message = Message::text(format!("{number}: {turn}"));
                client.send(message.clone()).await.unwrap();
                assert_eq!(soon(client.recv()).await.unwrap(), Some(message));
            }
            client
        })
    });
    let mut clients = Vec::new();
    for talk in talking.collect::<Vec<_>>() {
        clients.push(talk.await.unwrap());
    }
    let mut page = TcpStream::connect(address).await.unwrap();
    page.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    soon(page.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.ends_with("a page"), "{answer}");
}
