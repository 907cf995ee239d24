//! Peers that stop reading.

use std::num::NonZeroUsize;

use tokio::time::Instant;
use towline::{Client, Message, Server, WhenFull};
use towline_kit::frame;

use crate::attacker::{Attacker, MINUTE, echo, neighbour_is_served};
use crate::memory::peak;

/// Sends messages for which the server has to send as many, and reads none.
#[test]
fn cve_2020_35896_an_echo_that_is_not_read() {
    let most = peak(async {
        let server = echo(Server::builder());
        let mut attacker = Attacker::client(&server).await;
        let flooding = async {
            for _ in 0..100_000 {
                if !attacker.says(frame().binary([7; 10_000])).await {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(MINUTE / 2, flooding).await;
        neighbour_is_served(&server).await;
    });
    assert!(most < 2 << 20, "{most} bytes");
}

/// A server that broadcasts holds no more for a peer that stops reading, and others get each message.
#[test]
fn cve_2020_35896_a_broadcast_to_a_peer_that_stops_reading() {
    for when_full in [WhenFull::Skip, WhenFull::KeepNewest(NonZeroUsize::MIN), WhenFull::Close] {
        let most = peak(async {
            let server = echo(Server::builder());
            let _attacker = Attacker::client(&server).await;
            let (near, far) = tokio::io::duplex(1 << 10);
            server.serve(far, None);
            let mut neighbour = Client::new().connect_over(near, "ws://h/").await.unwrap();
            while server.connections().len() < 2 {
                tokio::task::yield_now().await;
            }
            for _ in 0..500 {
                let message = Message::binary(vec![7; 10_000]);
                let _ = server.connections().broadcast(message).when_full(when_full).await;
                assert_eq!(neighbour.recv().await.unwrap().unwrap().len(), 10_000);
            }
        });
        assert!(most < 1 << 20, "{most} bytes with {when_full:?}");
    }
}

/// A send that waits for a peer that reads nothing ends at the send timeout.
#[tokio::test(start_paused = true)]
async fn cve_2026_79677_a_send_that_never_ends() {
    let server = echo(Server::builder());
    let mut attacker = Attacker::client(&server).await;
    for _ in 0..5 {
        attacker.says(frame().binary([7; 1_000])).await;
    }
    let began = Instant::now();
    while !server.connections().is_empty() {
        // It takes part in keepalive, so that only the send timeout can end it.
        tokio::time::sleep(MINUTE / 30).await;
        attacker.says(frame().pong("")).await;
        assert!(began.elapsed() < 2 * MINUTE);
    }
    neighbour_is_served(&server).await;
}
