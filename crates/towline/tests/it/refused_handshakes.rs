//! A handshake that is refused: the answer's body, wherever it ends, is there at once.

use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, duplex};
use tokio::time::{Instant, sleep};
use towline::{Client, Error, ErrorKind};

use crate::http::head;

/// What becomes of this answer, in two pieces, on a stream that stays open; and how long it takes
/// from the last piece on.
async fn refused(answer: &[u8], split: usize) -> (Error, Duration) {
    let (near, mut far) = duplex(64 << 10);
    let connecting = tokio::spawn(async move {
        let error = Client::new().connect_over(near, "ws://h/").await.unwrap_err();
        (error, Instant::now())
    });
    head(&mut far).await;
    let (first, second) = answer.split_at(split);
    far.write_all(first).await.unwrap();
    // Time passes once the client has read that and waits.
    sleep(Duration::from_millis(1)).await;
    let said = Instant::now();
    // The client need not wait for all of it.
    let _ = far.write_all(second).await;
    let (error, at) = connecting.await.unwrap();
    (error, at.saturating_duration_since(said))
}

#[tokio::test(start_paused = true)]
async fn an_answer_whose_end_can_be_known_ends_at_once_in_every_split() {
    for (answer, body) in [
        ("403 Forbidden\r\nContent-Length: 4\r\n\r\nahoy", "ahoy"),
        ("403 Forbidden\r\nContent-Length: 0\r\n\r\n", ""),
        ("403 Forbidden\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nahoy", "ahoy"),
        (
            "403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nah\r\n2;x=y\r\noy\r\n0\r\n\r\n",
            "ahoy",
        ),
        (
            "502 Bad Gateway\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nahoy\r\n0\r\nX-Sum: 1\r\n\r\n",
            "ahoy",
        ),
        (
            "403 Forbidden\r\nTransfer-Encoding: chunked\r\nContent-Length: 99\r\n\r\n4\r\nahoy\r\n0\r\n\r\n",
            "ahoy",
        ),
        ("204 No Content\r\n\r\n", ""),
        ("204 No Content\r\nContent-Length: 9\r\n\r\n", ""),
        ("304 Not Modified\r\nContent-Length: 99\r\n\r\n", ""),
        ("403 Forbidden\r\nConnection: keep-alive\r\n\r\n", ""),
    ] {
        for before in
            ["", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"]
        {
            let answer = format!("{before}HTTP/1.1 {answer}");
            for split in 0..=answer.len() {
                let (error, took) = refused(answer.as_bytes(), split).await;
                assert_eq!(error.kind(), ErrorKind::HttpResponse, "{error}");
                assert_eq!(error.response().unwrap().body(), body, "{answer:?} at {split}");
                assert_eq!(took, Duration::ZERO, "{answer:?} at {split}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_an_end_is_waited_for_shortly() {
    for framing in [
        "",
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: four\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
    ] {
        let answer = format!("HTTP/1.1 403 Forbidden\r\n{framing}\r\nahoy");
        for split in 0..=answer.len() {
            let (error, took) = refused(answer.as_bytes(), split).await;
            assert_eq!(error.response().unwrap().body(), "ahoy", "{answer:?} at {split}");
            assert!(took < Duration::from_millis(200), "{answer:?} at {split}: {took:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_is_kept_to_4_kib_however_it_comes() {
    let page = "x".repeat(5_000);
    let chunked = format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{page}", 9_000);
    for rest in [chunked, format!("\r\n{page}"), format!("Content-Length: 9000\r\n\r\n{page}")] {
        let answer = format!("HTTP/1.1 403 Forbidden\r\n{rest}");
        let (error, took) = refused(answer.as_bytes(), 99).await;
        assert_eq!(error.response().unwrap().body(), &page[..4096]);
        assert_eq!(took, Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_ends_after_a_second() {
    for rest in ["\r\n", "Transfer-Encoding: chunked\r\n\r\nfff\r\n"] {
        let (near, mut far) = duplex(64 << 10);
        let connecting =
            tokio::spawn(async move { Client::new().connect_over(near, "ws://h/").await });
        head(&mut far).await;
        let answer = format!("HTTP/1.1 403 Forbidden\r\n{rest}");
        far.write_all(answer.as_bytes()).await.unwrap();
        let began = Instant::now();
        while far.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(connecting.await.unwrap().unwrap_err().kind(), ErrorKind::HttpResponse);
        assert!(began.elapsed() < Duration::from_millis(1_200), "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn interim_answers_are_skipped_up_to_eight() {
    for (count, expected) in [(8, ErrorKind::HttpResponse), (9, ErrorKind::Handshake)] {
        let hints = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(count);
        let answer = format!("{hints}HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        let (error, took) = refused(answer.as_bytes(), 0).await;
        assert_eq!((error.kind(), took), (expected, Duration::ZERO), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_speaks_another_protocol_is_quoted_behind_the_host() {
    for banner in ["SSH-2.0-OpenSSH_9.6", "220 mail.example ESMTP", "ICY 200 OK", "RTSP/1.0 200 OK"]
    {
        let (error, _) = refused(format!("{banner}\r\n").as_bytes(), 0).await;
        assert_eq!(error.kind(), ErrorKind::NotHttp);
        let expected = format!("h: the peer does not speak HTTP: it began with \"{banner}\"");
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reason_is_told_to_its_end() {
    let reason = "the origin \"https://a-page-of-somebody-else.example\" is not allowed to connect \
                  to \"chat.example.com:8443\"";
    let answer = format!(
        "HTTP/1.1 403 Forbidden\r\nX-WebSocket-Reject-Reason: {reason}\r\nContent-Length: 0\r\n\r\n"
    );
    let (error, _) = refused(answer.as_bytes(), 0).await;
    assert!(error.to_string().contains("chat.example.com:8443"), "{error}");
    let answer = answer.replace(reason, &"x".repeat(9_000));
    let (error, _) = refused(answer.as_bytes(), 0).await;
    assert!(error.to_string().len() < 400, "{error}");
}
