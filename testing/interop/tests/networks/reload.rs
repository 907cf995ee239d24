//! Renewing a certificate while the server is busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use tokio::task::JoinSet;
use towline::{Connection, TlsServer};

use crate::bounded::soon;
use crate::certificates::{Authority, Signed};
use crate::conversation::{closes_well, connect, direct, echo};
use crate::echo::Echo;
use crate::program::run;

const CONNECTIONS: usize = 50;
const RELOADS: usize = 5;

/// The state shared by the busy clients.
#[derive(Default)]
struct Load {
    is_over: AtomicBool,
    echoes: AtomicU64,
}

/// Echoes numbered messages, one after the other, until it is told to stop.
async fn keep_busy(mut connection: Connection, load: Arc<Load>) -> Connection {
    let mut number = 0_u64;
    while !load.is_over.load(Relaxed) {
        echo(&mut connection, format!("message {number}")).await;
        number += 1;
        load.echoes.fetch_add(1, Relaxed);
    }
    connection
}

impl Load {
    /// Waits until all clients have made progress.
    async fn goes_on(&self) {
        let goal = self.echoes.load(Relaxed) + 10 * CONNECTIONS as u64;
        let further = async {
            while self.echoes.load(Relaxed) < goal {
                tokio::task::yield_now().await;
            }
        };
        soon("echoes", further).await;
    }
}

fn der(certificate: &Signed) -> Vec<u8> {
    let der = certificate.chain.with_extension("der");
    let files = [&certificate.chain, &der].map(|path| path.to_str().unwrap());
    run("openssl", ["x509", "-in", files[0], "-outform", "DER", "-out", files[1]]);
    std::fs::read(der).unwrap()
}

fn shown_to(connection: &Connection) -> &[u8] {
    &connection.tls().unwrap().peer_certificates[0]
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn a_certificate_is_renewed_under_load_without_a_lost_message() {
    let authority = Authority::new();
    let files = authority.server("server");
    let first = der(&files);
    let tls: TlsServer = files.server();
    let mut server = Echo::secure(tls.clone()).await;
    let url = server.url("wss");
    // A resumed session does not send a certificate, so each connection uses a new client.
    let newcomer = || direct(authority.trusted());

    let (load, mut busy) = (Arc::new(Load::default()), JoinSet::new());
    for _ in 0..CONNECTIONS {
        let connection = connect(&newcomer(), &url).await;
        assert_eq!(shown_to(&connection), first);
        busy.spawn(keep_busy(connection, load.clone()));
    }
    let guest = newcomer();
    closes_well(connect(&guest, &url).await).await;
    for round in 0..RELOADS {
        load.goes_on().await;
        let renewed = authority.server(&format!("renewed-{round}"));
        renewed.replaces(&files);
        tls.reload().unwrap();
        let connection = connect(&newcomer(), &url).await;
        assert_eq!(shown_to(&connection), der(&renewed));
        busy.spawn(keep_busy(connection, load.clone()));
        // A known client resumes its session.
        let back = connect(&guest, &url).await;
        assert!(back.tls().unwrap().is_resumed);
        closes_well(back).await;
    }
    // Files that do not match change nothing, nor do missing files.
    std::fs::copy(authority.server("another").key, &files.key).unwrap();
    println!("{}", tls.reload().unwrap_err());
    std::fs::remove_file(&files.chain).unwrap();
    println!("{}", tls.reload().unwrap_err());
    let connection = connect(&newcomer(), &url).await;
    let last = der(&authority.signed(&format!("renewed-{}", RELOADS - 1)));
    assert_eq!(shown_to(&connection), last);
    busy.spawn(keep_busy(connection, load.clone()));

    load.goes_on().await;
    load.is_over.store(true, Relaxed);
    while let Some(connection) = soon("the last echo", busy.join_next()).await {
        closes_well(connection.unwrap()).await;
    }
    for _ in 0..CONNECTIONS + 2 * RELOADS + 2 {
        assert!(server.end().await.is_clean());
    }
    println!("{} messages", load.echoes.load(Relaxed));
}
