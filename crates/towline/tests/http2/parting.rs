//! Streams that their programs have dropped, to a server that takes nothing.

use std::time::Duration;

use towline::{CloseCode, Config};

use crate::raw::{ENABLE_CONNECT_PROTOCOL, HEADERS, MAX_CONCURRENT_STREAMS, OK, Raw};
use crate::support::{client, connecting, listener, soon};

/// The streams that the server allows.
const STREAMS: [(u16, u32); 2] = [(ENABLE_CONNECT_PROTOCOL, 1), (MAX_CONCURRENT_STREAMS, 2)];

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
    let bytes = vec![7; 64 << 10];
    let is_full = Duration::from_millis(500);
    while tokio::time::timeout(is_full, first.send(bytes.clone())).await.is_ok() {}
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
