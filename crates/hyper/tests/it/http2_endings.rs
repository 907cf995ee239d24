//! How the stream of a WebSocket over HTTP/2 ends, and what the connection says about it.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use futures_util::FutureExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::TcpListener;
use towline::{CloseCause, CloseCode, Connection, ErrorKind, Message, Server};
use towline_hyper::{HttpServer, mount};

use crate::raw_http2::{
    CANCEL, DATA, END_STREAM, GOAWAY, HEADERS, PROTOCOL_ERROR, RST_STREAM, RawHttp2,
    extended_connect, frame, reset, status,
};
use crate::support::{Front, page, serve, soon};

pub(crate) async fn opened(server: &mut Server) -> (RawHttp2, Connection) {
    let address = serve(server, Front::HttpServer).await;
    let mut client = RawHttp2::connect(address).await;
    client.send(&extended_connect(1)).await;
    let connection = soon(server.next_request()).await.unwrap().accept().await.unwrap();
    assert_eq!(status(&client.until(HEADERS).await), 200);
    (client, connection)
}

const TEXT: [u8; 8] = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_stream_ends_with_the_error_code() {
    for (code, name) in [
        (CANCEL, "the peer reset the HTTP/2 stream: CANCEL"),
        (PROTOCOL_ERROR, "the peer reset the HTTP/2 stream: PROTOCOL_ERROR"),
        (2, "the peer reset the HTTP/2 stream: INTERNAL_ERROR"),
        (5, "the peer reset the HTTP/2 stream: STREAM_CLOSED"),
        (11, "the peer reset the HTTP/2 stream: ENHANCE_YOUR_CALM"),
        (0, "the HTTP/2 stream was reset, or its connection ended: NO_ERROR"),
    ] {
        let mut server = Server::builder().build();
        let (mut client, mut connection) = opened(&mut server).await;
        client.send(&frame(DATA, 0, 1, &TEXT)).await;
        assert_eq!(soon(connection.recv()).await.unwrap(), Some(Message::text("hi")));
        client.send(&reset(1, code)).await;
        let error = soon(connection.recv()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionLost);
        assert_eq!(error.to_string(), format!("the transport failed: connection reset: {name}"));
        let cause = CloseCause::TransportFailed(io::ErrorKind::ConnectionReset);
        assert_eq!(error.closed().unwrap().cause(), cause);
        assert_eq!(error.close_code(), Some(CloseCode::ABNORMAL));
        assert_eq!(h2_reason(&error), Some(h2::Reason::from(code)));
        // Its neighbour on the connection is served.
        client.send(&extended_connect(3)).await;
        let mut other = soon(server.next_request()).await.unwrap().accept().await.unwrap();
        client.send(&frame(DATA, 0, 3, &TEXT)).await;
        assert_eq!(soon(other.recv()).await.unwrap(), Some(Message::text("hi")));
    }
}

