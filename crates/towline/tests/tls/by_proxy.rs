//! TLS with a proxy, through a proxy, and where a redirect leads.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use towline::{Client, ClientAuth, CloseCode, ErrorKind, Message, Proxy, Server, Tls, TlsServer};

use crate::certificates::{Authority, Signed};
use crate::peer::{der, provider, roots};

async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Lets one connection through, and gives what it was asked.
async fn let_through(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    let asked = head(&mut stream).await;
    let mut onward = TcpStream::connect(asked.split(' ').nth(1).unwrap()).await.unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let _ = copy_bidirectional(&mut stream, &mut onward).await;
    asked
}

/// A server that sends back what it receives.
async fn echo(tls: TlsServer) -> SocketAddr {
    let mut server = Server::builder().tls(tls).bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(async move {
        while let Some(request) = server.next_request().await {
            let mut connection = request.accept().await.unwrap();
            while let Ok(Some(message)) = connection.recv().await {
                connection.send(message).await.unwrap();
            }
        }
    });
    address
}

#[tokio::test]
async fn there_is_tls_with_the_proxy_and_tls_with_the_server_inside() {
    let authority = Authority::new("root");
    let target = echo(authority.server(&["127.0.0.1"]).server()).await;
    for scheme in ["http", "https"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tls = authority.server(&["localhost"]).server();
        let proxy = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            match scheme {
                "https" => let_through(tls.accept(stream).await.unwrap()).await,
                _ => let_through(stream).await,
            }
        });
        let url = format!("{scheme}://deckhand:s3cret@localhost:{}", address.port());
        let client = Client::new().proxy(Proxy::new(url).unwrap()).tls(authority.trusted());
        let mut connection = client.connect(format!("wss://{target}/feed")).await.unwrap();
        assert_eq!(connection.peer_addr(), Some(address));
        assert_eq!(connection.url().unwrap().to_string(), format!("wss://{target}/feed"));
        assert!(connection.tls().is_some());
        for len in [3, 20_000, 500_000] {
            connection.send(vec![7; len]).await.unwrap();
            assert_eq!(connection.recv().await.unwrap(), Some(Message::binary(vec![7; len])));
        }
        connection.close(CloseCode::NORMAL, "").await.unwrap();
        drop(connection);
        let asked = proxy.await.unwrap();
        assert!(asked.starts_with(&format!("CONNECT {target} HTTP/1.1\r\n")), "{asked}");
        assert!(asked.contains("Proxy-Authorization: Basic ZGVja2hhbmQ6czNjcmV0\r\n"), "{asked}");
    }
}

#[tokio::test]
async fn tls_with_the_proxy_alone_is_not_tls_of_the_connection() {
    let authority = Authority::new("root");
    let mut server = Server::builder().bind("127.0.0.1:0").await.unwrap();
    let target = server.local_addr().unwrap();
    tokio::spawn(async move {
        while let Some(request) = server.next_request().await {
            assert!(!request.is_secure());
            let mut connection = request.accept().await.unwrap();
            while let Ok(Some(message)) = connection.recv().await {
                connection.send(message).await.unwrap();
            }
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tls = authority.server(&["localhost"]).server();
    tokio::spawn(async move {
        for _ in 0..2 {
            let (stream, _) = listener.accept().await.unwrap();
            let stream = tls.accept(stream).await.unwrap();
            tokio::spawn(let_through(stream));
        }
    });
    let proxy = Proxy::new(format!("https://localhost:{}", address.port())).unwrap();
    let client = Client::new().proxy(proxy).tls(authority.trusted());
    let url = format!("ws://{target}/feed");
    for is_dialled in [false, true] {
        let mut connection = match is_dialled {
            true => client.connect_over(client.dial(&url).await.unwrap(), &url).await.unwrap(),
            false => client.connect(&url).await.unwrap(),
        };
        assert!(!connection.is_secure() && connection.tls().is_none());
        assert_eq!(connection.info().tls, None);
        assert_eq!(connection.tcp_stream().unwrap().peer_addr().unwrap(), address);
        for len in [3, 20_000, 500_000] {
            connection.send(vec![7; len]).await.unwrap();
            assert_eq!(connection.recv().await.unwrap(), Some(Message::binary(vec![7; len])));
        }
        connection.close(CloseCode::NORMAL, "").await.unwrap();
    }
}

#[tokio::test]
async fn a_proxy_that_lets_through_and_ends_is_named() {
    let authority = Authority::new("root");
    for (answer, kind) in [("", ErrorKind::Tls), ("HTTP/1.1 403 no\r\n\r\n", ErrorKind::NotTls)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let proxy = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        let url = format!("http://{address}");
        let client = Client::new().proxy(Proxy::new(url).unwrap()).tls(authority.trusted());
        let error = client.connect("wss://feed.invalid/").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let text = error.to_string();
        assert!(text.starts_with("TLS with feed.invalid"), "{text}");
        assert!(text.ends_with(&format!(" (through the proxy http://{address})")), "{text}");
        proxy.await.unwrap();
    }
}

#[tokio::test]
async fn to_a_proxy_that_is_not_trusted_nothing_is_said() {
    let (trusted, other) = (Authority::new("root"), Authority::new("other"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tls = other.server(&["127.0.0.1"]).server();
    let proxy = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        tls.accept(stream).await.map(drop)
    });
    let url = format!("https://deckhand:s3cret@{address}");
    let client = Client::new().proxy(Proxy::new(url).unwrap()).tls(trusted.trusted());
    let error = client.connect("ws://feed.invalid/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CertificateUntrusted, "{error}");
    assert!(error.to_string().starts_with(&format!("the proxy https://{address}: ")), "{error}");
    assert!(!format!("{error:?}").contains("s3cret"));
    proxy.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_proxy_that_does_not_speak_tls_is_not_taken_for_the_server() {
    let authority = Authority::new("root");
    for says in ["HTTP/1.1 400 Bad Request\r\n\r\n", "\x05\u{ff} is what SOCKS says", ""] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            // What is not read would make the end a reset.
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(says.as_bytes()).await;
        });
        let proxy = Proxy::new(format!("https://{address}")).unwrap();
        let client = Client::new().proxy(proxy).tls(authority.trusted());
        let error = client.connect("wss://feed.invalid/").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProxyFailed, "{error}");
        assert!(
            error.to_string().starts_with(&format!("the proxy https://{address}: ")),
            "{error}"
        );
    }
}

/// A server that answers one request so.
async fn answers(tls: TlsServer, answer: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = tls.accept(stream).await.unwrap();
        head(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    });
    address
}

