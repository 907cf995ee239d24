use serde_json::Value;
use tokio::net::TcpSocket;
use towline::Connection;

use crate::program::{Program, client, connect, example, hear, refusal, soon};

/// How many prices the client that keeps up receives while the other one reads nothing: more than all
/// buffers hold.
const PRICES: u64 = 20_000;

async fn start() -> Program {
    Program::start(example!("ticker"), &["127.0.0.1:0", "5000"]).await
}

/// A client with little room in its socket.
async fn connect_slow(ticker: &Program, resource: &str) -> Connection {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let stream = soon(socket.connect(ticker.address.parse().unwrap())).await.unwrap();
    soon(client().connect_via(stream, ticker.url(resource))).await.unwrap()
}

async fn hears(connection: &mut Connection) -> Value {
    serde_json::from_str(&hear(connection).await).unwrap()
}

/// Receives prices without a gap, and returns the last number.
async fn keep_up(connection: &mut Connection) -> u64 {
    let first = hears(connection).await["number"].as_u64().unwrap();
    for number in first + 1..first + PRICES {
        assert_eq!(hears(connection).await["number"], number);
    }
    first + PRICES - 1
}

#[tokio::test]
async fn a_slow_client_is_told_what_it_missed_and_a_fast_one_misses_nothing() {
    let ticker = start().await;
    let mut fast = connect(&ticker.url("/every")).await;
    let mut slow = connect_slow(&ticker, "/every").await;
    let first = hears(&mut slow).await["number"].as_u64().unwrap();
    keep_up(&mut fast).await;
    let mut next = first + 1;
    let missed = loop {
        let message = hears(&mut slow).await;
        if let Some(missed) = message["missed"].as_u64() {
            break missed;
        }
        assert_eq!(message["number"], next);
        next += 1;
    };
    assert!(missed > 0);
    assert_eq!(hears(&mut slow).await["number"], next + missed);
}

#[tokio::test]
async fn a_slow_client_gets_the_newest_price() {
    let ticker = start().await;
    let mut fast = connect(&ticker.url("/every")).await;
    let mut slow = connect_slow(&ticker, "/newest").await;
    let first = hears(&mut slow).await["number"].as_u64().unwrap();
    let last = keep_up(&mut fast).await;
    let (mut number, mut received) = (first, 1);
    while number < last {
        let next = hears(&mut slow).await["number"].as_u64().unwrap();
        assert!(next > number, "{next} after {number}");
        (number, received) = (next, received + 1);
    }
    assert!(received < number - first, "{received} of {}", number - first);
}

#[tokio::test]
async fn the_ticker_has_a_client_that_is_slow() {
    let ticker = start().await;
    let mut watch = Program::client(example!("ticker"), &["watch", "newest", &ticker.address]);
    let line = watch.line().await;
    assert!(line.starts_with("price ") && line.ends_with("; 0 missed, told of 0"), "{line}");
    while watch.line().await.contains("; 0 missed") {}
    assert_eq!(refusal(&client(), &ticker.url("/elsewhere")).await.0, 404);
}
