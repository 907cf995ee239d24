//! Where there is no TLS: what would take it.

use towline::ErrorKind;

use crate::loopback::{Loopback, behind, direct, listener, texts};

#[tokio::test]
async fn without_tls_nobody_is_dialled() {
    let (listener, proxy) = listener().await;
    for (url, target) in [
        (format!("https://deckhand:s3cret@{proxy}"), "ws://feed.invalid/"),
        (format!("http://deckhand:s3cret@{proxy}"), "wss://user:s3cret@feed.invalid/"),
    ] {
        let error = behind(&url).connect(target).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TlsUnavailable);
        assert!(!texts(&error).contains("s3cret"), "{error}");
    }
    // Nobody has come.
    let mut accepting = std::pin::pin!(listener.accept());
    let nobody =
        std::future::poll_fn(|cx| std::task::Poll::Ready(accepting.as_mut().poll(cx).is_pending()));
    assert!(nobody.await);
}

#[tokio::test]
async fn without_tls_no_redirect_leads_to_it() {
    let answer = "HTTP/1.1 302 Found\r\nLocation: https://h/\r\nContent-Length: 0\r\n\r\n";
    let server = Loopback::new(|_| answer.into()).await;
    let error = direct().follow_redirects(1).connect(server.url("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TlsUnavailable);
    let error = direct().connect("wss://127.0.0.1:1/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TlsUnavailable);
}
