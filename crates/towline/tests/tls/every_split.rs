//! However the transport cuts what goes through it, and whoever the peer is: what one end has written
//! the other one reads, all of it and nothing else, until it is told that nothing more comes.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use towline::{Io, Role, Tls, TlsServer, TlsStream};

use crate::certificates::Authority;
use crate::choppy::{Schedule, choppy_pipe};
use crate::ends::ENDS;
use crate::peer::{Peer, VERSIONS, client_config, plays, server_config};

/// How one end writes and reads.
#[derive(Debug, Clone)]
struct Manner {
    pieces: Vec<usize>,
    /// So many pieces are given to one call.
    together: usize,
    /// After so many calls it flushes.
    flushes: usize,
    /// So much is read at once.
    room: usize,
}

impl Manner {
    fn pieces(&self) -> Vec<Vec<u8>> {
        let fill = |(index, len): (usize, &usize)| {
            (0..*len).map(|at| u8::try_from((at + index * 7) % 251).unwrap()).collect()
        };
        self.pieces.iter().enumerate().map(fill).collect()
    }

    fn all(&self) -> Vec<u8> {
        self.pieces().concat()
    }
}

fn manner() -> impl Strategy<Value = Manner> {
    let len = prop_oneof![1usize..20, 100usize..3000, 15_000usize..40_000, 60_000usize..200_000];
    (
        prop::collection::vec(len, 0..6),
        1usize..4,
        1usize..5,
        prop_oneof![1usize..50, 1000usize..90_000],
    )
        .prop_map(|(pieces, together, flushes, room)| Manner {
            pieces,
            together,
            flushes,
            room,
        })
}

fn schedule() -> impl Strategy<Value = Schedule> {
    prop::collection::vec(prop_oneof![Just(0), 1u16..30, 30u16..5000, Just(u16::MAX)], 2..24)
        .prop_filter("something is to move", |schedule| schedule.iter().any(|step| *step >= 300))
}

/// Writes all that there is to write, and says that it is the end, while it reads to the end.
async fn converses(stream: TlsStream, manner: Manner) -> (Vec<u8>, impl Sized) {
    let (mut read, mut write) = tokio::io::split(stream);
    let writing = async {
        for (at, pieces) in manner.pieces().chunks(manner.together).enumerate() {
            let mut pieces: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            let mut pieces = &mut pieces[..];
            while !pieces.is_empty() {
                let count = write.write_vectored(pieces).await.unwrap();
                assert!(count > 0);
                IoSlice::advance_slices(&mut pieces, count);
            }
            if at % manner.flushes == 0 {
                write.flush().await.unwrap();
            }
        }
        write.shutdown().await.unwrap();
    };
    let reading = async {
        let (mut all, mut room) = (Vec::new(), vec![0; manner.room]);
        loop {
            match read.read(&mut room).await.unwrap() {
                0 => return all,
                count => all.extend_from_slice(&room[..count]),
            }
        }
    };
    let ((), all) = tokio::join!(writing, reading);
    // The other end may not be done with it.
    (all, read.unsplit(write))
}

fn run(future: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().unwrap();
    // Virtual time: it passes where all wait for something that does not come.
    let future = async { tokio::time::timeout(Duration::from_secs(1000), future).await };
    runtime.block_on(future).expect("something moves");
}

/// Ends of one version of TLS.
fn ends(version: usize) -> (ServerConfig, ClientConfig) {
    let signed = ENDS.authority.server(&["localhost"]);
    (server_config(&signed, VERSIONS[version]), client_config(&ENDS.authority, VERSIONS[version]))
}

