//! Who a client is: the server asks for a certificate, and each way to have none is told from the
//! others, on both ends.

use std::sync::Arc;

use rcgen::date_time_ymd;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use towline::{Blame, Client, ClientAuth, Connection, Error, ErrorKind, Server, Tls, TlsServer};

use crate::certificates::{Authority, Signed, server_params};
use crate::peer::{VERSIONS, der, provider, roots, server_config_for};

struct Parties {
    /// Whom the server trusts.
    clients: Authority,
    /// Whom the client does.
    servers: Authority,
    signed: Signed,
}

impl Parties {
    fn new() -> Self {
        let (clients, servers) = (Authority::new("root of clients"), Authority::new("root"));
        let signed = servers.server(&["localhost"]);
        Self { clients, servers, signed }
    }

    /// A server of each version.
    fn servers(&self, auth: ClientAuth) -> [TlsServer; 2] {
        VERSIONS.map(|versions| {
            let verifier = WebPkiClientVerifier::builder_with_provider(
                Arc::new(roots(&self.clients)),
                provider(),
            );
            let verifier = match auth {
                ClientAuth::Optional => verifier.allow_unauthenticated(),
                _ => verifier,
            };
            let config = server_config_for(verifier.build().unwrap(), &self.signed, versions);
            TlsServer::from_rustls_0_23(Arc::new(config))
        })
    }

    fn client(&self, shows: Option<&Signed>) -> Client {
        let tls = self.servers.trusted();
        Client::new().tls(match shows {
            Some(signed) => {
                tls.identity_pem(signed.chain.as_bytes(), signed.key.as_bytes()).unwrap()
            }
            None => tls,
        })
    }
}

/// What both ends say: the server of the TLS handshake, the client of all of it.
async fn meet(tls: &TlsServer, client: &Client) -> (Option<Error>, Result<Connection, Error>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
    let tls = tls.clone();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        match tls.accept(stream).await {
            Ok(stream) => {
                let mut server = Server::builder().build();
                server.serve(stream, None);
                let request = server.next_request().await.unwrap();
                let shown = request.tls().unwrap().peer_certificates.clone();
                let mut connection = request.accept().await.unwrap();
                assert_eq!(connection.tls().unwrap().peer_certificates, shown);
                connection.send(format!("{} certificates", shown.len())).await.unwrap();
                let _ = connection.recv().await;
                None
            }
            Err(error) => Some(error),
        }
    });
    let connected = client.connect(url).await;
    let connected = match connected {
        Ok(mut connection) => match connection.recv().await {
            Ok(Some(message)) => {
                let count = usize::from(!message.as_text().unwrap().starts_with('0'));
                assert_eq!(message, format!("{count} certificates").into());
                connection.send("bye").await.unwrap();
                Ok(connection)
            }
            other => panic!("{other:?}"),
        },
        Err(error) => Err(error),
    };
    (serving.await.unwrap(), connected)
}

#[tokio::test]
async fn a_client_that_is_asked_shows_its_certificate_or_is_refused() {
    let parties = Parties::new();
    let at = |from, until| {
        let mut params = server_params(&["boat"]);
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) =
            (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        parties.clients.sign(params)
    };
    let good = parties.clients.client("boat");
    let cases = [
        (None, ErrorKind::ClientCertificate, "sent no certificate"),
        (Some(at(2000, 2001)), ErrorKind::CertificateExpired, "expired"),
        (Some(at(2800, 2900)), ErrorKind::CertificateExpired, "not valid yet"),
        (Some(parties.servers.client("boat")), ErrorKind::CertificateUntrusted, "unknown root"),
        (Some(Signed::by_itself(&["boat"])), ErrorKind::CertificateInvalid, "key usage"),
        (Some(parties.clients.server(&["boat"])), ErrorKind::CertificateInvalid, "not valid"),
    ];
    for auth in [ClientAuth::Optional, ClientAuth::Required] {
        let own =
            parties.signed.server().client_roots_pem(parties.clients.pem.as_bytes(), auth).unwrap();
        for tls in parties.servers(auth).iter().chain([&own]) {
            let (at_server, at_client) = meet(tls, &parties.client(Some(&good))).await;
            assert!(at_server.is_none() && at_client.unwrap().is_secure());
            for (shows, kind, words) in &cases {
                let client = parties.client(shows.as_ref());
                let (at_server, at_client) = meet(tls, &client).await;
                if shows.is_none() && auth == ClientAuth::Optional {
                    assert!(at_server.is_none() && at_client.is_ok());
                    continue;
                }
                let error = at_server.expect(words);
                assert_eq!((error.kind(), error.blame()), (*kind, Blame::Remote), "{error}");
                let text = error.to_string();
                assert!(text.contains(words) && text.contains("client"), "{text}, not {words}");
                assert!(!text.contains('\n'), "{text}");
                let error = at_client.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ClientCertificate, "{error}, for {text}");
                assert!(!error.to_string().contains('\n'), "{error}");
            }
        }
    }
}

