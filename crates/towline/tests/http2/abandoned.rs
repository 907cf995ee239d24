//! Connects that are given up, and servers that say nothing.

use std::time::Duration;

use towline::ErrorKind;

use crate::raw::{RST_STREAM, Raw};
use crate::server::Hub;
use crate::support::{client, connecting, echoes, listener, soon};

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_connect_that_is_dropped_resets_its_stream_and_gives_its_place_back() {
    let (listener, url) = listener().await;
    let client = client();
    let first = connecting(&client, &url);
    let mut raw = Raw::greet(&listener).await;
    let id = raw.accepts().await;
    let mut first = soon(first).await.unwrap().unwrap();
    let second = connecting(&client, &url);
    let dropped = raw.request().await;
    second.abort();
    let reset = raw.next(RST_STREAM).await;
    assert_eq!((reset.stream, &reset.payload[..]), (dropped, &[0, 0, 0, 8][..]));
    // The others live on, and a third one uses the same connection.
    let third = connecting(&client, &url);
    raw.accepts().await;
    soon(third).await.unwrap().unwrap();
    raw.text(id, "ahoy").await;
    assert_eq!(soon(first.recv()).await.unwrap(), Some("ahoy".into()));
}

#[tokio::test]
async fn a_connect_that_is_dropped_in_any_phase_leaves_no_connection() {
    for phase in 0..3 {
        let (listener, url) = listener().await;
        let connecting = connecting(&client(), &url);
        let mut raw = match phase {
            0 => Raw::accept(&listener).await,
            _ => Raw::greet(&listener).await,
        };
        if phase == 2 {
            raw.request().await;
        }
        connecting.abort();
        raw.ends().await;
    }
}

#[tokio::test]
async fn whoever_waits_for_a_connection_makes_its_own_when_the_maker_is_gone() {
    let (listener, url) = listener().await;
    let client = client();
    let maker = connecting(&client, &url);
    let _silent = Raw::accept(&listener).await;
    let second = connecting(&client, &url);
    maker.abort();
    let mut raw = Raw::greet(&listener).await;
    raw.accepts().await;
    soon(second).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_sends_no_settings_is_given_up() {
    let (listener, url) = listener().await;
    let connecting = connecting(&client().connect_timeout(SHORT), &url);
    let mut raw = Raw::accept(&listener).await;
    let error = soon(connecting).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HandshakeTimeout, "{error}");
    assert!(error.to_string().contains("HTTP/2 settings"), "{error}");
    raw.ends().await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let (listener, url) = listener().await;
    let connecting = connecting(&client().connect_timeout(SHORT), &url);
    let mut raw = Raw::greet(&listener).await;
    let error = soon(connecting).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HandshakeTimeout, "{error}");
    assert!(error.to_string().contains("server's answer"), "{error}");
    raw.next(RST_STREAM).await;
    raw.ends().await;
}

/// The task of the connection, its makers and its users are on different threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connects_that_are_aborted_on_other_threads_leave_the_rest_alone() {
    let hub = Hub::new(1000).await;
    let client = client();
    let mut kept = soon(client.connect(&hub.url)).await.unwrap();
    for round in 0..20 {
        let connecting: Vec<_> = (0..20).map(|_| tokio::spawn(client.connect(&hub.url))).collect();
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        for (number, connecting) in connecting.into_iter().enumerate() {
            match number % 2 {
                0 => connecting.abort(),
                _ => echoes(&mut soon(connecting).await.unwrap().unwrap(), "ahoy").await,
            }
        }
    }
    echoes(&mut kept, "still here").await;
    assert_eq!(hub.connections(), (1, 1));
    drop(kept);
    soon(hub.is_empty()).await;
}

#[tokio::test]
async fn connects_that_are_dropped_at_random_leave_the_rest_alone() {
    let hub = Hub::new(1000).await;
    let client = client();
    let mut kept = soon(client.connect(&hub.url)).await.unwrap();
    for round in 0..300 {
        let mut connect = Box::pin(client.connect(&hub.url));
        // Polled so many times, and dropped.
        for _ in 0..round % 5 {
            let polled =
                std::future::poll_fn(|cx| std::task::Poll::Ready(connect.as_mut().poll(cx)));
            if polled.await.is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    echoes(&mut kept, "still here").await;
    assert_eq!(hub.connections(), (1, 1));
    drop(kept);
    soon(hub.is_empty()).await;
}
