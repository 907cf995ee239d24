//! HTTP/2 by ALPN (RFC 7301).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::{TcpListener, TcpStream};
use towline::{Client, ClientAuth, ErrorKind, HttpVersion, Proxy, Server, Tls, TlsServer};

use crate::raw::{ACK, PING, Raw};
use crate::server::serve;
use crate::support::{echoes, soon};

/// What a server does once the TLS handshake is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    /// HTTP/2 alone.
    Http2,
    /// HTTP/2 without extended CONNECT, and HTTP/1.1.
    NoConnect,
    /// HTTP/1.1 alone.
    Http1,
}

struct Hub {
    url: String,
    tls: Tls,
    accepted: Arc<AtomicUsize>,
}

async fn hub(speaks: Speaks) -> Hub {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (chain, key) = (cert.pem(), signing_key.serialize_pem());
    let server = TlsServer::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let tls = Tls::new().only_added_roots().add_roots_pem(chain.as_bytes()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}/", listener.local_addr().unwrap());
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    tokio::spawn(async move {
        let mut plain = Server::builder().auto_accept(true).build();
        let handle = plain.handle();
        tokio::spawn(async move {
            while let Some(mut connection) = plain.next_connection().await {
                tokio::spawn(async move {
                    while let Ok(Some(message)) = connection.recv().await {
                        connection.send(message).await.unwrap();
                    }
                });
            }
        });
        while let Ok((stream, peer)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let (server, handle) = (server.clone(), handle.clone());
            tokio::spawn(async move {
                let stream = match speaks {
                    Speaks::Http1 => server.accept(stream).await,
                    _ => server.accept_http2(stream).await,
                };
                let Ok(stream) = stream else { return };
                let is_http_2 = stream.info().alpn.as_deref() == Some(b"h2");
                match (is_http_2, speaks) {
                    (true, Speaks::NoConnect) => {
                        let mut raw = Raw::on(stream).await;
                        raw.settings(&[]).await;
                        let ping = raw.next(PING).await;
                        raw.send(PING, ACK, 0, &ping.payload).await;
                        raw.ends().await;
                    }
                    (true, _) => serve(stream, 100).await,
                    (false, _) => handle.serve(stream, Some(peer)),
                }
            });
        }
    });
    Hub { url, tls, accepted }
}

impl Hub {
    fn client(&self, version: HttpVersion) -> Client {
        Client::new().proxy(Proxy::none()).tls(self.tls.clone()).http_version(version)
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn http_2_is_used_where_it_is_offered() {
    for version in [HttpVersion::Http2, HttpVersion::Auto] {
        let hub = hub(Speaks::Http2).await;
        let client = hub.client(version);
        let mut one = soon(client.connect(&hub.url)).await.unwrap();
        let mut two = soon(client.connect(&hub.url)).await.unwrap();
        assert_eq!(one.http_version(), Some(http::Version::HTTP_2));
        assert_eq!(one.tls().unwrap().alpn.as_deref(), Some(&b"h2"[..]));
        assert!(two.is_secure());
        echoes(&mut one, "ahoy").await;
        echoes(&mut two, &"long".repeat(100_000)).await;
        assert_eq!(hub.accepted(), 1);
    }
}

#[tokio::test]
async fn auto_falls_back_to_http_1() {
    // With HTTP/1.1 alone, the first connection serves. Otherwise a second one is made. Each time,
    // the client knows the next time.
    for (speaks, accepted) in [(Speaks::Http1, [1, 2]), (Speaks::NoConnect, [2, 3])] {
        let hub = hub(speaks).await;
        let client = hub.client(HttpVersion::Auto);
        for accepted in accepted {
            let mut connection = soon(client.connect(&hub.url)).await.unwrap();
            assert_eq!(connection.http_version(), Some(http::Version::HTTP_11));
            echoes(&mut connection, "ahoy").await;
            assert_eq!(hub.accepted(), accepted, "{speaks:?}");
        }
    }
}

#[tokio::test]
async fn http_2_alone_does_not_fall_back() {
    let hub1 = hub(Speaks::Http1).await;
    let error = soon(hub1.client(HttpVersion::Http2).connect(&hub1.url)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoApplicationProtocol, "{error}");
    assert!(error.to_string().contains("ALPN"), "{error}");
    let hub2 = hub(Speaks::NoConnect).await;
    let error = soon(hub2.client(HttpVersion::Http2).connect(&hub2.url)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoExtendedConnect, "{error}");
    assert!(error.to_string().contains("SETTINGS_ENABLE_CONNECT_PROTOCOL"), "{error}");
}

#[tokio::test]
async fn a_socket_of_the_program_carries_one_websocket() {
    for (speaks, version) in
        [(Speaks::Http2, http::Version::HTTP_2), (Speaks::Http1, http::Version::HTTP_11)]
    {
        let hub = hub(speaks).await;
        let client = hub.client(HttpVersion::Auto);
        let address = hub.url[6..].trim_end_matches('/');
        let stream = || async { TcpStream::connect(address).await.unwrap() };
        let mut connection = soon(client.connect_via(stream().await, &hub.url)).await.unwrap();
        assert_eq!(connection.http_version(), Some(version));
        echoes(&mut connection, "ahoy").await;
        // A stream that is TLS already has selected its protocol.
        let tls = soon(hub.tls.connect(stream().await, "127.0.0.1")).await.unwrap();
        let mut connection = soon(client.connect_over(tls, &hub.url)).await.unwrap();
        assert_eq!(connection.http_version(), Some(http::Version::HTTP_11));
        echoes(&mut connection, "ahoy").await;
    }
}

#[tokio::test]
async fn http_1_offers_no_http_2() {
    let hub = hub(Speaks::Http2).await;
    let mut connection = soon(hub.client(HttpVersion::Http1).connect(&hub.url)).await.unwrap();
    assert_eq!(connection.http_version(), Some(http::Version::HTTP_11));
    echoes(&mut connection, "ahoy").await;
}

#[tokio::test]
async fn a_client_certificate_is_sent_and_one_that_is_missing_is_told() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (chain, key) = (cert.pem(), signing_key.serialize_pem());
    let server = TlsServer::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let server = server.client_roots_pem(chain.as_bytes(), ClientAuth::Required).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = server.accept_http2(stream).await {
                tokio::spawn(serve(stream, 100));
            }
        }
    });
    let tls = Tls::new().only_added_roots().add_roots_pem(chain.as_bytes()).unwrap();
    let client = Client::new().proxy(Proxy::none()).http_version(HttpVersion::Http2);
    let error = soon(client.clone().tls(tls.clone()).connect(&url)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ClientCertificate, "{error}");
    let tls = tls.identity_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let mut connection = soon(client.tls(tls).connect(&url)).await.unwrap();
    echoes(&mut connection, "ahoy").await;
}
