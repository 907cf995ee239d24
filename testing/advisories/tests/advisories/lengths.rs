//! Frames that announce lengths.

use towline::{Client, CloseCode, Config, ErrorKind, Server};
use towline_kit::{FrameBytes, frame};

use crate::attacker::{Attacker, echo, neighbour_is_served, pass_time, receive_all};
use crate::memory::peak;

/// Sends these frames to a server, and returns the code that it closes with.
async fn server_closes_with(
    builder: towline::ServerBuilder,
    frames: impl IntoIterator<Item = FrameBytes>,
) -> CloseCode {
    let server = echo(builder);
    let mut attacker = Attacker::client(&server).await;
    for frame in frames {
        attacker.says(frame).await;
    }
    let code = attacker.is_closed_with().await;
    neighbour_is_served(&server).await;
    code
}

/// The same to a client, with the kind of its error.
async fn client_closes_with(
    frames: impl IntoIterator<Item = FrameBytes>,
) -> (CloseCode, ErrorKind) {
    let (mut attacker, victim) = Attacker::server(Config::client()).await;
    let victim = tokio::spawn(receive_all(victim));
    for frame in frames {
        attacker.says(frame).await;
    }
    let code = attacker.is_closed_with().await;
    (code, victim.await.unwrap().unwrap_err().kind())
}

#[test]
fn cve_2016_10542_a_message_longer_than_the_program_can_hold() {
    let most = peak(async {
        // Truly sent, as far as the server takes it.
        let server = echo(Server::builder());
        let mut attacker = Attacker::client(&server).await;
        let chunk = frame().binary(vec![0; 1_000]).announcing(256 << 20);
        let mut taken = 0;
        while taken < 256_000 && attacker.says_bytes(&chunk.bytes()).await {
            taken += 1;
            pass_time(taken, 1_000).await;
        }
        assert!(taken < 15_000, "{taken} kB taken");
        neighbour_is_served(&server).await;
    });
    assert!(most < 256 << 10, "{most} bytes");
}

#[test]
fn cve_2018_21035_frames_and_messages_of_2_gib() {
    let most = peak(async {
        for length in [64 << 10 | 1, (2 << 30) - 1, 2 << 30] {
            for fin in [true, false] {
                let announced = frame().fin(fin).announcing(length);
                let code = server_closes_with(Server::builder(), [announced]).await;
                assert_eq!(code, CloseCode::MESSAGE_TOO_BIG, "{length}");
            }
        }
    });
    assert!(most < 128 << 10, "{most} bytes");
}

/// Where the program allows a terabyte, its announcement is no reason to allocate it.
#[test]
fn cve_2022_35922_a_length_that_is_allowed_and_does_not_come() {
    let most = peak(async {
        for opcode in [1, 2] {
            let config = Config::server().max_received_message_size(1 << 40);
            let server = echo(Server::builder().config(config));
            let mut attacker = Attacker::client(&server).await;
            let announced = frame().opcode(opcode).payload("the first bytes").announcing(1 << 40);
            assert!(attacker.says(announced).await);
            neighbour_is_served(&server).await;
        }
    });
    assert!(most < 512 << 10, "{most} bytes");
}

/// Fragments whose sum is beyond 64 bits.
#[tokio::test(start_paused = true)]
async fn cve_2020_27813_lengths_whose_sum_overflows() {
    let most = u64::MAX >> 1;
    let fragments = || {
        [
            frame().binary("x").fin(false),
            frame().continuation("x").fin(false).announcing(most),
            frame().continuation("x").announcing(most),
        ]
    };
    let code = server_closes_with(Server::builder(), fragments()).await;
    assert_eq!(code, CloseCode::MESSAGE_TOO_BIG);
    // Without a limit that would come first.
    let config = Config::server().max_received_message_size(usize::MAX);
    let server = echo(Server::builder().config(config));
    for frames in [fragments().to_vec(), vec![frame().binary("x").announcing(most)]] {
        let mut attacker = Attacker::client(&server).await;
        for frame in frames {
            attacker.says(frame).await;
        }
        neighbour_is_served(&server).await;
        // It waits for the rest, or closes. Either way it ends with its peer.
        tokio::io::AsyncWriteExt::shutdown(&mut attacker.stream).await.unwrap();
        attacker.hears_the_end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn cve_2020_13935_all_bits_of_a_length() {
    let announced = frame().announcing(u64::MAX);
    let code = server_closes_with(Server::builder(), [announced.clone()]).await;
    assert_eq!(code, CloseCode::PROTOCOL_ERROR);
    let closed = client_closes_with([announced]).await;
    assert_eq!(closed, (CloseCode::PROTOCOL_ERROR, ErrorKind::PeerViolation));
}

/// Lengths that a signed integer makes negative, also with bytes behind them.
#[tokio::test(start_paused = true)]
async fn cve_2026_69210_negative_lengths() {
    for length in [1 << 63, (1 << 63) + 1, u64::MAX - 1, u64::MAX - 125, 0xFFFF_FFFF_0000_0000] {
        for opcode in [0, 1, 2, 8, 9, 10] {
            let negative = frame().opcode(opcode).payload([7; 200]).announcing(length);
            let code = server_closes_with(Server::builder(), [negative]).await;
            assert_eq!(code, CloseCode::PROTOCOL_ERROR, "{length:x} {opcode}");
        }
    }
}

/// Lengths that overflow once the length of the header or of the mask is added.
#[tokio::test(start_paused = true)]
async fn cve_2026_50161_lengths_that_overflow_with_the_mask() {
    let config = Config::server().max_received_message_size(usize::MAX);
    for less in [0, 1, 3, 4, 5, 13, 14] {
        for base in [u64::MAX, u64::MAX >> 1, u64::from(u32::MAX)] {
            let server = echo(Server::builder().config(config.clone()));
            let mut attacker = Attacker::client(&server).await;
            attacker.says(frame().payload("x").announcing(base - less)).await;
            tokio::io::AsyncWriteExt::shutdown(&mut attacker.stream).await.unwrap();
            attacker.hears_the_end().await;
            neighbour_is_served(&server).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn cve_2026_1528_lengths_of_64_bits_at_a_client() {
    for length in [8 << 20 | 1, 1 << 32, 1 << 53, (1 << 53) + 1, u64::MAX >> 1] {
        let closed = client_closes_with([frame().announcing(length)]).await;
        assert_eq!(closed, (CloseCode::MESSAGE_TOO_BIG, ErrorKind::LimitExceeded), "{length}");
    }
    for length in [1 << 63, u64::MAX] {
        let closed = client_closes_with([frame().announcing(length)]).await;
        assert_eq!(closed, (CloseCode::PROTOCOL_ERROR, ErrorKind::PeerViolation), "{length}");
    }
    // Others can be connected to from then on.
    let server = echo(Server::builder());
    neighbour_is_served(&server).await;
    drop(Client::new());
}
