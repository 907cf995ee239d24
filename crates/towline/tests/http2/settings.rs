//! The setting that a server allows WebSockets by (RFC 8441, section 3).

use towline::ErrorKind;

use crate::raw::{ACK, ENABLE_CONNECT_PROTOCOL, MAX_CONCURRENT_STREAMS, PING, Raw, SETTINGS};
use crate::support::{client, connecting, listener, soon, texts};

#[tokio::test]
async fn a_server_without_the_setting_is_told() {
    let (listener, url) = listener().await;
    let connecting = connecting(&client(), &url);
    let mut raw = Raw::accept(&listener).await;
    raw.settings(&[]).await;
    let ping = raw.next(PING).await;
    raw.send(PING, ACK, 0, &ping.payload).await;
    let error = soon(connecting).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoExtendedConnect, "{error}");
    for part in ["SETTINGS_ENABLE_CONNECT_PROTOCOL", "127.0.0.1", "HttpVersion::Http1"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    // The connection has no use any more.
    raw.ends().await;
}

#[tokio::test]
async fn the_setting_can_come_late() {
    let (listener, url) = listener().await;
    let connecting = connecting(&client(), &url);
    let mut raw = Raw::accept(&listener).await;
    raw.settings(&[]).await;
    let ping = raw.next(PING).await;
    raw.settings(&[(ENABLE_CONNECT_PROTOCOL, 1)]).await;
    raw.send(PING, ACK, 0, &ping.payload).await;
    let id = raw.accepts().await;
    let mut connection = soon(connecting).await.unwrap().unwrap();
    raw.text(id, "ahoy").await;
    assert_eq!(soon(connection.recv()).await.unwrap(), Some("ahoy".into()));
}

#[tokio::test]
async fn a_setting_that_is_withdrawn_retires_the_connection() {
    let (listener, url) = listener().await;
    let client = client();
    let first = connecting(&client, &url);
    let mut raw = Raw::greet(&listener).await;
    while raw.next(SETTINGS).await.flags != ACK {}
    let id = raw.accepts().await;
    let mut first = soon(first).await.unwrap().unwrap();
    raw.settings_and_ack(&[(ENABLE_CONNECT_PROTOCOL, 0)]).await;
    let second = connecting(&client, &url);
    let mut other = Raw::greet(&listener).await;
    other.accepts().await;
    soon(second).await.unwrap().unwrap();
    // The first lives on.
    raw.text(id, "ahoy").await;
    assert_eq!(soon(first.recv()).await.unwrap(), Some("ahoy".into()));
}

#[tokio::test]
async fn a_server_that_allows_no_stream_is_told() {
    let (listener, url) = listener().await;
    let connecting = connecting(&client(), &url);
    let mut raw = Raw::accept(&listener).await;
    raw.settings(&[(ENABLE_CONNECT_PROTOCOL, 1), (MAX_CONCURRENT_STREAMS, 0)]).await;
    let error = soon(connecting).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("SETTINGS_MAX_CONCURRENT_STREAMS"), "{error}");
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_told() {
    for said in [&b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"[..], b""] {
        let (listener, url) = listener().await;
        let connecting = connecting(&client(), &url);
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, said).await.unwrap();
        drop(stream);
        let error = soon(connecting).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Handshake, "{error}");
        assert!(error.to_string().contains("prior knowledge"), "{}", texts(&error));
    }
}
