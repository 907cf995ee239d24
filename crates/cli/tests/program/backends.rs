//! `towline serve --proxy`.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use towline::{Client, CloseCode, Closed, Connection, Message};

use crate::support::{Serve, ask_from_page, within};

async fn backend() -> (TcpListener, Serve) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("--proxy=tcp://{}", listener.local_addr().unwrap());
    (listener, Serve::start(&[&address, "--connect-timeout=200ms"]))
}

async fn connect(server: &Serve) -> Connection {
    Client::new().protocols(["binary"]).connect(&server.url()).await.unwrap()
}

async fn pair() -> (Serve, Connection, TcpStream) {
    let (listener, server) = backend().await;
    let connection = connect(&server).await;
    let (stream, _) = within(listener.accept()).await.unwrap();
    (server, connection, stream)
}

async fn end(connection: &mut Connection) -> Closed {
    while let Ok(Some(_)) = within(connection.recv()).await {}
    within(connection.wait_closed()).await
}

async fn bytes(connection: &mut Connection, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < count {
        let message = within(connection.recv()).await.unwrap().expect("closed");
        assert!(!message.is_text());
        bytes.extend_from_slice(message.as_bytes());
    }
    bytes
}

#[tokio::test]
async fn bytes_go_both_ways() {
    let (server, mut connection, mut stream) = pair().await;
    assert_eq!(connection.protocol(), Some("binary"));
    connection.send(&b"a\0\xff"[..]).await.unwrap();
    connection.send(&b""[..]).await.unwrap();
    connection.send(&b"b"[..]).await.unwrap();
    let mut received = [0; 4];
    within(stream.read_exact(&mut received)).await.unwrap();
    assert_eq!(&received, b"a\0\xffb");
    let many: Vec<u8> = (0..=255).collect::<Vec<u8>>().repeat(4000);
    let (mut from, mut to) = stream.into_split();
    let sent = many.clone();
    let writing = tokio::spawn(async move { to.write_all(&sent).await.map(|()| to) });
    assert!(bytes(&mut connection, many.len()).await == many);
    let _to = writing.await.unwrap().unwrap();
    connection.send(many.clone()).await.unwrap();
    let mut received = vec![0; many.len()];
    within(from.read_exact(&mut received)).await.unwrap();
    assert!(received == many);
    within(connection.close(CloseCode::NORMAL, "")).await.unwrap();
    // What the backend sees is the end, not a reset.
    assert_eq!(within(from.read(&mut received)).await.unwrap(), 0);
    drop(_to);
    server.program.signal("INT");
    let ended = server.program.end();
    assert!(ended.text().contains("1 connection to tcp://127.0.0.1:"), "{ended:?}");
    assert!(ended.text().contains("1000 KiB sent, 1000 KiB received"), "{ended:?}");
}

#[tokio::test]
async fn clients_of_websockify_agree_on_their_subprotocol_and_others_need_none() {
    let (_listener, server) = backend().await;
    for (offered, agreed) in [(&["base64", "binary"][..], Some("binary")), (&[], None)] {
        let client = Client::new().protocols(offered.iter().copied());
        let connection = client.connect(&server.url()).await.unwrap();
        assert_eq!(connection.protocol(), agreed);
    }
}

#[tokio::test]
async fn the_end_of_the_backend_closes_with_1000() {
    let (_server, mut connection, mut stream) = pair().await;
    stream.write_all(b"all there is").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(bytes(&mut connection, 12).await, b"all there is");
    let closed = end(&mut connection).await;
    assert_eq!(closed.code(), CloseCode::NORMAL);
    assert_eq!(closed.reason(), "the backend has closed its connection");
    assert!(closed.is_clean());
    assert_eq!(within(stream.read(&mut [0])).await.unwrap(), 0);
}

/// A backend that has sent all it had still receives what the client had sent before.
#[tokio::test]
async fn what_was_sent_before_the_end_of_the_backend_is_the_backends() {
    const PARTS: usize = 64;
    let (_server, mut connection, mut stream) = pair().await;
    for _ in 0..PARTS {
        within(connection.send(vec![b'x'; 16 << 10])).await.unwrap();
    }
    stream.shutdown().await.unwrap();
    let closing = tokio::spawn(async move { end(&mut connection).await });
    let mut received = Vec::new();
    within(stream.read_to_end(&mut received)).await.unwrap();
    assert_eq!(received.len(), PARTS * (16 << 10));
    assert_eq!(within(closing).await.unwrap().code(), CloseCode::NORMAL);
}

