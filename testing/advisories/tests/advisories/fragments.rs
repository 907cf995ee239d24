//! Messages of many fragments.

use towline::{CloseCode, Config, ErrorKind, Server};
use towline_kit::{FrameBytes, frame};

use crate::attacker::{Attacker, echo, neighbour_is_served, pass_time, receive_all};
use crate::memory::peak;

fn fragments(size: usize, count: usize) -> impl Iterator<Item = FrameBytes> {
    let first = frame().text(vec![b'x'; size]).fin(false);
    std::iter::once(first)
        .chain(std::iter::repeat_n(frame().continuation(vec![b'x'; size]).fin(false), count))
}

/// Sends fragments to a server until it closes, and returns how many it took.
async fn to_server(size: usize) -> usize {
    let server = echo(Server::builder());
    let mut attacker = Attacker::client(&server).await;
    let mut taken = 0;
    for fragment in fragments(size, 2_000_000) {
        if !attacker.says(fragment).await {
            break;
        }
        taken += 1;
        pass_time(taken, if size < 2 { 10_000 } else { 10 }).await;
    }
    assert_eq!(attacker.is_closed_with().await, CloseCode::MESSAGE_TOO_BIG);
    neighbour_is_served(&server).await;
    taken
}

/// The same to a client.
async fn to_client(size: usize) -> usize {
    let (mut attacker, victim) = Attacker::server(Config::client()).await;
    let victim = tokio::spawn(receive_all(victim));
    let mut taken = 0;
    for fragment in fragments(size, 2_000_000) {
        if !attacker.says(fragment).await {
            break;
        }
        taken += 1;
        pass_time(taken, if size < 2 { 10_000 } else { 10 }).await;
    }
    assert_eq!(attacker.is_closed_with().await, CloseCode::MESSAGE_TOO_BIG);
    assert_eq!(victim.await.unwrap().unwrap_err().kind(), ErrorKind::LimitExceeded);
    taken
}

#[test]
fn cve_2014_0193_a_long_stream_of_continuation_frames() {
    let most = peak(async {
        let taken = to_server(10_000).await;
        assert!((104..250).contains(&taken), "{taken} fragments of 10 kB taken");
    });
    // A vector that grows has its old and its new place.
    assert!(most < 4 << 20, "{most} bytes");
}

/// The limit holds over the fragments of an uncompressed message, and not for each only.
#[test]
fn cve_2026_9675_fragments_that_are_small_each_and_large_together() {
    let most = peak(async {
        let taken = to_client(100_000).await;
        assert!((83..250).contains(&taken), "{taken} fragments of 100 kB taken");
    });
    assert!(most < 32 << 20, "{most} bytes");
}

/// Empty fragments never reach a limit for bytes.
#[test]
fn cve_2026_12151_fragments_without_end_at_a_client() {
    for size in [0, 1] {
        let most = peak(async {
            let taken = to_client(size).await;
            assert!(taken < 200_000, "{taken} fragments taken");
        });
        assert!(most < 512 << 10, "{most} bytes for fragments of {size}");
    }
}

/// No object is kept for each fragment.
#[test]
fn cve_2026_62389_fragments_of_a_message_that_is_never_complete() {
    let most = peak(async {
        let server = echo(Server::builder());
        let mut attackers = Vec::new();
        for _ in 0..4 {
            let mut attacker = Attacker::client(&server).await;
            for fragment in fragments(1, 10_000) {
                assert!(attacker.says(fragment).await);
            }
            attackers.push(attacker);
        }
        neighbour_is_served(&server).await;
    });
    assert!(most < 512 << 10, "{most} bytes for 40,000 bytes in as many fragments");
}
