//! Pings and pongs.

use tokio::time::timeout;
use towline::{CloseCode, Config, Server};
use towline_kit::{FrameBytes, frame};

use crate::attacker::{Attacker, MINUTE, echo, neighbour_is_served, receive_all};
use crate::memory::peak;

/// A pong has the payload of its ping, and no byte of anything else.
#[tokio::test(start_paused = true)]
async fn cve_2016_10518_a_pong_that_shows_memory() {
    let server = echo(Server::builder());
    let mut attacker = Attacker::client(&server).await;
    let payloads = [&b"50"[..], b"", &[0; 125], b"\xff"];
    for payload in payloads {
        assert!(attacker.says(frame().ping(payload)).await);
    }
    // One that is announced, and does not come.
    assert!(attacker.says(frame().ping("ab").announcing(125)).await);
    tokio::io::AsyncWriteExt::shutdown(&mut attacker.stream).await.unwrap();
    let heard = attacker.hears_the_end().await;
    let pongs: Vec<_> = heard.iter().map(|heard| &heard.payload[..]).collect();
    assert_eq!(pongs[..4], payloads);
    assert!(pongs.len() <= 5, "{pongs:?}");
    neighbour_is_served(&server).await;
}

/// Sends many of a frame, as far as the victim takes them.
async fn floods(attacker: &mut Attacker, flood: FrameBytes) {
    let flooding = async {
        for _ in 0..200_000 {
            if !attacker.says(flood.clone()).await {
                break;
            }
        }
    };
    // A victim that waits for the attacker to read takes no more.
    let _ = timeout(MINUTE / 2, flooding).await;
}

#[test]
fn cve_2021_3690_a_flood_of_pongs() {
    let most = peak(async {
        let server = echo(Server::builder());
        let mut attacker = Attacker::client(&server).await;
        floods(&mut attacker, frame().pong([7; 125])).await;
        assert_eq!(attacker.is_closed_with().await, CloseCode::POLICY);
        neighbour_is_served(&server).await;
    });
    assert!(most < 256 << 10, "{most} bytes");
}

/// The attacker reads no pong.
#[test]
fn cve_2026_109932_pings_whose_pongs_are_not_read() {
    let most = peak(async {
        let server = echo(Server::builder());
        let mut attacker = Attacker::client(&server).await;
        floods(&mut attacker, frame().ping([7; 125])).await;
        neighbour_is_served(&server).await;
    });
    assert!(most < 512 << 10, "{most} bytes at a server");
    let most = peak(async {
        let (mut attacker, victim) = Attacker::server(Config::client()).await;
        let victim = tokio::spawn(receive_all(victim));
        floods(&mut attacker, frame().ping([7; 125])).await;
        drop(attacker);
        victim.await.unwrap().unwrap_err();
    });
    assert!(most < 512 << 10, "{most} bytes at a client");
}
