//! Requests, and the responses that are none of what was asked for.

use http::StatusCode;
use towline::{CloseCode, ErrorKind, HttpVersion};

use crate::raw::{DATA, END_STREAM, GOAWAY, NOT_FOUND, OK, RST_STREAM, Raw, block};
use crate::support::{client, connecting, listener, soon, texts};

/// RST_STREAM's CANCEL.
const CANCEL: [u8; 4] = [0, 0, 0, 8];

#[tokio::test]
async fn a_response_of_200_opens_the_websocket() {
    let (listener, url) = listener().await;
    let connecting = connecting(&client().protocols(["chat.v1"]), &url);
    let mut raw = Raw::greet(&listener).await;
    let id = raw.request().await;
    let block = [OK, &block(&[("sec-websocket-protocol", "chat.v1")])].concat();
    raw.headers(id, &block, false).await;
    let mut connection = soon(connecting).await.unwrap().unwrap();
    assert_eq!(connection.protocol(), Some("chat.v1"));
    assert_eq!(connection.http_version(), Some(http::Version::HTTP_2));
    assert_eq!(connection.response().unwrap().status(), StatusCode::OK);
    assert_eq!(connection.url().unwrap().to_string(), url);
    assert!(connection.peer_addr().is_some() && connection.tcp_stream().is_none());
    raw.text(id, "ahoy").await;
    assert_eq!(soon(connection.recv()).await.unwrap(), Some("ahoy".into()));
    connection.send("aye").await.unwrap();
    let data = raw.next(DATA).await;
    assert_eq!((data.stream, data.payload.len()), (id, 2 + 4 + 3));
    // The close is over when the peer has answered it. END_STREAM follows.
    let closing = tokio::spawn(async move { connection.close(CloseCode::NORMAL, "").await });
    assert_eq!(raw.next(DATA).await.payload[0], 0x88);
    raw.send(DATA, END_STREAM, id, &[0x88, 2, 3, 0xe8]).await;
    assert!(soon(closing).await.unwrap().unwrap().is_clean());
    assert_eq!(raw.next(DATA).await.flags, END_STREAM);
    assert_eq!(raw.next(GOAWAY).await.payload[4..8], [0; 4]);
    raw.ends().await;
}

#[tokio::test]
async fn a_protocol_that_is_not_named_is_none() {
    let (listener, url) = listener().await;
    let connecting = connecting(&client().protocols(["chat.v1"]), &url);
    let mut raw = Raw::greet(&listener).await;
    raw.accepts().await;
    assert_eq!(soon(connecting).await.unwrap().unwrap().protocol(), None);
}

#[tokio::test]
async fn what_was_not_offered_is_refused() {
    for (name, value) in
        [("sec-websocket-protocol", "chat.v2"), ("sec-websocket-extensions", "permessage-deflate")]
    {
        let (listener, url) = listener().await;
        let connecting = connecting(&client().protocols(["chat.v1"]), &url);
        let mut raw = Raw::greet(&listener).await;
        let id = raw.request().await;
        raw.headers(id, &[OK, &block(&[(name, value)])].concat(), false).await;
        let error = soon(connecting).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Handshake, "{error}");
        assert!(error.to_string().contains(value), "{error}");
        assert_eq!(error.response().unwrap().status(), 200);
        let reset = raw.next(RST_STREAM).await;
        assert_eq!((reset.stream, &reset.payload[..]), (id, &CANCEL[..]));
    }
}

#[tokio::test]
async fn a_refusal_has_the_start_of_its_body() {
    let (listener, url) = listener().await;
    let client = client();
    let refused = connecting(&client, &url);
    let mut raw = Raw::greet(&listener).await;
    let id = raw.request().await;
    raw.headers(id, NOT_FOUND, false).await;
    raw.send(DATA, END_STREAM, id, b"no such room").await;
    let error = soon(refused).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HttpResponse, "{error}");
    let response = error.response().unwrap();
    assert_eq!(
        (response.status(), &response.body()[..]),
        (StatusCode::NOT_FOUND, &b"no such room"[..])
    );

    // A body without end is cut off, and its stream is reset.
    let refused = connecting(&client, &url);
    let mut raw = Raw::greet(&listener).await;
    let id = raw.request().await;
    raw.headers(id, NOT_FOUND, false).await;
    for _ in 0..3 {
        raw.send(DATA, 0, id, &[b'x'; 16 << 10]).await;
    }
    let error = soon(refused).await.unwrap().unwrap_err();
    assert_eq!(error.response().unwrap().body().len(), 4 << 10);
    assert_eq!(raw.next(RST_STREAM).await.payload, CANCEL);
}

