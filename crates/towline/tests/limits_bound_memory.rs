//! Promise 7: frame, message, fragment count and handshake limits hold before anything is
//! allocated, for declared lengths and across fragments.
//!
//! A binary of its own, since it counts what is allocated.

#![allow(clippy::unwrap_used, missing_docs)]

use std::num::NonZeroUsize;

use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;
use towline::{CloseCode, Config, Connection, ErrorKind, Keepalive, Role, Server};
use towline_kit::{FrameBytes, frame};

const BOTH: [Role; 2] = [Role::Server, Role::Client];

/// What is on the heap at the same time, at the most, while this runs.
fn peak(future: impl Future<Output = ()>) -> u64 {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().unwrap();
    // Buffers which the thread keeps for all connections exist after the first one.
    runtime.block_on(hears(Role::Server, &Config::server(), [frame().text("warm")], 1 << 16));
    let mut future = Some(future);
    allocation_counter::measure(|| runtime.block_on(future.take().unwrap())).bytes_max
}

/// A connection hears frames through a small pipe, until it has had enough of them.
async fn hears(
    role: Role,
    config: &Config,
    frames: impl IntoIterator<Item = FrameBytes>,
    pipe: usize,
) -> Option<ErrorKind> {
    let peer = match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    };
    let (near, mut far) = tokio::io::duplex(pipe);
    let mut connection = Connection::from_stream(near, role, config, Bytes::new());
    let receiving = tokio::spawn(async move {
        loop {
            match connection.recv().await {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(error) => return Some((error.kind(), error.close_code())),
            }
        }
    });
    for frame in frames {
        if far.write_all(&frame.by(peer).bytes()).await.is_err() || receiving.is_finished() {
            break;
        }
    }
    drop(far);
    let ended = receiving.await.unwrap();
    let is_limit = |code| code == Some(CloseCode::MESSAGE_TOO_BIG);
    assert_eq!(
        ended.map(|(kind, _)| kind) == Some(ErrorKind::LimitExceeded),
        ended.is_some_and(|(_, code)| is_limit(code))
    );
    ended.map(|(kind, _)| kind)
}

fn config() -> Config {
    Config::server().keepalive(None::<Keepalive>)
}

#[test]
fn a_frame_that_is_announced_too_large_costs_nothing() {
    for role in BOTH {
        for len in [(64 << 10) + 1, 1 << 30, u64::MAX >> 1] {
            for fin in [true, false] {
                let most = peak(async {
                    let announced = frame().fin(fin).announcing(len);
                    let ended = hears(role, &config(), [announced], 1 << 10).await;
                    assert_eq!(ended, Some(ErrorKind::LimitExceeded));
                });
                assert!(most < 12 << 10, "{most} bytes for the announcement of {len}");
            }
        }
    }
}

/// A gibibyte is allowed. That it is announced is no reason to allocate it.
#[test]
fn a_frame_that_is_announced_and_does_not_come_costs_little() {
    let config = config().max_received_frame_size(2 << 30).max_received_message_size(2 << 30);
    for opcode in [1, 2] {
        let most = peak(async {
            let announced = frame().opcode(opcode).announcing(1 << 30).payload("the first bytes");
            let ended = hears(Role::Server, &config, [announced], 1 << 10).await;
            assert_eq!(ended, Some(ErrorKind::ConnectionLost));
        });
        assert!(most < 256 << 10, "{most} bytes");
    }
}

#[test]
fn fragments_cost_no_more_than_the_message_that_is_allowed() {
    for role in BOTH {
        let most = peak(async {
            let first = frame().binary(vec![0; 10_000]).fin(false);
            let more = frame().continuation(vec![0; 10_000]).fin(false);
            let frames = std::iter::once(first).chain(std::iter::repeat_n(more, 200));
            let config = config().max_received_message_size(100_000);
            let ended = hears(role, &config, frames, 1 << 10).await;
            assert_eq!(ended, Some(ErrorKind::LimitExceeded));
        });
        // A vector in growth has its old and its new place.
        assert!(most < 400_000, "{most} bytes");
    }
}

#[test]
fn a_million_fragments_of_nothing_cost_nothing_and_end_at_the_limit() {
    for size in [0, 1] {
        let most = peak(async {
            let first = frame().text(vec![b'x'; size]).fin(false);
            let more = frame().continuation(vec![b'x'; size]).fin(false);
            let frames = std::iter::once(first).chain(std::iter::repeat_n(more, 1_000_000));
            let config = config().max_received_fragments(NonZeroUsize::new(10_000).unwrap());
            let ended = hears(Role::Server, &config, frames, 1 << 10).await;
            assert_eq!(ended, Some(ErrorKind::LimitExceeded));
        });
        assert!(most < 64 << 10, "{most} bytes for fragments of {size}");
    }
}

/// One frame at a time is what is held where fragments are not put together.
#[test]
fn frames_that_are_not_put_together_are_not_held() {
    let most = peak(async {
        let first = frame().binary(vec![0; 10_000]).fin(false);
        let more = frame().continuation(vec![0; 10_000]).fin(false);
        let frames = std::iter::once(first).chain(std::iter::repeat_n(more, 500));
        let ended = hears(Role::Server, &config().assemble_fragments(false), frames, 1 << 10).await;
        assert_eq!(ended, Some(ErrorKind::ConnectionLost));
    });
    assert!(most < 100_000, "{most} bytes");
}

/// A head without an end is read up to its limit.
#[test]
fn a_request_without_an_end_costs_no_more_than_its_limit() {
    let most = peak(async {
        let server = Server::builder().build();
        let (near, mut far) = tokio::io::duplex(1 << 10);
        server.serve(near, None);
        let _ = far.write_all(b"GET / HTTP/1.1\r\n").await;
        for _ in 0..100_000 {
            if far.write_all(b"X-Header: and another one, and another one\r\n").await.is_err() {
                break;
            }
        }
    });
    assert!(most < 128 << 10, "{most} bytes");
}
