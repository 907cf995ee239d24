//! HTTPS and `wss://` on a hyper server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::generate_simple_self_signed;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use towline::{
    Client, CloseCode, ErrorKind, Message, Proxy, Server, ServerEvent, Tls, TlsInfo, TlsServer,
};
use towline_hyper::{HttpServer, mount};

use crate::http2::{connect_over, extended, open};
use crate::http2_lingering::{Ending, check, talk_to_all};
use crate::support::{HANDSHAKE, LONG, echo, read, request, soon};

/// A certificate of its own for each test.
struct Certificate {
    pem: String,
    key: String,
    der: Vec<u8>,
}

impl Certificate {
    fn new() -> Self {
        let made = generate_simple_self_signed(["localhost".into(), "127.0.0.1".into()]).unwrap();
        let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        Self { pem, key, der: made.cert.der().to_vec() }
    }

    fn server(&self) -> TlsServer {
        TlsServer::from_pem(self.pem.as_bytes(), self.key.as_bytes()).unwrap()
    }

    fn client(&self) -> Client {
        let tls = Tls::new().add_roots_pem(self.pem.as_bytes()).unwrap().only_added_roots();
        Client::new().tls(tls).proxy(Proxy::none())
    }

    /// A TLS stream of another library's, which offers these protocols.
    async fn connect(&self, address: SocketAddr, alpn: &[&str]) -> TlsStream<TcpStream> {
        self.try_connect(address, alpn).await.unwrap()
    }

    async fn try_connect(
        &self,
        address: SocketAddr,
        alpn: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        self.connect_on(TcpStream::connect(address).await.unwrap(), alpn).await
    }

    async fn connect_on<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        alpn: &[&str],
    ) -> std::io::Result<TlsStream<S>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.der.clone())).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
    }
}

