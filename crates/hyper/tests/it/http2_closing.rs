//! A WebSocket closes at once over HTTP/2, whatever its neighbours on the connection do.

use tokio::sync::watch;
use tokio::task::JoinSet;
use towline::{Client, CloseCode, Connection, HttpVersion, Message, Proxy, Server};

use crate::support::{Front, echo_messages, serve, soon};

/// How many WebSockets are on the connection: as many as hyper's server allows.
const MANY: usize = 200;

/// Some windows of a stream.
const MESSAGES: usize = 10;
const LEN: usize = 50_000;

/// Whether those that are read late may be read.
type Gate = watch::Receiver<bool>;

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

/// Sends and receives at a time, and closes.
async fn talk(connection: Connection, gate: Option<Gate>) {
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
    if let Some(mut gate) = gate {
        gate.wait_for(|is_open| *is_open).await.unwrap();
    }
    for _ in 0..MESSAGES {
        assert_eq!(receiver.recv().await.unwrap(), Some(message.clone()));
    }
    let sender = sending.await.unwrap();
    sender.start_close(CloseCode::NORMAL, "bye").unwrap();
    assert_eq!(receiver.recv().await.unwrap(), None);
    assert!(sender.wait_closed().await.is_clean());
}

#[tokio::test]
async fn a_close_waits_for_no_neighbour_that_is_read_late() {
    let (opens, gate) = watch::channel(false);
    let mut server = Server::builder().build();
    let address = serve(&server, Front::HttpServer).await;
    let late_server = gate.clone();
    tokio::spawn(async move {
        for number in 0.. {
            let mut connection = server.next_request().await.unwrap().accept().await.unwrap();
            let mut gate = late_server.clone();
            tokio::spawn(async move {
                if late(number) == Late::Server {
                    gate.wait_for(|is_open| *is_open).await.unwrap();
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
    let (mut at_once, mut later) = (JoinSet::new(), JoinSet::new());
    for (number, connection) in connections.into_iter().enumerate() {
        match late(number) {
            Late::Nobody => at_once.spawn(talk(connection, None)),
            Late::Server => later.spawn(talk(connection, None)),
            Late::Client => later.spawn(talk(connection, Some(gate.clone()))),
        };
    }
    soon(at_once.join_all()).await;
    opens.send(true).unwrap();
    soon(later.join_all()).await;
}
