//! Flow control (RFC 9113, section 5.2) as backpressure.

use std::time::Duration;

use towline::{CloseCause, Config, ErrorKind, Keepalive};

use crate::raw::{
    ACK, DATA, ENABLE_CONNECT_PROTOCOL, INITIAL_WINDOW_SIZE, RST_STREAM, Raw, SETTINGS,
    WINDOW_UPDATE, frame,
};
use crate::server::FLOOD;
use crate::support::{client, connecting, listener, soon};

#[tokio::test]
async fn nothing_is_sent_into_a_window_of_nothing() {
    let (listener, url) = listener().await;
    let config = Config::client().send_high_water_mark(1000);
    let connecting = connecting(&client().config(config), &url);
    let mut raw = Raw::accept(&listener).await;
    raw.settings(&[(ENABLE_CONNECT_PROTOCOL, 1), (INITIAL_WINDOW_SIZE, 0)]).await;
    let id = raw.accepts().await;
    let connection = soon(connecting).await.unwrap().unwrap();
    while connection.try_send("0123456789").is_ok() {}
    let error = connection.try_send("0123456789").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QueueFull, "{error}");
    // Byte by byte.
    let mut said = Vec::new();
    while said.len() < 100 {
        raw.window(id, 1).await;
        let data = raw.next(DATA).await;
        assert_eq!((data.stream, data.payload.len()), (id, 1));
        said.extend(data.payload);
    }
    for frame in said.chunks_exact(16) {
        let (head, body) = frame.split_at(6);
        let text: Vec<_> = body.iter().zip(head[2..].iter().cycle()).map(|(a, b)| a ^ b).collect();
        assert_eq!((head[..2].to_vec(), &text[..]), (vec![0x81, 0x8a], &b"0123456789"[..]));
    }
    // And the rest at once: what was queued and is written leaves room.
    raw.window(id, 1 << 20).await;
    soon(connection.send("more")).await.unwrap();
    soon(connection.flushed()).await;
    assert_eq!(connection.queued_bytes(), 0);
}

#[tokio::test]
async fn a_peer_that_takes_nothing_or_says_nothing_is_given_up() {
    let short = Duration::from_millis(100);
    let patient = Config::client().keepalive(None).send_timeout(short);
    let nervous = Config::client().keepalive(Keepalive::every(short).grace(short));
    for (config, cause) in
        [(patient, CloseCause::SendTimeout), (nervous, CloseCause::PeerUnresponsive)]
    {
        let (listener, url) = listener().await;
        let connecting = connecting(&client().config(config), &url);
        let mut raw = Raw::accept(&listener).await;
        raw.settings(&[(ENABLE_CONNECT_PROTOCOL, 1), (INITIAL_WINDOW_SIZE, 0)]).await;
        let id = raw.accepts().await;
        let mut connection = soon(connecting).await.unwrap().unwrap();
        if cause == CloseCause::SendTimeout {
            connection.send("into nothing").await.unwrap();
        }
        soon(connection.recv()).await.unwrap_err();
        assert_eq!(connection.closed().unwrap().cause(), cause);
        let reset = raw.next(RST_STREAM).await;
        assert_eq!((reset.stream, &reset.payload[..]), (id, &[0, 0, 0, 8][..]));
        raw.ends().await;
    }
}

#[tokio::test]
async fn a_program_that_does_not_receive_keeps_the_window_shut() {
    let (listener, url) = listener().await;
    let connecting = connecting(&client().http2_stream_window(5000), &url);
    let mut raw = Raw::accept(&listener).await;
    let settings = raw.next(SETTINGS).await;
    assert_eq!(settings.flags, 0);
    let window = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &5000u32.to_be_bytes()].concat();
    assert!(settings.payload.chunks(6).any(|setting| setting == window));
    let more = raw.next(WINDOW_UPDATE).await;
    let more = u32::from_be_bytes(more.payload[..].try_into().unwrap());
    assert_eq!((more + 65_535) >> 20, 16);
    raw.send(SETTINGS, ACK, 0, &[]).await;
    raw.settings(&[(ENABLE_CONNECT_PROTOCOL, 1)]).await;
    while raw.next(SETTINGS).await.flags != ACK {}
    let id = raw.accepts().await;
    let mut connection = soon(connecting).await.unwrap().unwrap();
    let text = "x".repeat(98);
    for _ in 0..50 {
        raw.text(id, &text).await;
    }
    // The window opens only by what the program takes.
    for _ in 0..50 {
        assert_eq!(soon(connection.recv()).await.unwrap(), Some(text.as_str().into()));
    }
    let opened = raw.next(WINDOW_UPDATE).await;
    assert_eq!(opened.stream, id);
}

/// All of this is there to be read at once. `h2` ends a connection with half of so many tiny
/// frames, unless they are taken in between.
#[tokio::test]
async fn a_burst_of_tiny_messages_ends_nothing() {
    let (near, far) = tokio::io::duplex(4 << 20);
    let client = client().config(Config::client().keepalive(None)).http2_stream_window(1 << 20);
    let connecting = tokio::spawn(client.connect_over(near, "ws://example.com/"));
    let mut raw = Raw::on(far).await;
    raw.settings(&[(ENABLE_CONNECT_PROTOCOL, 1)]).await;
    raw.send(SETTINGS, ACK, 0, &[]).await;
    let id = raw.accepts().await;
    let mut connection = soon(connecting).await.unwrap().unwrap();
    let message = |number: usize| frame(DATA, 0, id, &[0x82, 1, number.to_le_bytes()[0]]);
    raw.send_bytes(&(0..FLOOD).flat_map(message).collect::<Vec<_>>()).await;
    for number in 0..FLOOD {
        let message = soon(connection.recv()).await.unwrap().unwrap();
        assert_eq!(message.as_bytes(), &number.to_le_bytes()[..1]);
    }
}

#[tokio::test]
async fn a_peer_that_exceeds_the_window_is_told() {
    let (listener, url) = listener().await;
    let connecting = connecting(&client().http2_stream_window(1000), &url);
    let mut raw = Raw::greet(&listener).await;
    while raw.next(SETTINGS).await.flags != ACK {}
    raw.send(SETTINGS, ACK, 0, &[]).await;
    let id = raw.accepts().await;
    let mut connection = soon(connecting).await.unwrap().unwrap();
    for _ in 0..20 {
        raw.text(id, &"x".repeat(98)).await;
    }
    let error = loop {
        match soon(connection.recv()).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("FLOW_CONTROL_ERROR"), "{error}");
}