#[tokio::test]
async fn a_reset_in_place_of_a_response_is_named() {
    let (listener, url) = listener().await;
    let connecting = connecting(&client(), &url);
    let mut raw = Raw::greet(&listener).await;
    let id = raw.request().await;
    raw.reset(id, 2).await;
    let error = soon(connecting).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Handshake, "{error}");
    assert!(error.to_string().contains("INTERNAL_ERROR"), "{error}");
    let source = std::error::Error::source(&error).unwrap();
    let source = source.downcast_ref::<h2::Error>().unwrap();
    assert_eq!(source.reason(), Some(h2::Reason::INTERNAL_ERROR));
}

#[tokio::test]
async fn goaway_in_place_of_a_response_is_named_and_not_tried_again() {
    let (listener, url) = listener().await;
    let connecting = connecting(&client(), &url);
    let mut raw = Raw::greet(&listener).await;
    let id = raw.request().await;
    // It has processed the request, so only the program can know whether to make it again.
    raw.goaway(id, 11, "too_many_dogs").await;
    drop(raw);
    let error = soon(connecting).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Handshake, "{error}");
    for part in ["ENHANCE_YOUR_CALM", "too_many_dogs"] {
        assert!(error.to_string().contains(part), "{}", texts(&error));
    }
}

#[tokio::test]
async fn a_request_that_was_not_processed_is_made_again_elsewhere() {
    for is_refused in [true, false] {
        let (listener, url) = listener().await;
        let client = client();
        let first = connecting(&client, &url);
        let mut raw = Raw::greet(&listener).await;
        let id = raw.accepts().await;
        let mut first = soon(first).await.unwrap().unwrap();
        let second = connecting(&client, &url);
        let refused = raw.request().await;
        match is_refused {
            true => raw.reset(refused, 7).await,
            false => raw.goaway(id, 0, "").await,
        }
        let mut other = Raw::greet(&listener).await;
        other.accepts().await;
        soon(second).await.unwrap().unwrap();
        raw.text(id, "ahoy").await;
        assert_eq!(soon(first.recv()).await.unwrap(), Some("ahoy".into()));
    }
}

#[tokio::test]
async fn a_server_that_refuses_every_stream_is_not_asked_forever() {
    let (listener, url) = listener().await;
    let connecting = connecting(&client(), &url);
    let mut raw = Raw::greet(&listener).await;
    let id = raw.request().await;
    raw.reset(id, 7).await;
    let error = soon(connecting).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("REFUSED_STREAM"), "{error}");
}

#[tokio::test]
async fn a_head_over_the_limits_is_refused() {
    let (listener, url) = listener().await;
    let limits = towline::HeadLimits::default().max_headers(3).max_head_size(2000);
    let client = client().head_limits(limits);
    let long = "x".repeat(100);
    for (count, part) in [(4, "more than 3"), (30, "2000 bytes (head_limits)")] {
        let connecting = connecting(&client, &url);
        let mut raw = Raw::greet(&listener).await;
        let id = raw.request().await;
        let headers = (0..count).map(|number| block(&[(&format!("x-{number}"), &long)]));
        let block = [OK.to_vec(), headers.collect::<Vec<_>>().concat()].concat();
        raw.headers(id, &block, false).await;
        let error = soon(connecting).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Handshake, "{error}");
        assert!(error.to_string().contains(part), "{}", texts(&error));
    }
}

#[tokio::test]
async fn interim_responses_are_skipped() {
    let (listener, url) = listener().await;
    let connecting = connecting(&client(), &url);
    let mut raw = Raw::greet(&listener).await;
    let id = raw.request().await;
    for _ in 0..3 {
        raw.headers(id, &block(&[(":status", "103")]), false).await;
    }
    raw.headers(id, OK, false).await;
    soon(connecting).await.unwrap().unwrap();
}

#[tokio::test]
async fn http_1_is_the_default_and_what_auto_means_without_tls() {
    for version in [HttpVersion::Http1, HttpVersion::Auto] {
        let mut server =
            towline::Server::builder().auto_accept(true).bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/", server.local_addr().unwrap());
        let connecting = connecting(&client().http_version(version), &url);
        let _accepted = soon(server.next_connection()).await.unwrap();
        let connection = soon(connecting).await.unwrap().unwrap();
        assert_eq!(connection.http_version(), Some(http::Version::HTTP_11));
    }
}