/// A page that says whether it was asked for over TLS, and by which protocol.
async fn page(
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let tls = request.extensions().get::<Arc<TlsInfo>>();
    let alpn = tls.map(|tls| tls.alpn.clone().unwrap_or_else(|| "nothing".into()));
    Ok(Response::new(Full::new(alpn.unwrap_or_else(|| "no TLS".into()))))
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A server of such pages over TLS, with this one mounted on it.
async fn serve(server: &Server, certificate: &Certificate) -> SocketAddr {
    let (listener, address) = listener().await;
    let http = HttpServer::new(mount(server.handle(), service_fn(page))).tls(certificate.server());
    http.listen(listener);
    // Dropped, it would stop listening.
    std::mem::forget(http);
    address
}

/// The body of the answer to a GET over HTTP/1.1, which is the last on its connection.
async fn get(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    stream.write_all(request("GET /", &["Connection: close"]).as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    body.to_owned()
}

#[tokio::test]
async fn a_connection_has_the_tls_stream_bare() {
    let (certificate, server) = (Certificate::new(), Server::builder().build());
    let address = serve(&server, &certificate).await;
    let bare = echo(server);
    let mut client = certificate.client().connect(format!("wss://{address}/chat")).await.unwrap();
    let tls = client.tls().unwrap();
    assert_eq!((tls.version, tls.alpn.as_deref()), ("TLS 1.3", Some(&b"http/1.1"[..])));
    for message in [Message::text("ship ahoy"), Message::binary(vec![7; 200_000])] {
        client.send(message.clone()).await.unwrap();
        assert_eq!(soon(client.recv()).await.unwrap(), Some(message));
    }
    assert!(soon(client.close(CloseCode::NORMAL, "bye")).await.unwrap().is_clean());
    assert_eq!(bare.load(Ordering::Relaxed), 1, "hyper's wrapper is still there");
}

#[tokio::test]
async fn the_request_and_the_connection_know_of_tls() {
    let (certificate, mut server) = (Certificate::new(), Server::builder().build());
    let address = serve(&server, &certificate).await;
    let client = certificate.client();
    let connecting = tokio::spawn(async move { client.connect(format!("wss://{address}")).await });
    let request = soon(server.next_request()).await.unwrap();
    assert!(request.is_secure());
    assert_eq!(request.tls().unwrap().version, "TLS 1.3");
    let connection = soon(request.accept()).await.unwrap();
    assert_eq!(connection.tls().unwrap().alpn.as_deref(), Some(&b"http/1.1"[..]));
    assert!(soon(connecting).await.unwrap().unwrap().is_secure());
}

#[tokio::test]
async fn the_version_of_http_is_what_alpn_says() {
    let (certificate, server) = (Certificate::new(), Server::builder().build());
    let address = serve(&server, &certificate).await;
    assert_eq!(get(certificate.connect(address, &["http/1.1"]).await).await, "http/1.1");
    for offer in [&["h2"][..], &["http/1.1", "h2"]] {
        let mut requests = connect_over(certificate.connect(address, offer).await).await;
        let request = Request::get("https://localhost/").body(()).unwrap();
        let (response, _) = requests.send_request(request, true).unwrap();
        let mut body = soon(response).await.unwrap().into_body();
        assert_eq!(soon(body.data()).await.unwrap().unwrap(), "h2", "{offer:?}");
    }
}

#[tokio::test]
async fn the_version_of_http_is_what_the_client_begins_with_where_alpn_says_nothing() {
    let (certificate, server) = (Certificate::new(), Server::builder().build());
    let address = serve(&server, &certificate).await;
    let bare = echo(server);
    assert_eq!(get(certificate.connect(address, &[]).await).await, "nothing");
    // "POST" begins as the preface of HTTP/2 does.
    let mut stream = certificate.connect(address, &[]).await;
    stream.write_all(b"P").await.unwrap();
    stream.flush().await.unwrap();
    let rest = request("POST /", &["Connection: close"]);
    stream.write_all(&rest.as_bytes()[1..]).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    let mut requests = connect_over(certificate.connect(address, &[]).await).await;
    let mut client = open(&mut requests).await;
    client.send("ship ahoy").await.unwrap();
    assert_eq!(soon(client.recv()).await.unwrap(), Some(Message::text("ship ahoy")));

    // What was read to see it is no less the connection's, and the stream is bare all the same.
    let mut stream = certificate.connect(address, &[]).await;
    let early = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
    let bytes = [request("GET /", &HANDSHAKE).as_bytes(), &early].concat();
    stream.write_all(&bytes).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(read(&mut stream, 1).await);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    assert_eq!(read(&mut stream, 4).await, b"\x81\x02hi");
    assert_eq!(bare.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_client_that_ends_in_the_middle_of_the_preface_is_let_go() {
    let (certificate, server) = (Certificate::new(), Server::builder().build());
    let address = serve(&server, &certificate).await;
    let mut stream = certificate.connect(address, &[]).await;
    stream.write_all(b"PRI * HT").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(soon(stream.read_to_end(&mut Vec::new())).await.unwrap_or_default(), 0);
}

#[tokio::test]
async fn an_extended_connect_over_tls_becomes_a_connection() {
    let (certificate, mut server) = (Certificate::new(), Server::builder().build());
    let address = serve(&server, &certificate).await;
    let mut requests = connect_over(certificate.connect(address, &["h2"]).await).await;
    let (response, _send) = extended(&mut requests, "websocket");
    let request = soon(server.next_request()).await.unwrap();
    assert_eq!(request.tls().unwrap().alpn.as_deref(), Some(&b"h2"[..]));
    let connection = soon(request.accept()).await.unwrap();
    assert!(connection.is_secure());
    assert_eq!(soon(response).await.unwrap().status(), 200);
    echo(server);
    let (mut one, mut two) = (open(&mut requests).await, open(&mut requests).await);
    let long = Message::binary(vec![7; 300_000]);
    for client in [&mut one, &mut two] {
        for message in [Message::text("ship ahoy"), long.clone()] {
            client.send(message.clone()).await.unwrap();
            assert_eq!(soon(client.recv()).await.unwrap(), Some(message));
        }
    }
    for mut client in [one, two] {
        assert!(soon(client.close(CloseCode::NORMAL, "bye")).await.unwrap().is_clean());
    }
}

#[tokio::test]
async fn who_speaks_plain_http_is_told_and_nobody_else_is_disturbed() {
    let (certificate, server) = (Certificate::new(), Server::builder().build());
    let address = serve(&server, &certificate).await;
    echo(server);
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(request("GET /", &[]).as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(plain.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https://"), "{answer}");
    let error = certificate.client().connect(format!("ws://{address}/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IsTls);
    assert_eq!(error.response().unwrap().status(), 400);
    let mut client = certificate.client().connect(format!("wss://{address}/")).await.unwrap();
    assert!(soon(client.close(CloseCode::NORMAL, "bye")).await.unwrap().is_clean());
}

#[tokio::test]
async fn tls_on_a_socket_without_it_is_told_by_the_client() {
    let server = Server::builder().build();
    let (listener, address) = listener().await;
    let http = HttpServer::new(mount(server.handle(), service_fn(page)));
    http.listen(listener);
    let client = Certificate::new().client();
    let error = soon(client.connect(format!("wss://{address}/"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotTls, "{error}");
}

#[tokio::test]
async fn a_tls_handshake_that_stalls_ends_at_the_deadline() {
    let (certificate, server) = (Certificate::new(), Server::builder().build());
    let (listener, address) = listener().await;
    let http = HttpServer::new(mount(server.handle(), service_fn(page)))
        .header_timeout(Duration::from_millis(50))
        .tls(certificate.server());
    http.listen(listener);
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut slow = TcpStream::connect(address).await.unwrap();
    // The beginning of a record that never comes whole.
    slow.write_all(&[0x16, 3, 1, 0, 200, 1, 0]).await.unwrap();
    // These have agreed on TLS, and on HTTP/2 at the most; if they were not too slow for that. Of its
    // preface comes a part, or nothing.
    for (alpn, begin) in [(&[][..], ""), (&["h2"], ""), (&["h2"], "PRI * HTTP")] {
        if let Ok(mut mute) = certificate.try_connect(address, alpn).await {
            // It may have been given up by now.
            let _ = mute.write_all(begin.as_bytes()).await;
            assert_eq!(soon(mute.read(&mut [0])).await.unwrap_or(0), 0);
        }
    }
    assert_eq!(soon(silent.read(&mut [0])).await.unwrap_or(0), 0);
    assert_eq!(soon(slow.read(&mut [0])).await.unwrap_or(0), 0);
}

/// Silent in every way: without a word, in the hello of TLS, in HTTP/2's preface, in a head.
#[tokio::test]
async fn a_newcomer_waits_for_a_place_among_silent_clients() {
    const EACH: usize = 8;
    let (certificate, server) = (Certificate::new(), Server::builder().build());
    let (listener, address) = listener().await;
    let http = HttpServer::new(mount(server.handle(), service_fn(page)))
        .header_timeout(Duration::from_secs(3))
        .max_handshakes(4 * EACH)
        .tls(certificate.server());
    http.listen(listener);
    let mut silent = Vec::new();
    for _ in 0..EACH {
        for begin in [&[][..], &[0x16, 3, 1, 0, 200, 1, 0]] {
            let mut tcp = TcpStream::connect(address).await.unwrap();
            tcp.write_all(begin).await.unwrap();
            silent.push(tcp);
        }
        for (alpn, begin) in [("h2", "PRI * HTTP"), ("http/1.1", "GET / HTTP/1.1\r\nHost:")] {
            let mut tls = certificate.connect(address, &[alpn]).await;
            tls.write_all(begin.as_bytes()).await.unwrap();
            tls.flush().await.unwrap();
            silent.push(tls.into_inner().0);
        }
    }
    assert_eq!(get(certificate.connect(address, &["http/1.1"]).await).await, "http/1.1");
    let has_ended = |tcp: &TcpStream| {
        let mut room = [0; 4 << 10];
        loop {
            match tcp.try_read(&mut room) {
                Ok(1..) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
                _ => return true,
            }
        }
    };
    tokio::task::yield_now().await;
    assert!(silent.iter().any(has_ended), "there were more places than there are");
    for tcp in &mut silent {
        let _ = soon(tcp.read_to_end(&mut Vec::new())).await;
    }
    assert_eq!(get(certificate.connect(address, &["http/1.1"]).await).await, "http/1.1");
}

#[tokio::test]
async fn a_request_has_no_place_among_the_handshakes() {
    let (certificate, server) = (Certificate::new(), Server::builder().build());
    let (listener, address) = listener().await;
    let http = HttpServer::new(mount(server.handle(), service_fn(page)))
        .header_timeout(LONG)
        .max_handshakes(0)
        .tls(certificate.server());
    http.listen(listener);
    echo(server);
    // Each stays: an idle one, one of HTTP/2 that asks for nothing yet, a WebSocket.
    let mut idle = certificate.connect(address, &["http/1.1"]).await;
    idle.write_all(request("GET /", &[]).as_bytes()).await.unwrap();
    assert_eq!(read(&mut idle, 12).await, b"HTTP/1.1 200");
    let _requests = connect_over(certificate.connect(address, &["h2"]).await).await;
    let client = certificate.client();
    let mut socket = soon(client.connect(format!("wss://{address}/"))).await.unwrap();
    // These leave without a word.
    for _ in 0..20 {
        drop(TcpStream::connect(address).await.unwrap());
    }
    assert_eq!(get(certificate.connect(address, &["http/1.1"]).await).await, "http/1.1");
    socket.send("ship ahoy").await.unwrap();
    assert_eq!(soon(socket.recv()).await.unwrap(), Some(Message::text("ship ahoy")));
}

/// The TLS handshake and the head have one deadline.
#[tokio::test(start_paused = true)]
async fn a_head_has_what_time_the_tls_handshake_has_left() {
    const TIMEOUT: Duration = Duration::from_secs(10);
    let certificate = Certificate::new();
    for (hello_after, head_after, is_served) in [(6, 6, false), (6, 3, true), (0, 9, true)] {
        let server = Server::builder().build();
        let (listener, address) = listener().await;
        let http = HttpServer::new(mount(server.handle(), service_fn(page)))
            .header_timeout(TIMEOUT)
            .tls(certificate.server());
        http.listen(listener);
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let mut tcp = TcpStream::connect(address).await.unwrap();
        // Time goes on only where nothing is on its way.
        let relay = async move { tokio::io::copy_bidirectional(&mut far, &mut tcp).await };
        let relay = tokio::spawn(relay);
        tokio::time::sleep(Duration::from_secs(hello_after)).await;
        tokio::time::resume();
        let mut stream = certificate.connect_on(near, &["http/1.1"]).await.unwrap();
        tokio::time::pause();
        tokio::time::sleep(Duration::from_secs(head_after)).await;
        tokio::time::resume();
        let asked = stream.write_all(request("GET /", &[]).as_bytes()).await;
        let mut answer = [0; 12];
        let answered = soon(stream.read_exact(&mut answer)).await;
        assert_eq!(asked.is_ok() && answered.is_ok(), is_served, "{hello_after}, {head_after}");
        tokio::time::pause();
        relay.abort();
    }
}

#[tokio::test]
async fn a_tls_handshake_that_fails_is_told_by_the_server() {
    let (certificate, server) = (Certificate::new(), Server::builder().build());
    let (listener, address) = listener().await;
    let http = HttpServer::new(mount(server.handle(), service_fn(page)))
        .report_to(server.handle())
        .header_timeout(Duration::from_secs(4))
        .tls(certificate.server());
    http.listen(listener);
    let mut events = server.events();
    // Who only looks whether somebody listens is not told of.
    drop(TcpStream::connect(address).await.unwrap());
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(request("GET /", &[]).as_bytes()).await.unwrap();
    let (kind, reason, peer) = tls_failed(&mut events).await;
    assert_eq!((kind, peer), (ErrorKind::NotTls, plain.local_addr().ok()), "{reason}");
    assert!(reason.contains("plain HTTP"), "{reason}");
    Certificate::new().try_connect(address, &[]).await.unwrap_err();
    let (kind, reason, _) = tls_failed(&mut events).await;
    assert_eq!(kind, ErrorKind::Tls);
    assert!(reason.contains("fatal alert (DecryptError)"), "{reason}");
    let _silent = TcpStream::connect(address).await.unwrap();
    let (kind, reason, _) = tls_failed(&mut events).await;
    assert_eq!(kind, ErrorKind::HandshakeTimeout);
    assert!(reason.contains("4s (header_timeout)"), "{reason}");
}

#[tokio::test]
async fn a_client_that_fails_after_its_tls_handshake_is_told_by_the_server() {
    let (certificate, server) = (Certificate::new(), Server::builder().build());
    let (listener, address) = listener().await;
    let http = HttpServer::new(mount(server.handle(), service_fn(page)))
        .report_to(server.handle())
        .header_timeout(LONG)
        .tls(certificate.server());
    http.listen(listener);
    let mut events = server.events();
    // A handshake of TLS that is cut off, and a connection without a request, which is not told of.
    let mut cut = TcpStream::connect(address).await.unwrap();
    cut.write_all(&[0x16, 3, 1, 0, 200, 1, 0]).await.unwrap();
    cut.shutdown().await.unwrap();
    assert_eq!(tls_failed(&mut events).await.0, ErrorKind::ConnectionLost);
    drop(certificate.connect(address, &["http/1.1"]).await);
    drop(certificate.connect(address, &["h2"]).await);
    for (alpn, said, kind) in [
        ("http/1.1", "SSH-2.0-OpenSSH_9.6\r\n\r\n", ErrorKind::NotHttp),
        ("http/1.1", "GET / HTTP/1.1\r\nUpgrade: webs", ErrorKind::ConnectionLost),
        ("h2", "GET / HTTP/1.1\r\n\r\n", ErrorKind::NotHttp),
        ("h2", "PRI * HTTP/2.0\r\n", ErrorKind::ConnectionLost),
    ] {
        let mut stream = certificate.connect(address, &[alpn]).await;
        stream.write_all(said.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let (told, reason, peer) = tls_failed(&mut events).await;
        assert_eq!((told, peer), (kind, stream.get_ref().0.local_addr().ok()), "{said}: {reason}");
    }
    let stats = server.handle().stats();
    assert_eq!((stats.tls_failed, stats.failed.values().sum::<u64>()), (1, 5));
}

async fn tls_failed(events: &mut towline::Events) -> (ErrorKind, String, Option<SocketAddr>) {
    match soon(events.next()).await {
        Some(ServerEvent::HandshakeFailed { kind, reason, peer_addr, .. }) => {
            (kind, reason, peer_addr)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_shutdown_ends_tls_handshakes_and_idle_connections() {
    let (certificate, server) = (Certificate::new(), Server::builder().build());
    let (listener, address) = listener().await;
    let http = HttpServer::new(mount(server.handle(), service_fn(page)))
        .header_timeout(LONG)
        .tls(certificate.server());
    http.listen(listener);
    let mut pending = TcpStream::connect(address).await.unwrap();
    pending.write_all(&[0x16, 3, 1, 0, 200, 1, 0]).await.unwrap();
    let mut idle = certificate.connect(address, &["http/1.1"]).await;
    idle.write_all(request("GET /", &[]).as_bytes()).await.unwrap();
    assert_eq!(read(&mut idle, 12).await, b"HTTP/1.1 200");
    assert_eq!(soon(http.shutdown(LONG)).await, 0);
    assert_eq!(soon(pending.read(&mut [0])).await.unwrap_or(0), 0);
    // With a goodbye of TLS: else this would be an error.
    soon(idle.read_to_end(&mut Vec::new())).await.unwrap();
}

#[tokio::test]
async fn both_kinds_of_sockets_and_a_certificate_reloaded() {
    let (first, second) = (Certificate::new(), Certificate::new());
    let server = Server::builder().build();
    let (plain, plain_address) = listener().await;
    let (secure, address) = listener().await;
    let tls = first.server();
    let http = HttpServer::new(mount(server.handle(), service_fn(page)));
    http.listen(plain);
    let http = http.tls(tls.clone());
    http.listen(secure);
    echo(server);
    let mut over_plain = first.client().connect(format!("ws://{plain_address}/")).await.unwrap();
    let mut before = first.client().connect(format!("wss://{address}/")).await.unwrap();
    tls.reload_pem(second.pem.as_bytes(), second.key.as_bytes()).unwrap();
    let error = first.client().connect(format!("wss://{address}/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CertificateUntrusted, "{error}");
    let mut after = second.client().connect(format!("wss://{address}/")).await.unwrap();
    for client in [&mut over_plain, &mut before, &mut after] {
        client.send("ship ahoy").await.unwrap();
        assert_eq!(soon(client.recv()).await.unwrap(), Some(Message::text("ship ahoy")));
    }
}

#[tokio::test]
async fn an_accept_loop_of_one_s_own_will_do() {
    let (certificate, mut server) = (Certificate::new(), Server::builder().build());
    let service = mount(server.handle(), service_fn(page));
    let (listener, address) = listener().await;
    let tls = certificate.server();
    tokio::spawn(async move {
        while let Ok((tcp, peer)) = listener.accept().await {
            let stream = tls.accept_http2(tcp).await.unwrap();
            let service = service.clone().peer_addr(peer).tls(stream.info());
            tokio::spawn(async move {
                let mut builder = auto::Builder::new(TokioExecutor::new());
                builder.http2().enable_connect_protocol();
                let served =
                    builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
                drop(served);
            });
        }
    });
    assert_eq!(get(certificate.connect(address, &["http/1.1"]).await).await, "http/1.1");
    let client = certificate.client();
    let connecting = tokio::spawn(async move { client.connect(format!("wss://{address}")).await });
    let request = soon(server.next_request()).await.unwrap();
    assert!(request.is_secure());
    let connection = soon(request.accept()).await.unwrap();
    assert!(connection.tcp_stream().is_some(), "hyper's wrapper is still there");
    assert!(soon(connecting).await.unwrap().unwrap().is_secure());
    echo(server);
    let mut requests = connect_over(certificate.connect(address, &["h2"]).await).await;
    let mut client = open(&mut requests).await;
    client.send("ship ahoy").await.unwrap();
    assert_eq!(soon(client.recv()).await.unwrap(), Some(Message::text("ship ahoy")));
}

#[tokio::test]
async fn streams_that_linger_are_reset() {
    let (certificate, server) = (Certificate::new(), Server::builder().build());
    let address = serve(&server, &certificate).await;
    talk_to_all(server, Ending::Aborted);
    check(certificate.connect(address, &["h2"]).await, 0, Ending::Aborted).await;
}