#[tokio::test]
async fn a_reset_backend_closes_with_1014() {
    let (_server, mut connection, mut stream) = pair().await;
    // It is known to be connected.
    stream.write_all(b"x").await.unwrap();
    bytes(&mut connection, 1).await;
    stream.set_zero_linger().unwrap();
    drop(stream);
    let closed = end(&mut connection).await;
    assert_eq!(closed.code(), CloseCode::BAD_GATEWAY);
    assert_eq!(closed.reason(), "the connection to the backend is lost");
}

#[tokio::test]
async fn a_backend_that_refuses_closes_with_1014_and_is_named_in_the_log_only() {
    let (listener, mut server) = backend().await;
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let closed = end(&mut connect(&server).await).await;
    assert_eq!(closed.code(), CloseCode::BAD_GATEWAY);
    assert_eq!(closed.reason(), "the backend refuses the connection");
    let line = server.program.error_line();
    assert!(line.contains(&format!("can't be connected to tcp://{address}")), "{line}");
}

/// A port whose queue of connections is full neither accepts nor refuses.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_backend_that_does_not_answer_is_given_up() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut full = Vec::new();
    while let Ok(stream) =
        tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        full.push(stream.unwrap());
    }
    let mut server =
        Serve::start(&[&format!("--proxy=tcp://{address}"), "--connect-timeout=200ms"]);
    let closed = end(&mut connect(&server).await).await;
    assert_eq!(closed.code(), CloseCode::BAD_GATEWAY);
    assert_eq!(closed.reason(), "the backend does not answer");
    let line = server.program.error_line();
    assert!(line.contains("no answer within 200ms (--connect-timeout)"), "{line}");
}

#[tokio::test]
async fn text_is_refused() {
    let (_server, mut connection, mut stream) = pair().await;
    connection.send(Message::text("text")).await.unwrap();
    let closed = end(&mut connection).await;
    assert_eq!(closed.code(), CloseCode::UNSUPPORTED_DATA, "{closed}");
    assert_eq!(within(stream.read(&mut [0])).await.unwrap(), 0);
}

#[tokio::test]
async fn a_client_that_vanishes_ends_its_backend() {
    let (_server, connection, mut stream) = pair().await;
    connection.abort(CloseCode::NORMAL, "");
    drop(connection);
    assert!(matches!(within(stream.read(&mut [0])).await, Ok(0) | Err(_)));
}

/// Nobody's memory is filled by the other's silence.
#[tokio::test]
async fn each_side_waits_for_the_other() {
    let (_server, connection, mut stream) = pair().await;
    let part = vec![b'x'; 1 << 20];
    // The client reads nothing.
    let writing = async {
        for _ in 0..64 {
            stream.write_all(&part).await.unwrap();
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(2), writing).await.is_err(),
        "64 MiB were taken"
    );
    // The backend reads nothing.
    let sending = async {
        for _ in 0..64 {
            connection.send(part.as_slice()).await.unwrap();
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(2), sending).await.is_err(),
        "64 MiB were taken"
    );
}

#[tokio::test]
async fn two_hundred_connections_are_kept_apart() {
    let (listener, server) = backend().await;
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    let mut all = Vec::new();
    for number in 0..200 {
        let connection = connect(&server).await;
        connection.send(format!("{number:04}").into_bytes()).await.unwrap();
        all.push(connection);
    }
    for (number, connection) in all.iter_mut().enumerate() {
        assert_eq!(bytes(connection, 4).await, format!("{number:04}").as_bytes());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_backend_can_be_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("towline-proxy-{}.sock", std::process::id()));
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let server = Serve::start(&[&format!("--proxy=unix:{}", path.display())]);
    let mut connection = connect(&server).await;
    let (mut stream, _) = within(listener.accept()).await.unwrap();
    connection.send(&b"ahoy"[..]).await.unwrap();
    let mut received = [0; 4];
    within(stream.read_exact(&mut received)).await.unwrap();
    stream.write_all(&received).await.unwrap();
    assert_eq!(bytes(&mut connection, 4).await, b"ahoy");
    std::fs::remove_file(&path).unwrap();
}

/// A page can have the name of its site lead to this machine (DNS rebinding).
#[tokio::test]
async fn a_page_of_a_rebound_name_reaches_no_backend() {
    let backend = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    backend.set_nonblocking(true).unwrap();
    let address = format!("tcp://{}", backend.local_addr().unwrap());
    let server = Serve::start(&["--proxy", &address]);
    let (head, body) = ask_from_page(&server, "evil.example:9001");
    assert!(head.starts_with("http/1.1 403"), "{head}");
    assert!(String::from_utf8(body).unwrap().contains("(--host)"));
    assert_eq!(backend.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    let named = Serve::start(&["--host=app.example", "--proxy", &address]);
    assert!(ask_from_page(&named, "app.example:9001").0.starts_with("http/1.1 101"));
}
