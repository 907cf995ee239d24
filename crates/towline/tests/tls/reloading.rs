//! A certificate that is exchanged while the server serves.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use towline::{Client, CloseCode, Connection, ErrorKind, Server, TlsServer};

use crate::certificates::{Authority, Signed};
use crate::peer::der;

/// Two files, gone with the test.
struct Files(PathBuf);

impl Files {
    fn new(name: &str, signed: &Signed) -> Self {
        let files =
            Self(std::env::temp_dir().join(format!("towline-{}-{name}", std::process::id())));
        std::fs::create_dir_all(&files.0).unwrap();
        files.hold(&signed.chain, &signed.key);
        files
    }

    fn hold(&self, chain: &str, key: &str) {
        std::fs::write(self.0.join("chain.pem"), chain).unwrap();
        std::fs::write(self.0.join("key.pem"), key).unwrap();
    }

    fn server(&self) -> TlsServer {
        TlsServer::from_pem_files(self.0.join("chain.pem"), self.0.join("key.pem")).unwrap()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server that sends back what it receives, and its URL.
async fn echo(tls: &TlsServer) -> String {
    let mut server =
        Server::builder().tls(tls.clone()).auto_accept(true).bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}/", server.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Some(mut connection) = server.next_connection().await {
            tokio::spawn(async move {
                while let Ok(Some(message)) = connection.recv().await {
                    connection.send(message).await.unwrap();
                }
            });
        }
    });
    url
}

fn shown(connection: &Connection) -> Bytes {
    connection.tls().unwrap().peer_certificates[0].clone()
}

#[tokio::test]
async fn new_connections_see_the_new_certificate_and_a_bad_one_changes_nothing() {
    let authority = Authority::new("root");
    let [old, new] = [(); 2].map(|()| authority.server(&["localhost"]));
    let files = Files::new("bad", &old);
    let tls = files.server();
    let url = echo(&tls).await;
    let sees = async |signed: &Signed| {
        // Nothing to resume.
        let client = Client::new().tls(authority.trusted());
        assert_eq!(shown(&client.connect(&url).await.unwrap()), der(&signed.chain));
    };
    sees(&old).await;
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (chain, key) in [
        (&*new.chain, &*old.key),
        (&new.chain, ""),
        ("", &new.key),
        (garbage, &new.key),
        (&new.chain, "not a key"),
    ] {
        files.hold(chain, key);
        let error = tls.reload().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidTls, "{error}");
        let text = error.to_string();
        assert!(text.contains("chain.pem") || text.contains("key.pem"), "{text}");
        assert!(!text.contains('\n'), "{text}");
        assert_eq!(
            tls.reload_pem(chain.as_bytes(), key.as_bytes()).unwrap_err().kind(),
            error.kind()
        );
        sees(&old).await;
    }
    std::fs::remove_file(files.0.join("key.pem")).unwrap();
    let error = tls.reload().unwrap_err();
    assert!(error.to_string().contains("key.pem"), "{error}");
    sees(&old).await;
    files.hold(&new.chain, &new.key);
    tls.reload().unwrap();
    sees(&new).await;
    tls.reload_pem(old.chain.as_bytes(), old.key.as_bytes()).unwrap();
    sees(&old).await;
    let error = old.server().reload().unwrap_err();
    assert!(error.to_string().contains("files"), "{error}");
}

#[tokio::test]
async fn sessions_of_before_are_resumed_after_it() {
    let authority = Authority::new("root");
    let [old, new] = [(); 2].map(|()| authority.server(&["localhost"]));
    let tls = old.server();
    let url = echo(&tls).await;
    let client = Client::new().tls(authority.trusted());
    let connects = async || {
        let mut connection = client.connect(&url).await.unwrap();
        // The tickets come with the first answer.
        connection.send("hi").await.unwrap();
        connection.recv().await.unwrap().unwrap();
        connection.tls().unwrap().clone()
    };
    assert!(!connects().await.is_resumed);
    assert!(connects().await.is_resumed);
    tls.reload_pem(new.chain.as_bytes(), new.key.as_bytes()).unwrap();
    let info = connects().await;
    assert!(info.is_resumed);
    // It is the one that was shown then.
    assert_eq!(info.peer_certificates, [der(&old.chain)]);
}

/// Messages flow on all of them all the while, and others come and go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_an_exchange_under_load() {
    let authority = Authority::new("root");
    let signed: Vec<_> = (0..4).map(|_| authority.server(&["localhost"])).collect();
    let files = Files::new("load", &signed[0]);
    let tls = files.server();
    let url = echo(&tls).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let talking: Vec<_> = (0..50usize)
        .map(|index| {
            let client = Client::new().tls(authority.trusted());
            let (url, is_over) = (url.clone(), is_over.clone());
            tokio::spawn(async move {
                let mut connection = client.connect(&url).await.unwrap();
                let (mut sent, mut received) = (0usize, 0usize);
                while !is_over.load(Ordering::Relaxed) || received < sent {
                    if !is_over.load(Ordering::Relaxed) && sent < received + 4 {
                        let message = format!("{sent}:").repeat(1 + index * 7 % 300);
                        connection.send(message).await.unwrap();
                        sent += 1;
                    } else {
                        let message = connection.recv().await.unwrap().unwrap();
                        assert!(message.as_text().unwrap().starts_with(&format!("{received}:")));
                        received += 1;
                    }
                }
                assert!(connection.close(CloseCode::NORMAL, "").await.unwrap().is_clean());
                sent
            })
        })
        .collect();
    for round in 0..40 {
        let now = &signed[round % signed.len()];
        files.hold(&now.chain, &now.key);
        tls.reload().unwrap();
        let client = Client::new().tls(authority.trusted());
        let connection = client.connect(&url).await.unwrap();
        assert_eq!(shown(&connection), der(&now.chain));
    }
    is_over.store(true, Ordering::Relaxed);
    for talking in talking {
        assert!(talking.await.unwrap() > 0);
    }
}