/// The error code that a program finds by `source`.
fn h2_reason(error: &towline::Error) -> Option<h2::Reason> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref::<h2::Error>() {
            return found.reason();
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        source = inner.map_or_else(|| error.source(), |inner| Some(inner as _));
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_seen_while_the_peer_takes_nothing() {
    let mut server = Server::builder().build();
    let (mut client, connection) = opened(&mut server).await;
    let (sender, mut receiver) = connection.split();
    // More than the client's window, so that writing waits.
    let sending = tokio::spawn(async move { while sender.send(vec![7; 60_000]).await.is_ok() {} });
    let mut got = 0;
    while got < 65_535 {
        got += client.until(DATA).await.payload.len();
    }
    client.send(&reset(1, CANCEL)).await;
    let error = soon(receiver.recv()).await.unwrap_err();
    assert!(error.to_string().ends_with("HTTP/2 stream: CANCEL"), "{error}");
    soon(sending).await.unwrap();
}

/// It writes and never reads; the window has room, or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_only_writes_is_told_the_error_code_of_a_reset() {
    for (code, name) in [
        (CANCEL, "the peer reset the HTTP/2 stream: CANCEL"),
        (5, "the peer reset the HTTP/2 stream: STREAM_CLOSED"),
        (11, "the peer reset the HTTP/2 stream: ENHANCE_YOUR_CALM"),
    ] {
        for is_full in [false, true] {
            let mut server = Server::builder().build();
            let (mut client, connection) = opened(&mut server).await;
            let (sender, receiver) = connection.split();
            if is_full {
                sender.send(vec![7; 70_000]).await.unwrap();
                let mut got = 0;
                while got < 65_535 {
                    got += client.until(DATA).await.payload.len();
                }
            }
            client.send(&reset(1, code)).await;
            let sending = async {
                loop {
                    match sender.send("anyone?").await {
                        Ok(()) => tokio::time::sleep(Duration::from_millis(1)).await,
                        Err(error) => break error,
                    }
                }
            };
            let error = soon(sending).await;
            assert_eq!(error.kind(), ErrorKind::Closed);
            assert!(error.to_string().ends_with(name), "{error}, is full: {is_full}");
            assert_eq!(h2_reason(&error), Some(h2::Reason::from(code)));
            let error = io::Error::from(error);
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            drop(receiver);
        }
    }
}

#[tokio::test]
async fn an_end_is_seen_while_the_peer_takes_nothing() {
    let mut server = Server::builder().build();
    let (mut client, connection) = opened(&mut server).await;
    let (sender, mut receiver) = connection.split();
    let sending = tokio::spawn(async move { while sender.send(vec![7; 60_000]).await.is_ok() {} });
    let mut got = 0;
    while got < 65_535 {
        got += client.until(DATA).await.payload.len();
    }
    client.send(&frame(DATA, END_STREAM, 1, &TEXT)).await;
    assert_eq!(soon(receiver.recv()).await.unwrap(), Some(Message::text("hi")));
    let error = soon(receiver.recv()).await.unwrap_err();
    assert_eq!(error.closed().unwrap().cause(), CloseCause::TransportEnded);
    soon(sending).await.unwrap();
}

/// As over TCP. The timekeeper reads ahead while the program is busy, and so finds the end.
#[tokio::test]
async fn a_busy_program_can_reply_to_a_peer_that_has_ended_its_stream() {
    let mut server = Server::builder().build();
    let (mut client, mut connection) = opened(&mut server).await;
    client.send(&frame(DATA, END_STREAM, 1, &TEXT)).await;
    client.sync().await;
    tokio::time::pause();
    for _ in 0..15 {
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    tokio::time::resume();
    connection.send("ahoy").await.unwrap();
    assert_eq!(client.until(DATA).await.payload, b"\x81\x04ahoy");
    assert_eq!(soon(connection.recv()).await.unwrap(), Some(Message::text("hi")));
}

/// hyper resets a stream with NO_ERROR only, and ends it before.
#[tokio::test]
async fn an_aborted_websocket_ends_and_resets_its_stream() {
    let mut server = Server::builder().build();
    let (mut client, connection) = opened(&mut server).await;
    connection.abort(CloseCode::POLICY, "spam");
    drop(connection);
    while client.until(DATA).await.flags & END_STREAM == 0 {}
    let reset = client.until(RST_STREAM).await;
    assert_eq!((reset.stream, reset.error_code()), (1, 0));
}

#[tokio::test]
async fn the_end_of_a_peers_stream_is_the_end_of_its_transport() {
    let mut server = Server::builder().build();
    let (mut client, mut connection) = opened(&mut server).await;
    client.send(&frame(DATA, END_STREAM, 1, &TEXT)).await;
    assert_eq!(soon(connection.recv()).await.unwrap(), Some(Message::text("hi")));
    let error = soon(connection.recv()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost);
    assert_eq!(error.closed().unwrap().cause(), CloseCause::TransportEnded);
    // The stream ends at this side, too, and without a reset.
    loop {
        let frame = client.next().await.unwrap();
        assert_ne!(frame.kind, RST_STREAM);
        if frame.kind == DATA && frame.flags & END_STREAM != 0 {
            break;
        }
    }
}

/// RFC 8441, section 5: "orderly TCP-level closures are represented as END_STREAM flags".
#[tokio::test]
async fn a_close_frame_with_the_end_of_the_stream_is_answered() {
    let mut server = Server::builder().build();
    let (mut client, mut connection) = opened(&mut server).await;
    let close = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8];
    client.send(&frame(DATA, END_STREAM, 1, &close)).await;
    assert_eq!(soon(connection.recv()).await.unwrap(), None);
    assert!(connection.closed().unwrap().is_clean());
    assert_eq!(client.until(DATA).await.payload, [0x88, 2, 0x03, 0xE8]);
    while client.until(DATA).await.flags & END_STREAM == 0 {}
}

