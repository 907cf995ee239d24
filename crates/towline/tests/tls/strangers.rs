//! Peers that speak something else, or nothing, and peers that have something else in mind.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use towline::{Client, CloseCode, ErrorKind, Events, Server, ServerEvent, Tls, TlsServer};

use crate::certificates::Authority;
use crate::ends::ENDS;
use crate::peer::{Peer, VERSIONS, client_config, plays, server_config};
use crate::plain_wire::settle;

const SECOND: Duration = Duration::from_secs(1);

async fn bind(of: impl FnOnce(towline::ServerBuilder) -> towline::ServerBuilder) -> (Server, u16) {
    let builder = Server::builder().tls(ENDS.server.clone()).auto_accept(true);
    let server = of(builder).bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    (server, port)
}

fn client() -> Client {
    Client::new().tls(ENDS.client.clone())
}

/// It goes on for others.
async fn serves(server: &mut Server, port: u16) {
    let client = client();
    let connecting = client.connect(format!("wss://localhost:{port}/"));
    let (at_client, at_server) = tokio::join!(connecting, server.next_connection());
    let (mut at_client, mut at_server) = (at_client.unwrap(), at_server.unwrap());
    at_server.send("hi").await.unwrap();
    assert_eq!(at_client.recv().await.unwrap(), Some("hi".into()));
    let (at_client, _) =
        tokio::join!(at_client.close(CloseCode::NORMAL, ""), at_server.wait_closed());
    assert!(at_client.unwrap().is_clean());
}

#[tokio::test]
async fn who_speaks_plain_http_to_a_tls_port_is_told_so() {
    let (mut server, port) = bind(|builder| builder).await;
    for request in ["GET / HTTP/1.1\r\nHost: h\r\n\r\n", "POST /", "OPTIONS * HTTP/1.0\r\n\r\n"] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
        assert!(body.contains("wss://"), "{body}");
        serves(&mut server, port).await;
    }
    let error = client().connect(format!("ws://localhost:{port}/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IsTls, "{error}");
    assert_eq!(error.response().unwrap().status(), 400, "{error}");
    // By hand, it is told to whoever accepts.
    let (near, mut far) = tokio::io::duplex(1000);
    far.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    drop(far);
    let error = ENDS.server.accept(near).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotTls);
    assert!(error.to_string().contains("plain HTTP"), "{error}");
}

#[tokio::test]
async fn who_speaks_tls_to_a_plain_port_is_told_so() {
    let server = Server::builder().auto_accept(true).bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}/", server.local_addr().unwrap().port());
    let error = client().connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotTls, "{error}");
    assert!(error.to_string().contains("ws://"), "{error}");
    let plain = Client::new().connect(url.replace("wss", "ws")).await.unwrap();
    assert!(!plain.is_secure() && plain.tls().is_none());
    // Something else that greets.
    for greeting in
        ["SSH-2.0-OpenSSH_9.6\r\n", "220 mail ready\r\n", "* OK ready\r\n", "\0\0\0\0\0"]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
        let greets = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(greeting.as_bytes()).await.unwrap();
            stream.read_to_end(&mut Vec::new()).await
        });
        let error = client().connect(&url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotTls, "{greeting:?}: {error}");
        assert!(!error.to_string().contains("HTTP"), "{greeting:?}: {error}");
        let _ = greets.await;
    }
}

/// A hello of a real client.
fn hello() -> Vec<u8> {
    Peer::client(client_config(&ENDS.authority, VERSIONS[1])).says(&[])
}

/// Says so much of a hello, and no more; gives the stream, which the server is to end.
async fn stalls(port: u16, share: usize) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let hello = hello();
    stream.write_all(&hello[..hello.len() * share / 2]).await.unwrap();
    stream
}

async fn is_ended(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let end = timeout(5 * SECOND, stream.read_to_end(&mut rest)).await.expect("an end");
    // It may have been reset over what was not read.
    drop(end);
}

#[tokio::test]
async fn who_stalls_in_the_handshake_is_ended_in_time() {
    let (mut server, port) = bind(|builder| builder.handshake_timeout(SECOND)).await;
    for share in 0..3 {
        let began = Instant::now();
        is_ended(&mut stalls(port, share).await).await;
        let took = began.elapsed();
        assert!(took > SECOND / 2 && took < 3 * SECOND, "{share}: {took:?}");
        serves(&mut server, port).await;
    }
    // A client waits no longer either.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
    let error = client().connect_timeout(SECOND / 5).connect(url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HandshakeTimeout);
    assert!(error.to_string().contains("TLS"), "{error}");
}

