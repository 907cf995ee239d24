//! Promise 9: peer input never panics, and never makes the API return something that blames the
//! caller.

use futures_util::FutureExt as _;
use proptest::prelude::*;
use towline::{Blame, Client, Config, Error, Role, Server};
use towline_kit::{FrameBytes, frame};

use crate::http;
use crate::wire::{connect, settle};

fn run(future: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap().block_on(future);
}

fn blames_the_peer(error: &Error) {
    assert_eq!(error.blame(), Blame::Remote, "{error:?}");
}

/// A connection hears these reads, then the transport ends.
async fn hears(role: Role, assemble: bool, reads: Vec<Vec<u8>>) {
    let (mut connection, far) = connect(role, &Config::server().assemble_fragments(assemble));
    for read in reads.into_iter().filter(|read| !read.is_empty()) {
        far.says_bytes(read);
    }
    far.ends();
    loop {
        match connection.next_event().await {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => {
                blames_the_peer(&error);
                // And again.
                blames_the_peer(&connection.recv().await.unwrap_err());
                break;
            }
        }
    }
    assert!(!connection.is_open() && connection.closed().is_some());
    drop(connection);
    settle().await;
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    assert!(far.is_dropped());
}

/// Bytes that are frames more often than not.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::collection::vec(any::<u8>(), 0..150);
    let opcode = prop_oneof![0u8..3, 8u8..11, any::<u8>().prop_map(|bits| bits & 15)];
    let rsv = prop_oneof![9 => Just(0u8), 1 => 0u8..8];
    let parts =
        (opcode, any::<bool>(), rsv, payload, any::<bool>(), prop::option::of(any::<u64>()));
    let made = parts.prop_map(|(opcode, fin, rsv, payload, masks, announced)| {
        let mut made: FrameBytes = frame().opcode(opcode).fin(fin).rsv(rsv).payload(payload);
        if masks {
            made = made.masked([1, 2, 3, 4]);
        }
        match announced {
            Some(len) if len % 8 == 0 => made.announcing(len).bytes(),
            _ => made.bytes(),
        }
    });
    let noise = prop::collection::vec(any::<u8>(), 0..40);
    prop::collection::vec(prop_oneof![5 => made, 1 => noise], 0..8).prop_map(|all| all.concat())
}

fn reads() -> impl Strategy<Value = Vec<Vec<u8>>> {
    (frames(), 1usize..400)
        .prop_map(|(bytes, size)| bytes.chunks(size).map(<[u8]>::to_vec).collect())
}

/// A head that is nearly one.
fn heads(valid: String) -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let cut = any::<prop::sample::Index>();
    (edits, prop::option::weighted(0.2, cut), frames()).prop_map(move |(edits, cut, behind)| {
        let mut bytes = valid.clone().into_bytes();
        for (index, byte) in edits {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.extend(behind);
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        bytes
    })
}

const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn frames_blame_the_peer_at_the_most(
        client in any::<bool>(), assemble in any::<bool>(), reads in reads(),
    ) {
        run(hears(if client { Role::Client } else { Role::Server }, assemble, reads));
    }

    #[test]
    fn requests_are_answered_or_accepted(bytes in heads(http::request("/a?b", &[("Origin", "http://example.com")]))) {
        run(async {
            let mut server = Server::builder().build();
            let mut far = http::says(&server, &bytes).await;
            tokio::io::AsyncWriteExt::shutdown(&mut far).await.unwrap();
            settle().await;
            while let Some(request) = server.next_request().now_or_never().flatten() {
                match request.accept().await {
                    Ok(mut connection) => while let Some(result) = connection.recv().await.transpose() {
                        if let Err(error) = result {
                            blames_the_peer(&error);
                            break;
                        }
                    },
                    Err(error) => blames_the_peer(&error),
                }
            }
        });
    }

    #[test]
    fn responses_blame_the_server_at_the_most(bytes in heads(RESPONSE.to_owned())) {
        run(async {
            let (near, mut far) = tokio::io::duplex(64 << 10);
            tokio::io::AsyncWriteExt::write_all(&mut far, &bytes).await.unwrap();
            tokio::io::AsyncWriteExt::shutdown(&mut far).await.unwrap();
            // The key that was answered is never the one that was asked with.
            blames_the_peer(&Client::new().connect_over(near, "ws://h/").await.unwrap_err());
        });
    }
}
