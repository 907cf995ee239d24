use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use towline::{CloseCode, Connection, Message};

use crate::program::{Program, connect, example, hear, printed, soon};

async fn blocking() -> Program {
    Program::start(example!("proto_blocking"), &["serve", "127.0.0.1:0"]).await
}

async fn mio() -> Program {
    Program::start(example!("proto_mio"), &["127.0.0.1:0"]).await
}

/// Short and long messages, and pings, come back; the close is complete.
async fn talks(mut connection: Connection) {
    connection.send("ship ahoy").await.unwrap();
    assert_eq!(hear(&mut connection).await, "ship ahoy");
    let long = Message::binary(vec![7; 1_000_000]);
    connection.send(long.clone()).await.unwrap();
    assert_eq!(soon(connection.recv()).await.unwrap(), Some(long));
    let round_trip = connection.round_trip();
    let receiving = async { soon(connection.recv()).await };
    tokio::select! {
        result = round_trip => drop(result.unwrap()),
        message = receiving => panic!("{message:?}"),
    }
    let closed = soon(connection.close(CloseCode::NORMAL, "bye")).await.unwrap();
    assert!(closed.is_clean(), "{closed}");
}

#[tokio::test]
async fn the_blocking_client_and_the_blocking_server_talk() {
    let server = blocking().await;
    let said = printed(example!("proto_blocking"), &["connect", &server.address]).await;
    assert!(said.starts_with("Some(Text(\"ship ahoy\"))\n"), "{said}");
    assert!(said.contains("closed with 1000"), "{said}");
    talks(connect(&server.url("/")).await).await;
}

#[tokio::test]
async fn the_blocking_client_and_the_mio_server_talk() {
    let server = mio().await;
    let said = printed(example!("proto_blocking"), &["connect", &server.address]).await;
    assert!(said.starts_with("Some(Text(\"ship ahoy\"))\n"), "{said}");
    talks(connect(&server.url("/")).await).await;
}

/// What a host without a library around it gets wrong easily.
#[tokio::test]
async fn hosts_answer_requests_that_are_wrong() {
    for server in [blocking().await, mio().await] {
        assert!(server.get("/").await.starts_with("HTTP/1.1 426 "));
        let foreign = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
            Origin: https://evil.example\r\n\r\n";
        let answer = server.exchange(foreign).await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("evil.example"), "{answer}");
        assert_eq!(server.exchange("SSH-2.0-x\r\n\r\n").await, "");
        talks(connect(&server.url("/")).await).await;
    }
}

#[tokio::test]
async fn one_thread_serves_hundreds_of_clients() {
    let server = mio().await;
    let mut connections = Vec::new();
    for _ in 0..300 {
        connections.push(connect(&server.url("/")).await);
    }
    for (number, connection) in connections.iter_mut().enumerate() {
        connection.send(format!("I am {number}")).await.unwrap();
    }
    for (number, connection) in connections.iter_mut().enumerate() {
        assert_eq!(hear(connection).await, format!("I am {number}"));
    }
    if let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", server.process.id().unwrap())) {
        assert_eq!(tasks.count(), 1);
    }
    // Half of them vanish, and the others notice nothing.
    for connection in connections.drain(..150) {
        connection.abort(CloseCode::NO_STATUS, "");
    }
    for connection in &mut connections {
        connection.send("still here").await.unwrap();
        assert_eq!(hear(connection).await, "still here");
    }
}

/// It sends, and reads none of the echoes. The server stops to read from it.
#[tokio::test]
async fn a_client_that_does_not_read_fills_no_memory_and_holds_up_nobody() {
    let server = mio().await;
    let greedy = connect(&server.url("/")).await;
    let sender = greedy.sender();
    let flood = tokio::spawn(async move {
        let long = Message::binary(vec![7; 60_000]);
        for _ in 0..2000 {
            if sender.send(long.clone()).await.is_err() {
                break;
            }
        }
    });
    for _ in 0..20 {
        talks(connect(&server.url("/")).await).await;
    }
    assert!(!flood.is_finished(), "120 MB are not read");
    flood.abort();
    if let Some(memory) = server.peak_memory() {
        assert!(memory < 30 << 20, "{memory} bytes");
    }
    // Once it reads, it gets everything.
    let mut greedy = greedy;
    let message = soon(greedy.recv()).await.unwrap().unwrap();
    assert_eq!(message.len(), 60_000);
}

#[tokio::test]
async fn a_request_that_is_not_completed_is_given_up_and_a_silent_client_is_not() {
    let server = mio().await;
    let mut silent = connect(&server.url("/")).await;
    let mut stream = soon(TcpStream::connect(&server.address)).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
    talks(connect(&server.url("/")).await).await;
    assert!(!matches!(soon(stream.read(&mut [0])).await, Ok(1..)), "the end, after 5 s");
    silent.send("awake").await.unwrap();
    assert_eq!(hear(&mut silent).await, "awake");
}