/// They have the places of others, and no more than there are.
#[tokio::test]
async fn who_stalls_has_a_place_among_the_handshakes() {
    let (mut server, port) =
        bind(|builder| builder.max_handshakes(3).handshake_timeout(2 * SECOND)).await;
    let mut stalled = Vec::new();
    for share in 0..3 {
        stalled.push(stalls(port, share).await);
    }
    tokio::time::sleep(SECOND / 5).await;
    let began = Instant::now();
    serves(&mut server, port).await;
    assert!(began.elapsed() > SECOND, "there was a place: {:?}", began.elapsed());
    for mut stream in stalled {
        is_ended(&mut stream).await;
    }
}

/// The next event must be a failed TLS handshake.
async fn failed(events: &mut Events) -> (ErrorKind, String, Option<std::net::SocketAddr>) {
    match timeout(60 * SECOND, events.next()).await.expect("an event") {
        Some(ServerEvent::HandshakeFailed { kind, reason, peer_addr, .. }) => {
            (kind, reason, peer_addr)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_handshake_that_fails_is_told_as_an_event() {
    let (server, port) = bind(|builder| builder.handshake_timeout(4 * SECOND)).await;
    let mut events = server.events();
    // Who only looks whether somebody listens is not told of: these come before the others.
    for _ in 0..3 {
        drop(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    }
    let mut plain = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let (kind, reason, peer) = failed(&mut events).await;
    assert_eq!((kind, peer), (ErrorKind::NotTls, plain.local_addr().ok()), "{reason}");
    assert!(reason.contains("plain HTTP"), "{reason}");
    let stranger = Tls::new().only_added_roots();
    let stranger = stranger.add_roots_pem(Authority::new("another root").pem.as_bytes()).unwrap();
    let client = Client::new().tls(stranger);
    client.connect(format!("wss://localhost:{port}/")).await.unwrap_err();
    let (kind, reason, _) = failed(&mut events).await;
    assert_eq!(kind, ErrorKind::Tls, "{reason}");
    assert!(reason.contains("certificate (UnknownCA)"), "{reason}");
    drop(stalls(port, 1).await);
    let (kind, reason, _) = failed(&mut events).await;
    assert_eq!(kind, ErrorKind::ConnectionLost, "{reason}");
    // After TLS, a connection without a word is not told of either.
    let secure = format!("wss://localhost:{port}");
    let trusting = Client::new().tls(ENDS.client.clone());
    drop(trusting.dial(&secure).await.unwrap());
    let mut inside = trusting.dial(&secure).await.unwrap();
    inside.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").await.unwrap();
    inside.flush().await.unwrap();
    let (kind, reason, peer) = failed(&mut events).await;
    let address = inside.tcp_stream().unwrap().local_addr();
    assert_eq!((kind, peer), (ErrorKind::NotHttp, address.ok()), "{reason}");
    let stalled = stalls(port, 1).await;
    let (kind, reason, peer) = failed(&mut events).await;
    assert_eq!((kind, peer), (ErrorKind::HandshakeTimeout, stalled.local_addr().ok()), "{reason}");
    assert!(reason.contains("4s (handshake_timeout)"), "{reason}");
    // Of an accept loop of the program's own.
    let (near, mut far) = tokio::io::duplex(1000);
    far.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").await.unwrap();
    drop(far);
    let error = ENDS.server.accept(near).await.unwrap_err();
    server.handle().report_tls_failure(error.kind(), error.to_string(), None);
    assert_eq!(failed(&mut events).await, (ErrorKind::NotTls, error.to_string(), None));
    let (near, far) = tokio::io::duplex(1000);
    drop(far);
    let gone = ENDS.server.accept(near).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::RequestGone, "{gone}");
}

#[tokio::test]
async fn a_shutdown_waits_for_nobody_who_stalls() {
    let (mut server, port) = bind(|builder| builder.handshake_timeout(60 * SECOND)).await;
    serves(&mut server, port).await;
    let mut stalled = Vec::new();
    for share in 0..3 {
        stalled.push(stalls(port, share).await);
    }
    tokio::time::sleep(SECOND / 5).await;
    let began = Instant::now();
    server.shutdown(CloseCode::GOING_AWAY, 30 * SECOND).await.unwrap();
    assert!(server.next_connection().await.is_none());
    for mut stream in stalled {
        is_ended(&mut stream).await;
    }
    assert!(began.elapsed() < 10 * SECOND, "{:?}", began.elapsed());
}

/// Before the handshake there is no HTTP to say so by.
#[tokio::test]
async fn who_waits_for_a_place_is_not_answered_in_plain_by_an_unmount() {
    let (server, port) = bind(|builder| builder.max_handshakes(1)).await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        waiting.push(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    }
    settle().await;
    server.unmount();
    for mut stream in waiting {
        let mut heard = Vec::new();
        let end = timeout(60 * SECOND, stream.read_to_end(&mut heard));
        let _ = end.await.expect("an end");
        assert_eq!(String::from_utf8_lossy(&heard), "");
    }
}

/// ALPN (RFC 7301) is the library's, whatever the program's configuration says.
#[tokio::test]
async fn http_1_1_is_all_that_is_offered() {
    for [server_offers, client_offers] in [
        [&["h2", "http/1.1"][..], &["h2", "http/1.1"][..]],
        [&[], &["h2"]],
        [&["h2"], &[]],
        [&["http/1.0"], &["something"]],
    ] {
        let named = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect();
        let mut config = server_config(&ENDS.authority.server(&["localhost"]), VERSIONS[1]);
        config.alpn_protocols = named(server_offers);
        let server = TlsServer::from_rustls_0_23(Arc::new(config.clone()));
        let mut of_client = client_config(&ENDS.authority, VERSIONS[1]);
        of_client.alpn_protocols = named(client_offers);
        let tls = Tls::from_rustls_0_23(Arc::new(of_client));
        let (near, far) = tokio::io::duplex(1 << 16);
        let both = tokio::join!(server.accept(near), tls.connect(far, "localhost"));
        let (near, far) = (both.0.unwrap(), both.1.unwrap());
        assert_eq!(near.info().alpn.as_deref(), Some(&b"http/1.1"[..]));
        assert_eq!(near.info().alpn, far.info().alpn);
        // A server that selects nothing is fine.
        config.alpn_protocols.clear();
        let (near, far) = tokio::io::duplex(1 << 16);
        let peer = tokio::spawn(plays(Peer::server(config), near, Vec::new(), false));
        let mut far = tls.connect(far, "localhost").await.unwrap();
        assert_eq!(far.info().alpn, None);
        far.shutdown().await.unwrap();
        far.read_to_end(&mut Vec::new()).await.unwrap();
        peer.await.unwrap();
    }
    // A client that speaks HTTP/2 alone finds nothing to speak about.
    let mut config = client_config(&ENDS.authority, VERSIONS[1]);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut peer = Peer::client(config);
    let (near, mut far) = tokio::io::duplex(1 << 16);
    far.write_all(&peer.says(&[])).await.unwrap();
    let accepting = tokio::spawn(async { ENDS.server.accept(near).await.map(drop).unwrap_err() });
    let mut said = Vec::new();
    let mut room = [0; 1000];
    said.extend_from_slice({
        let count = far.read(&mut room).await.unwrap();
        &room[..count]
    });
    let error = peer.hears(&said).unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    drop(far);
    let error = accepting.await.unwrap();
    assert_eq!(error.kind(), ErrorKind::NoApplicationProtocol, "{error}");
    assert!(!error.to_string().contains('\n'), "{error}");
}

/// What is sent before the handshake is done could be sent again by anybody: neither end has to do with
/// it, though the program's configuration has.
#[tokio::test]
async fn there_is_no_early_data() {
    let mut of_server = server_config(&ENDS.authority.server(&["localhost"]), VERSIONS[1]);
    of_server.max_early_data_size = 1 << 14;
    let mut of_client = client_config(&ENDS.authority, VERSIONS[1]);
    of_client.enable_early_data = true;
    let server = TlsServer::from_rustls_0_23(Arc::new(of_server.clone()));
    let [tls, of_rustls] = [(); 2].map(|()| Tls::from_rustls_0_23(Arc::new(of_client.clone())));
    for round in 0..3 {
        // Each against the other, and against rustls with all that it has.
        let (near, far) = tokio::io::duplex(1 << 16);
        let both = tokio::join!(server.accept(near), tls.connect(far, "localhost"));
        let (mut near, mut far) = (both.0.unwrap(), both.1.unwrap());
        near.write_all(b"hello").await.unwrap();
        near.shutdown().await.unwrap();
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.unwrap();
        assert_eq!((&*heard, far.info().is_resumed), (&b"hello"[..], round > 0));
        let (near, far) = tokio::io::duplex(1 << 16);
        let says = vec![b"hello".to_vec()];
        let peer = tokio::spawn(plays(Peer::server(of_server.clone()), near, says, false));
        let mut far = of_rustls.connect(far, "localhost").await.unwrap();
        far.write_all(b"hello").await.unwrap();
        far.shutdown().await.unwrap();
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.unwrap();
        assert_eq!((heard, peer.await.unwrap()), (b"hello".to_vec(), b"hello".to_vec()));
    }
}
