//! Peers that send faster than they may: slowed down, or closed.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream as _;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;
use towline::{
    Client, CloseCause, CloseCode, Config, Connection, ErrorKind, Event, Keepalive, LimitExceeded,
    Rate, Server, ServerBuilder, WhenTooFast,
};

const SECOND: Duration = Duration::from_secs(1);

/// A server's connection with these options, and its client.
async fn pair(builder: ServerBuilder) -> (Connection, Connection) {
    let mut server = builder.build();
    let (near, far) = tokio::io::duplex(64 << 10);
    server.serve(near, None);
    let connecting = tokio::spawn(Client::new().connect_over(far, "ws://h/"));
    let connection = server.next_request().await.unwrap().accept().await.unwrap();
    (connection, connecting.await.unwrap().unwrap())
}

/// When each of these messages was received, in tenths of a second.
async fn times(
    messages: usize,
    mut receive: impl AsyncFnMut(&mut Connection) -> Option<String>,
) -> Vec<u128> {
    let builder = Server::builder().max_message_rate(Rate::per_second(10).burst(5));
    let (mut connection, client) = pair(builder).await;
    for number in 0..messages {
        client.send(number.to_string()).await.unwrap();
    }
    client.flushed().await;
    let start = Instant::now();
    let mut times = Vec::new();
    for number in 0..messages {
        assert_eq!(receive(&mut connection).await, Some(number.to_string()));
        times.push(start.elapsed().as_millis() / 100);
    }
    times
}

