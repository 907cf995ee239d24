//! A byte stream to a server, with TLS.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use towline::{Client, ErrorKind, Proxy, Tls, TlsServer};

use crate::certificates::Authority;

/// Says something first on one connection.
async fn speaks_first(tls: TlsServer) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = tls.accept(stream).await.unwrap();
        stream.write_all(b"220 ahoy").await.unwrap();
        stream.shutdown().await.unwrap();
    });
    port
}

fn direct(tls: Tls) -> Client {
    Client::new().proxy(Proxy::none()).tls(tls)
}

#[tokio::test]
async fn a_server_that_speaks_first_is_heard() {
    let authority = Authority::new("root");
    let port = speaks_first(authority.server(&["localhost"]).server()).await;
    let client = direct(authority.trusted());
    let mut transport = client.dial(format!("wss://localhost:{port}")).await.unwrap();
    let tls = transport.tls().unwrap();
    assert_eq!(tls.alpn.as_deref(), Some(&b"http/1.1"[..]));
    assert!(!tls.peer_certificates.is_empty());
    assert_eq!(transport.tcp_stream().unwrap().peer_addr().ok(), transport.peer_addr());
    let mut heard = String::new();
    transport.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "220 ahoy");
}

#[tokio::test]
async fn who_is_not_trusted_is_not_reached() {
    let (authority, other) = (Authority::new("root"), Authority::new("another root"));
    let port = speaks_first(authority.server(&["localhost"]).server()).await;
    let error = direct(other.trusted()).dial(format!("wss://localhost:{port}")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CertificateUntrusted, "{error}");
    assert!(error.is_tls() && error.kind().is_certificate());
}

#[tokio::test]
async fn tls_with_the_proxy_is_not_tls_with_the_server() {
    let authority = Authority::new("root");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"220 ahoy").await.unwrap();
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let tls = authority.server(&["localhost"]).server();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = tls.accept(stream).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let mut onward = TcpStream::connect(server).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let _ = copy_bidirectional(&mut stream, &mut onward).await;
    });
    let url = format!("https://localhost:{}", proxy.port());
    let client = Client::new().proxy(Proxy::new(&url).unwrap()).tls(authority.trusted());
    let mut transport = client.dial(format!("ws://{server}")).await.unwrap();
    assert_eq!((transport.tls(), transport.proxy()), (None, Some(&*url)));
    let mut heard = [0; 8];
    transport.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"220 ahoy");
}