#[tokio::test]
async fn a_redirect_may_lead_into_tls_and_never_out_of_it() {
    let authority = Authority::new("root");
    let tls = || authority.server(&["127.0.0.1"]).server();
    let target = echo(tls()).await;
    let redirect = |to: &str| {
        format!("HTTP/1.1 308 Permanent Redirect\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
    };
    let client = Client::new().proxy(Proxy::none()).tls(authority.trusted()).follow_redirects(3);
    let here = answers(tls(), redirect(&format!("https://{target}/x"))).await;
    let connection = client.connect(format!("wss://{here}/")).await.unwrap();
    assert_eq!(connection.url().unwrap().to_string(), format!("wss://{target}/x"));
    for location in [format!("ws://{target}/"), format!("http://{target}/")] {
        let here = answers(tls(), redirect(&location)).await;
        let error = client.connect(format!("wss://{here}/")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Redirect);
        assert!(error.to_string().ends_with("out of TLS"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_stalls_in_tls_is_named_in_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = Client::new().proxy(Proxy::none()).tls(Authority::new("root").trusted());
    let connecting =
        tokio::spawn(async move { client.connect(format!("wss://{address}/")).await.map(drop) });
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.read_u8().await.unwrap();
    // From here on nothing is on its way that matters, and time may pass.
    tokio::time::pause();
    let error = connecting.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HandshakeTimeout);
    assert!(error.to_string().ends_with("in the TLS handshake with 127.0.0.1"), "{error}");
}

/// A client that shows this certificate if it is asked, by a configuration of rustls.
fn showing(authority: &Authority, signed: &Signed) -> Tls {
    let chain = vec![der(&signed.chain).into()];
    let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap();
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(authority))
        .with_client_auth_cert(chain, key)
        .unwrap();
    Tls::from_rustls_0_23(Arc::new(config))
}

/// A server that says how many certificates each client has shown.
async fn counts(tls: TlsServer) -> SocketAddr {
    let mut server = Server::builder().tls(tls).bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(async move {
        while let Some(request) = server.next_request().await {
            let shown = request.tls().unwrap().peer_certificates.len();
            let mut connection = request.accept().await.unwrap();
            connection.send(shown.to_string()).await.unwrap();
            while let Ok(Some(_)) = connection.recv().await {}
        }
    });
    address
}

/// Proxies and the servers that redirects lead to ask for a certificate, too.
#[tokio::test]
async fn only_the_server_that_the_program_named_is_shown_a_certificate() {
    let (authority, clients) = (Authority::new("root"), Authority::new("root of clients"));
    let asking = || {
        let tls = authority.server(&["127.0.0.1"]).server();
        tls.client_roots_pem(clients.pem.as_bytes(), ClientAuth::Optional).unwrap()
    };
    let signed = clients.client("boat");
    let own = authority.trusted();
    let own = own.identity_pem(signed.chain.as_bytes(), signed.key.as_bytes()).unwrap();
    let target = counts(asking()).await;
    for tls in [own, showing(&authority, &signed)] {
        let client = Client::new().tls(tls);

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::new(format!("https://{}", listener.local_addr().unwrap())).unwrap();
        let tls = asking();
        let seen = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let stream = tls.accept(stream).await.unwrap();
            let shown = stream.info().peer_certificates.len();
            let_through(stream).await;
            shown
        });
        let by_proxy = client.clone().proxy(proxy);
        let mut connection = by_proxy.connect(format!("wss://{target}/")).await.unwrap();
        assert_eq!(connection.recv().await.unwrap(), Some("1".into()));
        drop(connection);
        assert_eq!(seen.await.unwrap(), 0, "to the proxy");

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let tls = asking();
        let seen = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = tls.accept(stream).await.unwrap();
            head(&mut stream).await;
            let answer = format!(
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: wss://{target}/\r\n\
                 Content-Length: 0\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            stream.info().peer_certificates.len()
        });
        let follows = client.proxy(Proxy::none()).follow_redirects(1);
        let mut connection = follows.connect(format!("wss://{here}/")).await.unwrap();
        assert_eq!(seen.await.unwrap(), 1, "to the one that was named");
        assert_eq!(connection.recv().await.unwrap(), Some("0".into()));
    }
}