#[tokio::test(start_paused = true)]
async fn messages_beyond_the_rate_wait_in_order_however_they_are_received() {
    let expected: Vec<u128> = (0..25).map(|number: u128| number.saturating_sub(4)).collect();
    let by_recv = times(25, async |connection| {
        Some(connection.recv().await.unwrap()?.as_text().unwrap().to_string())
    });
    assert_eq!(by_recv.await, expected);
    let by_event = times(25, async |connection| match connection.next_event().await.unwrap()? {
        Event::Message(message) => Some(message.as_text().unwrap().to_string()),
        other => panic!("{other:?}"),
    });
    assert_eq!(by_event.await, expected);
    let by_stream = times(25, async |connection| {
        let message = poll_fn(|cx| Pin::new(&mut *connection).poll_next(cx)).await?;
        Some(message.unwrap().as_text().unwrap().to_string())
    });
    assert_eq!(by_stream.await, expected);
    let by_reader = times(25, async |connection| {
        let mut text = String::new();
        connection.recv_reader().await.unwrap()?.read_to_string(&mut text).await.unwrap();
        Some(text)
    });
    let by_reader = by_reader.await;
    assert!(by_reader.iter().zip(&expected).all(|(is, least)| is >= least), "{by_reader:?}");
    assert!(by_reader[24] <= 21, "{by_reader:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_loses_nothing_and_gains_nothing() {
    let dropping = times(25, async |connection| {
        loop {
            let some_time = Duration::from_millis(7);
            if let Ok(received) = tokio::time::timeout(some_time, connection.recv()).await {
                return Some(received.unwrap()?.as_text().unwrap().to_string());
            }
        }
    });
    let dropping = dropping.await;
    for (number, time) in dropping.iter().enumerate() {
        let least = number.saturating_sub(4) as u128;
        assert!((least..=least + 1).contains(time), "{dropping:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn lent_messages_wait_too() {
    let builder = Server::builder().max_message_rate(Rate::per_second(10).burst(5));
    let (connection, client) = pair(builder).await;
    for _ in 0..25 {
        client.send("ahoy").await.unwrap();
    }
    client.flushed().await;
    let start = Instant::now();
    let (_sender, mut receiver) = connection.split();
    for _ in 0..25 {
        assert_eq!(receiver.recv_ref().await.unwrap().unwrap().len(), 4);
    }
    assert_eq!(start.elapsed().as_millis() / 100, 20);
}

#[tokio::test(start_paused = true)]
async fn bytes_beyond_the_rate_hold_the_peer_up() {
    let rate = Rate::per_second(100_000).burst(200_000);
    let (mut connection, client) = pair(Server::builder().max_byte_rate(rate)).await;
    let sending = tokio::spawn(async move {
        for _ in 0..100 {
            client.send(vec![7; 10_000]).await.unwrap();
        }
        client.flushed().await;
        (Instant::now(), client)
    });
    let start = Instant::now();
    let mut received = 0;
    while received < 100 {
        assert_eq!(connection.recv().await.unwrap().unwrap().len(), 10_000);
        received += 1;
        // One read may be beyond the burst.
        let most = 200_000 + (64 << 10) + start.elapsed().as_millis() * 100 + 10_000;
        assert!(received * 10_000 <= most, "{received} after {:?}", start.elapsed());
    }
    let took = start.elapsed();
    assert!(took >= 7 * SECOND && took <= 9 * SECOND, "{took:?}");
    let (sent, _client) = sending.await.unwrap();
    assert!(sent - start >= 5 * SECOND, "the peer did not wait");
}

#[tokio::test(start_paused = true)]
async fn a_peer_is_closed_with_1008_if_the_operator_wants_that() {
    for (builder, limit, says) in [
        (
            Server::builder().max_message_rate(Rate::per_second(10)),
            LimitExceeded::MessageRate { limit: 10, per: SECOND },
            "more than 10 messages a second (max_message_rate)",
        ),
        (
            Server::builder().max_byte_rate(Rate::per_second(1000)),
            LimitExceeded::ByteRate { limit: 1000, per: SECOND },
            "more than 1000 bytes a second (max_byte_rate)",
        ),
        (
            Server::builder().max_message_rate(Rate::per_minute(2)),
            LimitExceeded::MessageRate { limit: 2, per: 60 * SECOND },
            "more than 2 messages a minute (max_message_rate)",
        ),
        (
            Server::builder().max_byte_rate(Rate::per_minute(1000)),
            LimitExceeded::ByteRate { limit: 1000, per: 60 * SECOND },
            "more than 1000 bytes a minute (max_byte_rate)",
        ),
    ] {
        let (mut connection, mut client) = pair(builder.when_too_fast(WhenTooFast::Close)).await;
        let sending = async {
            for _ in 0..11 {
                client.send(vec![7; 300]).await.unwrap();
            }
            client.recv().await.unwrap_err()
        };
        let receiving = async {
            let mut received = 0;
            loop {
                match connection.recv().await {
                    Ok(message) => received += usize::from(message.is_some()),
                    Err(error) => break (received, error),
                }
            }
        };
        let (at_client, (received, error)) = tokio::join!(sending, receiving);
        assert!(received <= 10, "{received} messages");
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(at_client.close_code(), Some(CloseCode::POLICY));
        assert!(at_client.to_string().contains(says), "{at_client}");
        let closed = connection.wait_closed().await;
        assert_eq!(closed.cause(), CloseCause::LimitExceeded(limit));
    }
}

/// Dropping a reader early must not be a way around the rate.
#[tokio::test(start_paused = true)]
async fn a_message_that_is_skipped_counts() {
    let message = || vec![7; 100_000];
    for forgets in [false, true] {
        let (mut connection, client) =
            pair(Server::builder().max_message_rate(Rate::per_second(10).burst(5))).await;
        let sending = tokio::spawn(async move {
            for _ in 0..25 {
                client.send(message()).await.unwrap();
            }
            client.flushed().await;
            client
        });
        let start = Instant::now();
        for _ in 0..25 {
            let reader = connection.recv_reader().await.unwrap().unwrap();
            if forgets {
                std::mem::forget(reader);
            }
        }
        let took = start.elapsed();
        assert!(took >= 18 * SECOND / 10 && took <= 3 * SECOND, "{took:?}");
        drop((connection, sending));
    }
    let builder = Server::builder().max_message_rate(Rate::per_second(10));
    let (mut connection, mut client) = pair(builder.when_too_fast(WhenTooFast::Close)).await;
    let sending = tokio::spawn(async move {
        for _ in 0..25 {
            let _ = client.send(message()).await;
        }
        while let Ok(Some(_)) = client.recv().await {}
    });
    let mut begun = 0;
    let error = loop {
        match connection.recv_reader().await {
            Ok(reader) => begun += usize::from(reader.is_some()),
            Err(error) => break error,
        }
    };
    assert_eq!(begun, 11);
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.to_string().contains("max_message_rate"), "{error}");
    let closed = connection.wait_closed().await;
    let limit = LimitExceeded::MessageRate { limit: 10, per: SECOND };
    assert_eq!(closed.cause(), CloseCause::LimitExceeded(limit));
    sending.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_within_the_rate_is_never_closed() {
    let rate = Rate::per_second(10).burst(3);
    let builder = Server::builder().max_message_rate(rate).when_too_fast(WhenTooFast::Close);
    let (mut connection, client) = pair(builder).await;
    for _ in 0..200 {
        for _ in 0..3 {
            client.send("ahoy").await.unwrap();
            assert!(connection.recv().await.unwrap().is_some());
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_held_up_is_alive_and_its_pings_are_answered() {
    let keepalive = Keepalive::every(SECOND).grace(SECOND);
    let builder = Server::builder()
        .config(Config::server().keepalive(keepalive))
        .max_message_rate(Rate::per_minute(1));
    let (mut connection, mut client) = pair(builder).await;
    client.send("first").await.unwrap();
    client.send("second").await.unwrap();
    client.flushed().await;
    let receiving = tokio::spawn(async move {
        assert!(connection.recv().await.unwrap().is_some());
        assert!(connection.recv().await.unwrap().is_some());
        connection.recv().await
    });
    tokio::time::sleep(2 * SECOND).await;
    let sender = client.sender();
    let answering = tokio::spawn(async move { while client.recv().await.is_ok() {} });
    let took = sender.round_trip().await.unwrap();
    assert!(took <= 65 * SECOND, "{took:?}");
    assert!(sender.is_open());
    tokio::time::sleep(30 * SECOND).await;
    assert!(sender.is_open());
    drop((receiving, answering));
}

#[tokio::test(start_paused = true)]
async fn a_close_does_not_wait_for_the_rate() {
    let builder = Server::builder().max_message_rate(Rate::per_minute(1));
    let (mut connection, mut client) = pair(builder).await;
    for _ in 0..100 {
        client.send("ahoy").await.unwrap();
    }
    client.flushed().await;
    let sender = connection.sender();
    let receiving = tokio::spawn(async move {
        let mut received = 0;
        while let Ok(Some(_)) = connection.recv().await {
            received += 1;
        }
        (received, connection)
    });
    tokio::time::sleep(SECOND).await;
    let start = Instant::now();
    sender.start_close(CloseCode::NORMAL, "").unwrap();
    while let Ok(Some(_)) = client.recv().await {}
    let closed = sender.wait_closed().await;
    assert_eq!(closed.cause(), CloseCause::Handshake);
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    assert_eq!(receiving.await.unwrap().0, 100);
}

/// What a slow peer is sent goes on leaving, since only reading stops.
#[tokio::test(start_paused = true)]
async fn a_peer_that_is_held_up_still_receives() {
    let builder = Server::builder().max_message_rate(Rate::per_minute(1));
    let (mut connection, mut client) = pair(builder).await;
    client.send("one").await.unwrap();
    client.send("two").await.unwrap();
    client.flushed().await;
    let sender = connection.sender();
    let echoing = tokio::spawn(async move {
        while let Ok(Some(message)) = connection.recv().await {
            connection.send(message).await.unwrap();
        }
    });
    let start = Instant::now();
    assert!(client.recv().await.unwrap().is_some());
    sender.send("pushed").await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Some("pushed".into()));
    assert!(start.elapsed() < SECOND);
    assert_eq!(client.recv().await.unwrap(), Some("two".into()));
    assert!(start.elapsed() >= 59 * SECOND, "{:?}", start.elapsed());
    echoing.abort();
}
