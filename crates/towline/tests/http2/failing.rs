//! Several connects that wait for one connection, which can't be made.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use towline::{Error, ErrorKind};

use crate::raw::Raw;
use crate::server::Hub;
use crate::support::{client, connecting, listener, soon, texts};

#[tokio::test]
async fn all_that_wait_for_a_connection_share_its_failure() {
    let (listener, url) = listener().await;
    let accepted = Arc::new(AtomicUsize::new(0));
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let count = accepted.clone();
    tokio::spawn(async move {
        let raw = Raw::accept(&listener).await;
        count.fetch_add(1, Ordering::Relaxed);
        let _ = ended.await;
        drop(raw);
        loop {
            drop(Raw::accept(&listener).await);
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let client = client();
    let first = connecting(&client, &url);
    while accepted.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    let mut all: Vec<_> = (0..10).map(|_| connecting(&client, &url)).collect();
    all.push(first);
    // Each of them runs once, and waits then.
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    end.send(()).unwrap();
    let mut told = Vec::<Error>::new();
    for connecting in all {
        told.push(soon(connecting).await.unwrap().unwrap_err());
    }
    assert_eq!(accepted.load(Ordering::Relaxed), 1);
    for error in &told {
        assert_eq!(error.kind(), ErrorKind::Handshake, "{error}");
        assert!(error.to_string().contains("no HTTP/2 with 127.0.0.1"), "{error}");
        assert_eq!(texts(error), texts(&told[0]));
        assert_eq!(error.get_ref().is_some(), told[0].get_ref().is_some());
    }
    // A later one tries again.
    soon(client.connect(&url)).await.unwrap_err();
    assert_eq!(accepted.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_failure_that_is_over_is_nobody_elses() {
    let (listener, url) = listener().await;
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = client();
    let error = soon(client.connect(&url)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    let hub = Hub::at(address, 100).await;
    soon(client.connect(&hub.url)).await.unwrap();
}
