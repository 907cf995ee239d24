//! How a stream, or the connection below it, ends.

use std::io;
use std::time::Duration;

use towline::{CloseCause, CloseCode, ErrorKind};

use crate::raw::{DATA, END_STREAM, RST_STREAM, Raw};
use crate::support::{client, connecting, listener, soon, texts};

#[tokio::test]
async fn a_reset_is_an_ending_that_names_its_reason() {
    let (listener, url) = listener().await;
    let connecting = connecting(&client(), &url);
    let mut raw = Raw::greet(&listener).await;
    let id = raw.accepts().await;
    let mut connection = soon(connecting).await.unwrap().unwrap();
    raw.text(id, "last words").await;
    raw.reset(id, 8).await;
    assert_eq!(soon(connection.recv()).await.unwrap(), Some("last words".into()));
    let error = soon(connection.recv()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
    assert!(error.to_string().contains("reset the HTTP/2 stream: CANCEL"), "{error}");
    let cause = connection.closed().unwrap().cause();
    assert_eq!(cause, CloseCause::TransportFailed(io::ErrorKind::ConnectionReset));
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            assert_eq!(error.reason(), Some(h2::Reason::CANCEL));
            return;
        }
        source = error.source();
    }
    panic!("no error of h2 in {}", texts(&error));
}

/// A program that only writes is told the same.
#[tokio::test]
async fn a_reset_names_its_reason_to_who_only_writes() {
    for (way, window) in [(0, 60_000), (1, 60_000), (2, 0)] {
        let (listener, url) = listener().await;
        let connecting = connecting(&client(), &url);
        let mut raw = Raw::greet(&listener).await;
        let id = raw.accepts().await;
        let connection = soon(connecting).await.unwrap().unwrap();
        let (mut sender, receiver) = connection.split();
        if window == 0 {
            // Writing waits for the window when the stream is reset.
            sender.send(vec![7; 70_000]).await.unwrap();
        }
        raw.reset(id, 11).await;
        let error = soon(async {
            loop {
                let sent = match way {
                    0 => sender.send("anyone?").await,
                    1 => futures_util::SinkExt::send(&mut sender, "anyone?".into()).await,
                    _ => sender.try_send("anyone?"),
                };
                match sent {
                    Ok(()) => tokio::time::sleep(Duration::from_millis(1)).await,
                    Err(error) => break error,
                }
            }
        })
        .await;
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        let reset = "reset the HTTP/2 stream: ENHANCE_YOUR_CALM";
        assert!(error.to_string().contains(reset), "{}", texts(&error));
        let error = io::Error::from(error);
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
        drop(receiver);
        let closed = soon(sender.wait_closed()).await;
        let failed = CloseCause::TransportFailed(io::ErrorKind::ConnectionReset);
        assert_eq!(closed.cause(), failed);
    }
}

#[tokio::test]
async fn an_end_without_a_close_frame_is_an_ending() {
    let (listener, url) = listener().await;
    let connecting = connecting(&client(), &url);
    let mut raw = Raw::greet(&listener).await;
    let id = raw.accepts().await;
    let mut connection = soon(connecting).await.unwrap().unwrap();
    raw.send(DATA, END_STREAM, id, &[0x81, 1, b'a']).await;
    assert_eq!(soon(connection.recv()).await.unwrap(), Some("a".into()));
    let error = soon(connection.recv()).await.unwrap_err();
    assert_eq!(error.closed().unwrap().cause(), CloseCause::TransportEnded);
}

#[tokio::test]
async fn goaway_without_an_error_lets_what_is_open_live_on() {
    let (listener, url) = listener().await;
    let client = client();
    let first = connecting(&client, &url);
    let mut raw = Raw::greet(&listener).await;
    let id = raw.accepts().await;
    let mut first = soon(first).await.unwrap().unwrap();
    raw.goaway(0x7fff_ffff, 0, "").await;
    raw.text(id, "going").await;
    assert_eq!(soon(first.recv()).await.unwrap(), Some("going".into()));
    let second = connecting(&client, &url);
    let mut other = Raw::greet(&listener).await;
    other.accepts().await;
    soon(second).await.unwrap().unwrap();
    raw.text(id, "going on").await;
    assert_eq!(soon(first.recv()).await.unwrap(), Some("going on".into()));
    first.send("aye").await.unwrap();
    assert_eq!(raw.next(DATA).await.stream, id);
    drop(first);
    raw.reset(id, 0).await;
    raw.ends().await;
}

#[tokio::test]
async fn goaway_with_an_error_is_an_ending_that_names_its_reason() {
    let (listener, url) = listener().await;
    let client = client();
    let mut connections = Vec::new();
    let first = connecting(&client, &url);
    let mut raw = Raw::greet(&listener).await;
    let id = raw.accepts().await;
    connections.push(soon(first).await.unwrap().unwrap());
    let second = connecting(&client, &url);
    raw.accepts().await;
    connections.push(soon(second).await.unwrap().unwrap());
    raw.goaway(id, 11, "too_many_dogs").await;
    drop(raw);
    for mut connection in connections {
        let error = soon(connection.recv()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
        for part in ["ENHANCE_YOUR_CALM", "too_many_dogs"] {
            assert!(error.to_string().contains(part), "{}", texts(&error));
        }
    }
}

#[tokio::test]
async fn a_connection_that_breaks_ends_all_its_websockets() {
    let (listener, url) = listener().await;
    let client = client();
    let mut connections = Vec::new();
    let first = connecting(&client, &url);
    let mut raw = Raw::greet(&listener).await;
    raw.accepts().await;
    connections.push(soon(first).await.unwrap().unwrap());
    let second = connecting(&client, &url);
    raw.accepts().await;
    connections.push(soon(second).await.unwrap().unwrap());
    drop(raw);
    for connection in &mut connections {
        let error = soon(connection.recv()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
    }
    // The next one finds no trace of it.
    let third = connecting(&client, &url);
    let mut raw = Raw::greet(&listener).await;
    raw.accepts().await;
    soon(third).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_abort_writes_its_close_frame_and_cancels() {
    let (listener, url) = listener().await;
    let connecting = connecting(&client(), &url);
    let mut raw = Raw::greet(&listener).await;
    let id = raw.accepts().await;
    let connection = soon(connecting).await.unwrap().unwrap();
    connection.send("before").await.unwrap();
    connection.abort(CloseCode::POLICY, "");
    let mut said = Vec::new();
    let reset = loop {
        let frame = raw.frame().await.unwrap();
        match frame.kind {
            DATA => said.extend(frame.payload),
            RST_STREAM => break frame,
            _ => {}
        }
    };
    assert_eq!(said.len(), (2 + 4 + 6) + (2 + 4 + 2));
    assert_eq!((reset.stream, &reset.payload[..]), (id, &[0, 0, 0, 8][..]));
    raw.ends().await;
}
