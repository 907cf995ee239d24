//! Streams that their programs have dropped, to a server that takes nothing.

use std::time::Duration;

use towline::{CloseCode, Config, Connection};

use crate::raw::{
    DATA, ENABLE_CONNECT_PROTOCOL, HEADERS, MAX_CONCURRENT_STREAMS, OK, RST_STREAM, Raw, frame,
};
use crate::support::{client, connecting, listener, soon};

/// The streams that the server allows.
const STREAMS: [(u16, u32); 2] = [(ENABLE_CONNECT_PROTOCOL, 1), (MAX_CONCURRENT_STREAMS, 2)];

/// Sends until the server, which does not read, takes no more.
async fn fill(connection: &Connection) {
    let bytes = vec![7; 64 << 10];
    let is_full = Duration::from_millis(500);
    while tokio::time::timeout(is_full, connection.send(bytes.clone())).await.is_ok() {}
}

#[tokio::test]
async fn a_dropped_stream_keeps_its_place_until_it_has_ended_or_five_seconds_are_over() {
    let (listener, url) = listener().await;
    let config = Config::client().keepalive(None).send_timeout(None);
    let client = client().config(config);
    let first = connecting(&client, &url);
    let mut raw = Raw::accept(&listener).await;
    raw.settings(&STREAMS).await;
    let id = raw.accepts().await;
    let first = soon(first).await.unwrap().unwrap();
    let second = connecting(&client, &url);
    raw.accepts().await;
    let _second = soon(second).await.unwrap().unwrap();
    // From here on, the server does not read.
    raw.window(id, 1 << 30).await;
    raw.window(0, 1 << 30).await;
    fill(&first).await;
    first.abort(CloseCode::GOING_AWAY, "");
    drop(first);

    // Its stream counts still.
    let third = connecting(&client, &url);
    let mut other = Raw::accept(&listener).await;
    other.settings(&[(ENABLE_CONNECT_PROTOCOL, 1), (MAX_CONCURRENT_STREAMS, 1)]).await;
    other.accepts().await;
    let _third = soon(third).await.unwrap().unwrap();

    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    let fourth = connecting(&client, &url);
    let request = raw.next(HEADERS).await.stream;
    raw.headers(request, OK, false).await;
    soon(fourth).await.unwrap().unwrap();
}

/// A DATA frame with a message of one byte, many times.
fn flood(id: u32, count: usize) -> Vec<u8> {
    frame(DATA, 0, id, &[0x82, 1, 7]).repeat(count)
}

/// `h2` would count small frames that nobody takes, and end the connection if there are too many.
#[tokio::test]
async fn what_arrives_for_a_dropped_stream_leaves_its_neighbours_alone() {
    let (listener, url) = listener().await;
    let config = Config::client().keepalive(None).send_timeout(None);
    let client = client().config(config);
    let first = connecting(&client, &url);
    let mut raw = Raw::greet(&listener).await;
    let neighbour = raw.accepts().await;
    let mut first = soon(first).await.unwrap().unwrap();
    let mut dropped = Vec::new();
    for _ in 0..3 {
        let connecting = connecting(&client, &url);
        let id = raw.accepts().await;
        dropped.push((id, soon(connecting).await.unwrap().unwrap()));
    }
    // From here on, the server does not read.
    raw.window(0, 1 << 30).await;
    for (id, connection) in &dropped {
        raw.window(*id, 1 << 30).await;
        fill(connection).await;
    }
    for (id, connection) in dropped {
        connection.abort(CloseCode::GOING_AWAY, "");
        drop(connection);
        // Its whole window.
        raw.send_bytes(&flood(id, (64 << 10) / 3)).await;
    }
    raw.text(neighbour, "ahoy").await;
    assert_eq!(soon(first.recv()).await.unwrap(), Some("ahoy".into()));
}

/// It was on its way when the stream was reset.
#[tokio::test]
async fn what_arrives_for_a_reset_stream_leaves_its_neighbours_alone() {
    let (listener, url) = listener().await;
    let client = client();
    let first = connecting(&client, &url);
    let mut raw = Raw::greet(&listener).await;
    let neighbour = raw.accepts().await;
    let mut first = soon(first).await.unwrap().unwrap();
    for _ in 0..10 {
        let connecting = connecting(&client, &url);
        let id = raw.accepts().await;
        let dropped = soon(connecting).await.unwrap().unwrap();
        dropped.abort(CloseCode::GOING_AWAY, "");
        drop(dropped);
        while raw.next(RST_STREAM).await.stream != id {}
        raw.send_bytes(&flood(id, 4_000)).await;
    }
    raw.text(neighbour, "ahoy").await;
    assert_eq!(soon(first.recv()).await.unwrap(), Some("ahoy".into()));
}