#[tokio::test]
async fn an_error_of_the_whole_connection_names_its_cause() {
    let mut server = Server::builder().build();
    let (mut client, mut connection) = opened(&mut server).await;
    // DATA on stream 0.
    client.send(&frame(DATA, 0, 0, b"ship ahoy")).await;
    assert_eq!(client.until(GOAWAY).await.error_code(), PROTOCOL_ERROR);
    let error = soon(connection.recv()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost);
    let cause = "connection aborted: this end ended the HTTP/2 connection: PROTOCOL_ERROR";
    assert!(error.to_string().ends_with(cause), "{error}");
    assert_eq!(h2_reason(&error), Some(h2::Reason::PROTOCOL_ERROR));
}

#[tokio::test]
async fn the_end_of_the_socket_ends_its_websockets() {
    let mut server = Server::builder().build();
    let (client, mut connection) = opened(&mut server).await;
    drop(client);
    let error = soon(connection.recv()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost);
    assert!(error.to_string().ends_with("stream closed because of a broken pipe"), "{error}");
}

/// A client's GOAWAY says that it opens no more streams (RFC 9113, section 6.8).
#[tokio::test]
async fn a_clients_goaway_leaves_open_websockets_alone() {
    let mut server = Server::builder().build();
    let (mut client, mut connection) = opened(&mut server).await;
    client.send(&frame(GOAWAY, 0, 0, &[0; 8])).await;
    client.send(&frame(DATA, 0, 1, &TEXT)).await;
    assert_eq!(soon(connection.recv()).await.unwrap(), Some(Message::text("hi")));
    connection.send("ahoy").await.unwrap();
    assert_eq!(client.until(DATA).await.payload, b"\x81\x04ahoy");
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_disconnected() {
    let mut server = Server::builder().build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let http = HttpServer::new(mount(server.handle(), service_fn(page::<Incoming>)))
        .header_timeout(Duration::from_millis(50));
    http.listen(listener);
    let mut client = RawHttp2::connect(address).await;
    client.send(&extended_connect(1)).await;
    let mut connection = soon(server.next_request()).await.unwrap().accept().await.unwrap();
    let error = soon(connection.recv()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost);
    assert!(error.to_string().ends_with("its connection ended: NO_ERROR"), "{error}");
}

/// Each future is polled once and dropped, while a message arrives byte by byte.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn futures_that_are_dropped_lose_nothing() {
    let mut server = Server::builder().build();
    let (mut client, mut connection) = opened(&mut server).await;
    let sending = tokio::spawn(async move {
        for round in 0..50 {
            for byte in [0x82, 0x81, 0, 0, 0, 0, round] {
                client.send(&frame(DATA, 0, 1, &[byte])).await;
                tokio::task::yield_now().await;
            }
        }
        client.send(&reset(1, CANCEL)).await;
        client
    });
    let mut received = Vec::new();
    let error = soon(async {
        loop {
            match connection.recv().now_or_never() {
                Some(Ok(message)) => received.push(message.unwrap()),
                Some(Err(error)) => break error,
                None => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    assert!(error.to_string().ends_with("stream: CANCEL"), "{error}");
    let expected: Vec<_> = (0..50).map(|round| Message::binary(vec![round])).collect();
    assert_eq!(received, expected);
    drop(soon(sending).await.unwrap());
}
