use serde_json::{Value, json};
use tokio::net::TcpSocket;
use towline::{CloseCode, Connection, Server};

use crate::program::{Program, client, connect, example, hear, refusal, soon};

/// How many prices are published while the slow client reads nothing: more than all buffers hold.
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

/// Receives prices of `/every` after `last` until `is_enough`, with the number and with what was missed until
/// then. A gap is as long as the client was told.
async fn follow(
    connection: &mut Connection,
    mut last: u64,
    is_enough: impl Fn(u64, u64) -> bool,
) -> (u64, u64) {
    let mut missed = 0;
    while !is_enough(last, missed) {
        let mut message = hears(connection).await;
        let told = message["missed"].as_u64();
        if told.is_some() {
            message = hears(connection).await;
        }
        let number = message["number"].as_u64().unwrap();
        assert_eq!(number, last + told.unwrap_or(0) + 1);
        missed += told.unwrap_or(0);
        last = number;
    }
    (last, missed)
}

#[tokio::test]
async fn a_slow_client_is_told_what_it_missed_and_holds_up_no_other() {
    let ticker = start().await;
    let mut slow = connect_slow(&ticker, "/every").await;
    let mut fast = connect(&ticker.url("/every")).await;
    let first = hears(&mut fast).await["number"].as_u64().unwrap();
    // On a busy machine, it can miss some as well.
    let (_, few) = follow(&mut fast, first, |last, _| last >= first + PRICES).await;
    let first = hears(&mut slow).await["number"].as_u64().unwrap();
    let (_, missed) = follow(&mut slow, first, |_, missed| missed > 0).await;
    assert!(missed > few, "{missed} and {few}");
}

#[tokio::test]
async fn a_slow_client_gets_the_newest_price() {
    let ticker = start().await;
    let mut slow = connect_slow(&ticker, "/newest").await;
    let mut fast = connect(&ticker.url("/every")).await;
    let first = hears(&mut fast).await["number"].as_u64().unwrap();
    let (last, _) = follow(&mut fast, first, |last, _| last >= first + PRICES).await;
    let (mut number, mut received) = (0, 0);
    while number < last {
        let next = hears(&mut slow).await["number"].as_u64().unwrap();
        assert!(next > number, "{next} after {number}");
        (number, received) = (next, received + 1);
    }
    assert!(received < PRICES, "{received}");
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

/// The same number twice, a lower one, and sums that no integer holds.
#[tokio::test]
async fn the_client_survives_any_numbers() {
    let mut server = Server::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap().to_string();
    let mut watch = Program::client(example!("ticker"), &["watch", "every", &address]);
    let mut connection = soon(server.next_request()).await.unwrap().accept().await.unwrap();
    for number in [0, 7, 7, 3, u64::MAX, u64::MAX, 0, u64::MAX] {
        let price = json!({ "number": number, "price": 100, "at": u64::MAX });
        connection.send(price.to_string()).await.unwrap();
        connection.send(json!({ "missed": number }).to_string()).await.unwrap();
    }
    soon(connection.close(CloseCode::NORMAL, "")).await.unwrap();
    let status = soon(watch.process.wait()).await.unwrap();
    assert!(status.success(), "{}", watch.errors().await);
}