/// OpenSSL's servers of TLS 1.2 say no more than that (RFC 5246, section 7.4.6).
#[tokio::test]
async fn a_handshake_failure_after_a_certificate_was_asked_for_says_so() {
    const REQUIRED: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 116];
    let parties = Parties::new();
    let [tls, _] = parties.servers(ClientAuth::Required);
    for shows in [None, Some(parties.servers.client("boat"))] {
        let (near, mut at_near) = tokio::io::duplex(1 << 16);
        let (mut at_far, far) = tokio::io::duplex(1 << 16);
        let relay = tokio::spawn(async move {
            let (mut from_client, mut from_server) = ([0; 4096], [0; 4096]);
            loop {
                tokio::select! {
                    Ok(count @ 1..) = at_near.read(&mut from_client) => {
                        at_far.write_all(&from_client[..count]).await.unwrap();
                    }
                    Ok(count @ 1..) = at_far.read(&mut from_server) => {
                        let said = &mut from_server[..count];
                        if said.starts_with(&REQUIRED[..6]) {
                            // handshake_failure
                            said[6] = 40;
                        }
                        at_near.write_all(said).await.unwrap();
                    }
                    else => return,
                }
            }
        });
        let mut client = parties.servers.trusted();
        if let Some(signed) = &shows {
            let (chain, key) = (signed.chain.as_bytes(), signed.key.as_bytes());
            client = client.identity_pem(chain, key).unwrap();
        }
        let (accepted, connected) =
            tokio::join!(tls.accept(far), client.connect(near, "localhost"));
        accepted.unwrap_err();
        let error = connected.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
        let text = error.to_string();
        assert!(text.contains("HandshakeFailure"), "{text}");
        let hints = text.contains("asked for a certificate of this end and got none");
        assert_eq!(hints, shows.is_none(), "{text}");
        relay.abort();
    }
}

/// Where nobody asks, nothing is shown.
#[tokio::test]
async fn a_client_that_is_not_asked_shows_nothing() {
    let parties = Parties::new();
    let client = parties.client(Some(&parties.clients.client("boat")));
    let (at_server, at_client) = meet(&parties.signed.server(), &client).await;
    assert!(at_server.is_none() && at_client.is_ok());
}

/// Who has come without a certificate can't come back by a session of then.
#[tokio::test]
async fn a_session_of_before_clients_were_asked_is_none() {
    let parties = Parties::new();
    let open = parties.signed.server();
    let client = parties.client(None);
    for _ in 0..2 {
        meet(&open, &client).await.1.unwrap();
    }
    assert!(meet(&open, &client).await.1.unwrap().tls().unwrap().is_resumed);
    let roots = parties.clients.pem.as_bytes();
    let closed = open.client_roots_pem(roots, ClientAuth::Required).unwrap();
    let (at_server, at_client) = meet(&closed, &client).await;
    assert_eq!(at_server.unwrap().kind(), ErrorKind::ClientCertificate);
    assert_eq!(at_client.unwrap_err().kind(), ErrorKind::ClientCertificate);
    // Who has shown one is known when it comes back.
    let client = parties.client(Some(&parties.clients.client("boat")));
    for round in 0..3 {
        let connection = meet(&closed, &client).await.1.unwrap();
        assert_eq!(connection.tls().unwrap().is_resumed, round > 0);
    }
}

/// What both ends know of each other.
#[tokio::test]
async fn both_ends_see_the_others_certificates() {
    let parties = Parties::new();
    let good = parties.clients.client("boat");
    let tls = parties
        .signed
        .server()
        .client_roots_pem(parties.clients.pem.as_bytes(), ClientAuth::Required)
        .unwrap();
    let mut server = Server::builder().tls(tls).bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}/", server.local_addr().unwrap().port());
    let client = parties.client(Some(&good));
    let connecting = tokio::spawn(async move { client.connect(url).await.unwrap() });
    let request = server.next_request().await.unwrap();
    assert!(request.is_secure());
    assert_eq!(request.tls().unwrap().peer_certificates, [der(&good.chain)]);
    let connection = request.accept().await.unwrap();
    assert!(connection.is_secure() && connection.tcp_stream().is_some());
    assert_eq!(connection.tls().unwrap().peer_certificates, [der(&good.chain)]);
    let client = connecting.await.unwrap();
    let info = client.tls().unwrap();
    assert_eq!(info.peer_certificates, [der(&parties.signed.chain)]);
    assert_eq!(info, client.info().tls.as_deref().unwrap());
    assert!(info.cipher_suite.starts_with("TLS13_"), "{info:?}");
    assert!(Tls::new().identity_der([der(&good.chain)], b"no key".to_vec()).is_err());
}