async fn is_answered(at_server: impl Io, at_client: impl Io, version: usize, manners: [Manner; 2]) {
    let (server, client) = ends(version);
    let server = TlsServer::from_rustls_0_23(Arc::new(server));
    let client = Tls::from_rustls_0_23(Arc::new(client));
    let [at_server_manner, at_client_manner] = manners.clone();
    let serving = async {
        let stream = server.accept(at_server).await.unwrap();
        assert_eq!(stream.info().version, ["TLS 1.2", "TLS 1.3"][version]);
        converses(stream, at_server_manner).await
    };
    let asking = async {
        let stream = client.connect(at_client, "localhost").await.unwrap();
        converses(stream, at_client_manner).await
    };
    let (at_server, at_client) = tokio::join!(serving, asking);
    assert!(at_server.0 == manners[1].all() && at_client.0 == manners[0].all());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        // A case that fails takes its time.
        max_shrink_iters: 16,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_one_end_writes_the_other_reads(
        schedule in schedule(),
        pipe in prop_oneof![20usize..200, Just(8192usize)],
        version in 0usize..2,
        manners in [manner(), manner()],
    ) {
        run(async {
            let (at_server, at_client) = choppy_pipe(pipe, &schedule);
            is_answered(at_server, at_client, version, manners).await;
        });
    }

    /// Fresh keys, tickets, and handshakes and data in tiny records are the peer's affair.
    #[test]
    fn what_rustls_writes_is_read_and_what_is_written_it_reads(
        schedule in schedule(),
        pipe in prop_oneof![20usize..200, Just(8192usize)],
        version in 0usize..2,
        manners in [manner(), manner()],
        is_server in any::<bool>(),
        updates in any::<bool>(),
        tickets in 0usize..5,
        fragment in prop_oneof![Just(None), (32usize..300).prop_map(Some)],
    ) {
        run(async {
            let (near, far) = choppy_pipe(pipe, &schedule);
            let (mut server, mut client) = ends(version);
            server.send_tls13_tickets = tickets;
            (server.max_fragment_size, client.max_fragment_size) = (fragment, fragment);
            let [manner, of_peer] = manners;
            let near = async {
                let stream = match is_server {
                    true => ENDS.server.accept(near).await,
                    false => ENDS.client.connect(near, "localhost").await,
                };
                converses(stream.unwrap(), manner.clone()).await
            };
            let peer = if is_server { Peer::client(client) } else { Peer::server(server) };
            let far = plays(peer, far, of_peer.pieces(), updates && version == 1);
            let (near, far) = tokio::join!(near, far);
            assert!(near.0 == of_peer.all() && far == manner.all());
        });
    }

    #[test]
    fn tls_goes_through_tls(
        schedule in schedule(),
        versions in [0usize..2, 0usize..2],
        manners in [manner(), manner()],
    ) {
        run(async {
            let (at_server, at_client) = choppy_pipe(8192, &schedule);
            let (server, client) = ends(versions[0]);
            let server = TlsServer::from_rustls_0_23(Arc::new(server));
            let client = Tls::from_rustls_0_23(Arc::new(client));
            let both =
                tokio::join!(server.accept(at_server), client.connect(at_client, "localhost"));
            is_answered(both.0.unwrap(), both.1.unwrap(), versions[1], manners).await;
        });
    }
}

/// What is small goes out in one record, whatever the pieces, and what is empty in none.
#[test]
fn small_pieces_share_a_record() {
    for role in [Role::Server, Role::Client] {
        run(async move {
            let (near, far) = tokio::io::duplex(1 << 20);
            let (server, client) = ends(1);
            let peer = match role {
                Role::Server => Peer::client(client),
                Role::Client => Peer::server(server),
            };
            let near = async {
                let mut stream = match role {
                    Role::Server => ENDS.server.accept(near).await.unwrap(),
                    Role::Client => ENDS.client.connect(near, "localhost").await.unwrap(),
                };
                assert_eq!(stream.write(&[]).await.unwrap(), 0);
                let pieces = [&b"a"[..], b"", b"bc", b"def", b""].map(IoSlice::new);
                assert_eq!(stream.write_vectored(&pieces).await.unwrap(), 6);
                stream.shutdown().await.unwrap();
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await.unwrap();
                // The end has been said.
                assert!(stream.write(b"more").await.is_err());
            };
            assert_eq!(tokio::join!(near, plays(peer, far, Vec::new(), false)).1, b"abcdef");
        });
    }
}

/// Who has not said so, whoever it is, can't be taken for somebody else.
#[tokio::test]
async fn a_stream_of_another_authority_is_refused_on_both_ends() {
    let other = Authority::new("another root");
    let (at_server, at_client) = tokio::io::duplex(1 << 16);
    let client = other.trusted();
    let both = tokio::join!(ENDS.server.accept(at_server), client.connect(at_client, "localhost"));
    assert_eq!(both.1.unwrap_err().kind(), towline::ErrorKind::CertificateUntrusted);
    let error = both.0.unwrap_err();
    assert_eq!(error.kind(), towline::ErrorKind::Tls);
    assert!(error.to_string().contains("UnknownCA"), "{error}");
}
