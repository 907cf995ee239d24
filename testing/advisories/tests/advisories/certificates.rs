//! Servers that are not who they should be.

use std::net::SocketAddr;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use towline::{Client, ErrorKind, Proxy, Server, Tls, TlsServer};

use crate::attacker::head;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Listens with a certificate for this host.
    async fn serve(&self, host: &str) -> SocketAddr {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let pem = certificate.pem();
        let tls = TlsServer::from_pem(pem.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        let builder = Server::builder().tls(tls).auto_accept(true);
        let mut server = builder.bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        tokio::spawn(async move { while server.next_connection().await.is_some() {} });
        address
    }

    fn client(&self) -> Client {
        let tls = Tls::new().only_added_roots().add_roots_pem(self.pem.as_bytes()).unwrap();
        Client::new().proxy(Proxy::none()).tls(tls)
    }
}

fn url(address: SocketAddr) -> String {
    format!("wss://localhost:{}/", address.port())
}

#[tokio::test]
async fn cve_2018_8034_a_certificate_of_another_host() {
    let authority = Authority::new();
    let right = authority.serve("localhost").await;
    authority.client().connect(url(right)).await.unwrap();
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1"] {
        let wrong = authority.serve(host).await;
        let error = authority.client().connect(url(wrong)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CertificateName, "{host}: {error}");
    }
}

/// The name is that of the server, also where a proxy is what the client connects to.
#[tokio::test]
async fn cve_2020_11050_a_certificate_of_another_host_behind_a_proxy() {
    let authority = Authority::new();
    for (host, expected) in [("localhost", None), ("127.0.0.1", Some(ErrorKind::CertificateName))] {
        let target = authority.serve(host).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::new(format!("http://{}", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            head(&mut stream).await;
            let mut onward = TcpStream::connect(target).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut onward).await;
        });
        let result = authority.client().proxy(proxy).connect(url(target)).await;
        assert_eq!(result.err().map(|error| error.kind()), expected);
    }
}

async fn redirects_to(location: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        let answer =
            format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    address
}

#[tokio::test]
async fn cve_2017_1000209_a_certificate_of_another_host_after_a_redirect() {
    let authority = Authority::new();
    for (host, expected) in
        [("localhost", None), ("evil.example", Some(ErrorKind::CertificateName))]
    {
        let first = redirects_to(url(authority.serve(host).await)).await;
        let client = authority.client().follow_redirects(1);
        let result = client.connect(format!("ws://{first}/")).await;
        assert_eq!(result.err().map(|error| error.kind()), expected, "{host}");
    }
}

#[tokio::test]
async fn cve_2020_15133_a_certificate_that_nobody_trusts() {
    let (trusted, other) = (Authority::new(), Authority::new());
    let server = other.serve("localhost").await;
    let error = trusted.client().connect(url(server)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CertificateUntrusted, "{error}");
}

/// Credentials go to the host that they are for, and not to where it redirects.
#[tokio::test]
async fn cve_2026_42498_credentials_that_follow_a_redirect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let second = listener.local_addr().unwrap();
    let heard = tokio::spawn(async move { head(&mut listener.accept().await.unwrap().0).await });
    let first = redirects_to(format!("ws://{second}/")).await;
    let client = Client::new().proxy(Proxy::none()).follow_redirects(1);
    let client = client.header("Authorization", "Bearer t0ken").header("Cookie", "session=t0ken");
    let result = client.connect(format!("ws://u:t0ken@{first}/")).await;
    result.unwrap_err();
    let request = heard.await.unwrap();
    assert!(!request.contains("t0ken") && !request.contains("Basic"), "{request}");
}
