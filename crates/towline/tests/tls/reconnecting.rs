//! Connections that come back over TLS: a handshake that is cut off does, a certificate does not.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use towline::{Client, CloseCode, Dial, Ending, ErrorKind, ReconnectEvent, Server};

use crate::certificates::{Authority, Signed};

/// What the server does in the TLS handshake of the first attempt.
#[derive(Debug, Clone, Copy)]
enum First {
    HangsUpAtOnce,
    HangsUpAfterTheHello,
    HasACertificate,
    SpeaksHttp,
}

/// The attempts that were made, and how it ended.
async fn run(
    first: First,
    signed: Signed,
    client: Client,
) -> (u32, Result<(), ErrorKind>, Vec<String>) {
    let secure = signed.server();
    let attempts = std::sync::Arc::new(AtomicU32::new(0));
    let counted = attempts.clone();
    let mut reconnecting = client.reconnecting(move |attempt| {
        counted.fetch_add(1, Ordering::Relaxed);
        let (near, mut far) = duplex(64 << 10);
        let secure = secure.clone();
        tokio::spawn(async move {
            match first {
                First::HangsUpAtOnce if attempt.is_first() => return,
                First::HangsUpAfterTheHello if attempt.is_first() => {
                    far.read_exact(&mut [0; 100]).await.unwrap();
                    return;
                }
                First::SpeaksHttp => {
                    far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
                    far.shutdown().await.unwrap();
                    let _ = far.read_to_end(&mut Vec::new()).await;
                    return;
                }
                _ => {}
            }
            let Ok(stream) = secure.accept(far).await else { return };
            let mut server = Server::builder().build();
            server.serve(stream, None);
            let request = server.next_request().await.unwrap();
            let mut connection = request.accept().await.unwrap();
            connection.close(CloseCode::NORMAL, "").await.unwrap();
        });
        async move { Ok(Dial::via(near, "wss://localhost/")) }
    });
    let mut events = reconnecting.events();
    let end = loop {
        match reconnecting.next().await {
            Ok(Some(mut connection)) => {
                assert!(connection.is_secure());
                while let Ok(Some(_)) = connection.recv().await {}
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error.kind()),
        }
    };
    let mut failures = Vec::new();
    while let Some(event) = events.next().await {
        if let ReconnectEvent::Waiting { why: Ending::Failed(error), .. } = event {
            failures.push(error.code().to_owned());
        }
    }
    (attempts.load(Ordering::Relaxed), end, failures)
}

#[tokio::test(start_paused = true)]
async fn a_tls_handshake_that_is_cut_off_comes_back() {
    for first in [First::HangsUpAtOnce, First::HangsUpAfterTheHello] {
        let authority = Authority::new("root");
        let client = Client::new().tls(authority.trusted());
        let (attempts, end, failures) = run(first, authority.server(&["localhost"]), client).await;
        assert_eq!((attempts, end), (2, Ok(())), "{first:?}");
        assert_eq!(failures, ["ERR_TLS"], "{first:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_is_not_accepted_is_not_tried_again() {
    let authority = Authority::new("root");
    let client = || Client::new().tls(authority.trusted());
    for (signed, kind) in [
        (Authority::new("other").server(&["localhost"]), ErrorKind::CertificateUntrusted),
        (Signed::by_itself(&["localhost"]), ErrorKind::CertificateUntrusted),
        (authority.server(&["example.com"]), ErrorKind::CertificateName),
    ] {
        let (attempts, end, failures) = run(First::HasACertificate, signed, client()).await;
        assert_eq!((attempts, end, failures), (1, Err(kind), Vec::new()));
    }
    let (attempts, end, _) =
        run(First::SpeaksHttp, authority.server(&["localhost"]), client()).await;
    assert_eq!((attempts, end), (1, Err(ErrorKind::NotTls)));
}
