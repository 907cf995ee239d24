//! Connections that end badly, or that never do.

use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;
use towline::{Client, CloseCode, Message, Server};
use towline_kit::frame;

use crate::attacker::{Attacker, MINUTE, echo, neighbour_is_served, request};
use crate::memory::left;

/// Resets a connection after so many bytes of this.
async fn resets(address: std::net::SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    stream.write_all(bytes).await.unwrap();
    tokio::task::yield_now().await;
}

#[tokio::test]
async fn cve_2022_41940_a_reset_at_each_phase() {
    let mut server = Server::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let handle = server.handle();
    tokio::spawn(async move {
        while let Some(request) = server.next_request().await {
            tokio::spawn(async move {
                let Ok(mut connection) = request.accept().await else { return };
                while let Ok(Some(message)) = connection.recv().await {
                    let _ = connection.send(message).await;
                }
            });
        }
    });
    let mut said = request("").into_bytes();
    let behind_the_head = said.len();
    said.extend(frame().text("ship ahoy").masked([1, 2, 3, 4]).bytes());
    let refused = request("Origin: https://evil.example\r\n");
    for length in [0, 1, 40, behind_the_head - 1, behind_the_head, behind_the_head + 3, said.len()]
    {
        for _ in 0..5 {
            resets(address, &said[..length]).await;
            resets(address, refused.as_bytes()).await;
        }
        let mut neighbour = Client::new().connect(format!("ws://{address}/")).await.unwrap();
        neighbour.send("ship ahoy").await.unwrap();
        assert_eq!(neighbour.recv().await.unwrap(), Some(Message::text("ship ahoy")));
        neighbour.close(CloseCode::NORMAL, "").await.unwrap();
    }
    // Nobody is left.
    let leaving = async {
        while !handle.connections().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(MINUTE, leaving).await.unwrap();
}

/// An end without a close frame ends the connection, which would otherwise read it over and over.
#[tokio::test(start_paused = true)]
async fn cve_2017_2670_an_end_without_a_close_frame() {
    let server = echo(Server::builder());
    for partial in [&b""[..], &[0x81], &[0x81, 0xFE, 0], &[0x81, 0x85, 1, 2, 3, 4, 5]] {
        let mut attacker = Attacker::client(&server).await;
        assert!(attacker.says_bytes(partial).await);
        attacker.stream.shutdown().await.unwrap();
        attacker.hears_the_end().await;
        tokio::time::sleep(MINUTE / 10).await;
        assert!(server.connections().is_empty());
    }
    neighbour_is_served(&server).await;
}

/// A client that neither answers the close frame nor ends the transport.
#[tokio::test(start_paused = true)]
async fn cve_2024_23672_a_close_that_is_not_answered() {
    let server = echo(Server::builder());
    let mut attacker = Attacker::client(&server).await;
    while server.connections().is_empty() {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    attacker.says(frame().opcode(3)).await;
    while !server.connections().is_empty() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        // Signs of life do not put it off.
        attacker.says(frame().ping("")).await;
        assert!(began.elapsed() < MINUTE / 2);
    }
    neighbour_is_served(&server).await;
}

/// Connections that have ended leave nothing on the heap.
#[test]
fn cve_2021_42340_what_is_kept_of_connections_that_ended() {
    async fn come_and_go(server: &towline::ServerHandle, count: usize) {
        for index in 0..count {
            let mut attacker = Attacker::client(server).await;
            if index % 2 == 0 {
                attacker.says(frame().close(1000, "")).await;
                attacker.hears_the_end().await;
            }
        }
        tokio::time::sleep(MINUTE).await;
        assert!(server.connections().is_empty());
    }
    let before = async {
        let server = echo(Server::builder());
        come_and_go(&server, 300).await;
        server
    };
    let kept = left(before, async |server| come_and_go(server, 300).await);
    assert!(kept < 16 << 10, "{kept} bytes are left of 300 connections");
}
