//! A WebSocket closes at once over HTTP/2, whatever its neighbours on the connection do.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use towline::{Client, CloseCode, Connection, HttpVersion, Message, Proxy, Server};

use crate::support::{Front, echo_messages, serve};

/// How many WebSockets are on the connection: as many as hyper's server allows.
const MANY: usize = 200;

/// How late some of them are read. The clock is paused, so that it moves when nothing else can be done.
const LATE: Duration = Duration::from_secs(20);

/// Less than any timer that a close could wait for by mistake: seconds. Those that are part of it, such
/// as the ones of `h2_stream`, take some milliseconds.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Some windows of a stream.
const MESSAGES: usize = 10;
const LEN: usize = 50_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Late {
    Client,
    Server,
    Nobody,
}

fn late(number: usize) -> Late {
    match number % 4 {
        0 => Late::Client,
        1 => Late::Server,
        _ => Late::Nobody,
    }
}

/// Sends and receives at a time, and closes. Returns when that was done.
async fn talk(connection: Connection, late: Late) -> Instant {
    let (sender, mut receiver) = connection.split();
    let message = Message::binary(vec![7; LEN]);
    let sending = tokio::spawn({
        let message = message.clone();
        async move {
            for _ in 0..MESSAGES {
                sender.send(message.clone()).await.unwrap();
            }
            sender
        }
    });
    if late == Late::Client {
        sleep(LATE).await;
    }
    for _ in 0..MESSAGES {
        assert_eq!(receiver.recv().await.unwrap(), Some(message.clone()));
    }
    let sender = sending.await.unwrap();
    sender.start_close(CloseCode::NORMAL, "bye").unwrap();
    assert_eq!(receiver.recv().await.unwrap(), None);
    assert!(sender.wait_closed().await.is_clean());
    Instant::now()
}

#[tokio::test(start_paused = true)]
async fn a_close_waits_for_no_neighbour_that_is_read_late() {
    let mut server = Server::builder().build();
    let address = serve(&server, Front::HttpServer).await;
    tokio::spawn(async move {
        for number in 0.. {
            let mut connection = server.next_request().await.unwrap().accept().await.unwrap();
            tokio::spawn(async move {
                if late(number) == Late::Server {
                    sleep(LATE).await;
                }
                echo_messages(&mut connection).await;
            });
        }
    });
    let client = Client::new().proxy(Proxy::none()).http_version(HttpVersion::Http2);
    let mut connections = Vec::new();
    for _ in 0..MANY {
        connections.push(client.connect(format!("ws://{address}/")).await.unwrap());
    }
    let mut talking = JoinSet::new();
    let begin = Instant::now();
    for (number, connection) in connections.into_iter().enumerate() {
        talking.spawn(async move { (late(number), talk(connection, late(number)).await - begin) });
    }
    for (late, took) in talking.join_all().await {
        let (least, most) = match late {
            Late::Nobody => (Duration::ZERO, AT_ONCE),
            _ => (LATE, LATE + AT_ONCE),
        };
        assert!((least..most).contains(&took), "it took {took:?}");
    }
}
