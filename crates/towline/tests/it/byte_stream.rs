//! A connection as a stream of bytes, over binary messages.

use std::future::poll_fn;
use std::io::{ErrorKind as Io, IoSlice};
use std::pin::{Pin, pin};
use std::task::Poll;

use proptest::prelude::*;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
    copy_bidirectional, duplex,
};
use towline::{ByteStream, Config, Connection, Error, ErrorKind, Keepalive, Opcode, Role};
use towline_kit::{frame, join};

use crate::choppy::choppy_pair;
use crate::endless::{Bystander, Count, Endless};
use crate::support::{pair, pair_with_pipe};
use crate::wire::{Far, connect, settle};

const BOTH: [Role; 2] = [Role::Server, Role::Client];

fn config() -> Config {
    Config::server().keepalive(None::<Keepalive>)
}

fn stream(role: Role, config: &Config) -> (ByteStream, Far) {
    let (connection, far) = connect(role, config);
    (connection.into_byte_stream(), far)
}

/// What both ends of a pair are.
fn streams() -> [ByteStream; 2] {
    let (server, client) = pair(&config(), &config());
    [server.into_byte_stream(), client.into_byte_stream()]
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect()
}

/// Writes all, and drops each write after so many polls.
async fn write_impatiently(to: &mut (impl AsyncWrite + Unpin), all: &[u8], steps: &[u8]) {
    let mut rest = all;
    let mut steps = steps.iter().cycle();
    let mut calls = 0;
    while !rest.is_empty() {
        calls += 1;
        let step = usize::from(*steps.next().unwrap()) + 1;
        let mut polls = step;
        let (first, second) = rest[..rest.len().min(step * 700)].split_at(rest.len().min(step));
        let slices = [IoSlice::new(first), IoSlice::new(&[]), IoSlice::new(second)];
        let wrote = {
            let mut write = pin!(async {
                match calls % 3 {
                    0 => to.write_vectored(&slices).await,
                    1 => to.write(&rest[..rest.len().min(step * 700)]).await,
                    _ => to.flush().await.map(|()| 0),
                }
            });
            poll_fn(|cx| match write.as_mut().poll(cx) {
                Poll::Ready(wrote) => Poll::Ready(wrote.unwrap()),
                Poll::Pending => {
                    polls -= 1;
                    if polls == 0 { Poll::Ready(0) } else { Poll::Pending }
                }
            })
            .await
        };
        rest = &rest[wrote..];
        if wrote == 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// Reads to the end, and drops each read after so many polls.
async fn read_impatiently(from: &mut (impl AsyncRead + Unpin), steps: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    let mut steps = steps.iter().cycle();
    loop {
        let step = usize::from(*steps.next().unwrap()) + 1;
        let mut polls = step;
        let mut buffer = vec![0; step * 13];
        let read = {
            let mut read = pin!(from.read(&mut buffer));
            poll_fn(|cx| match read.as_mut().poll(cx) {
                Poll::Ready(read) => Poll::Ready(Some(read.unwrap())),
                Poll::Pending => {
                    polls -= 1;
                    if polls == 0 { Poll::Ready(None) } else { Poll::Pending }
                }
            })
            .await
        };
        match read {
            Some(0) => return all,
            Some(count) => all.extend_from_slice(&buffer[..count]),
            None => tokio::task::yield_now().await,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever the transport does, and whichever futures are dropped.
    #[test]
    fn the_bytes_that_are_written_are_read(
        len in 0usize..60_000,
        pipe in 30usize..5000,
        mark in 0usize..20_000,
        schedule in prop::collection::vec(prop_oneof![1 => Just(0u16), 3 => 1u16..3000], 2..9),
        steps in prop::collection::vec(0u8..40, 1..9),
    ) {
        prop_assume!(schedule.iter().any(|budget| *budget > 0));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let read = runtime.block_on(async {
            let config = config().send_high_water_mark(mark).send_timeout(None);
            let (one, other) = choppy_pair(&config, pipe, &schedule);
            let (mut one, mut other) = (one.into_byte_stream(), other.into_byte_stream());
            let (all, steps_too) = (bytes(len), steps.clone());
            let writing = tokio::spawn(async move {
                write_impatiently(&mut one, &all, &steps_too).await;
                one.shutdown().await.unwrap();
                one
            });
            let read = read_impatiently(&mut other, &steps).await;
            assert_eq!(read_impatiently(&mut writing.await.unwrap(), &steps).await, [0; 0]);
            read
        });
        prop_assert!(read == bytes(len));
    }
}

#[tokio::test(start_paused = true)]
async fn messages_in_any_fragments_are_one_stream() {
    for role in BOTH {
        let (mut stream, far) = stream(role, &config());
        far.says_all([
            frame().binary("ship").fin(false),
            frame().ping("?"),
            frame().continuation("").fin(false),
            frame().continuation(" a"),
            frame().binary(""),
            frame().binary("ho"),
        ]);
        let mut read = [0; 8];
        stream.read_exact(&mut read).await.unwrap();
        assert_eq!(read, *b"ship aho");
        far.says_all([frame().binary("y\nand"), frame().close(1000, "")]);
        far.ends();
        let mut lines = stream.lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("y"));
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("and"));
        assert_eq!(lines.next_line().await.unwrap(), None);
        settle().await;
        let opcodes: Vec<_> = far.hears().iter().map(|heard| heard.opcode()).collect();
        assert_eq!(opcodes, [Opcode::Pong, Opcode::Close]);
    }
}

/// No limit for messages holds where no message is held.
#[tokio::test(start_paused = true)]
async fn a_message_that_is_larger_than_the_limit_is_read() {
    let config = config().max_received_message_size(10).max_received_frame_size(10);
    for role in BOTH {
        let (mut stream, far) = stream(role, &config);
        far.says_all([frame().binary(bytes(200_000)), frame().binary(bytes(11))]);
        let mut read = vec![0; 200_011];
        stream.read_exact(&mut read).await.unwrap();
        assert_eq!(read, [bytes(200_000), bytes(11)].concat());
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_is_an_end_after_a_clean_close_and_else_an_error() {
    for role in BOTH {
        let cut = || frame().binary("cut").fin(false);
        let whole = || frame().binary("cut");
        let closes = |code: u16| frame().close(code, "so it is");
        for (says, expected) in [
            (vec![whole(), closes(1000)], None),
            (vec![whole(), closes(1001)], None),
            (vec![whole(), frame().close_with([])], None),
            (vec![whole()], Some((Io::UnexpectedEof, Some(ErrorKind::ConnectionLost)))),
            (vec![cut()], Some((Io::UnexpectedEof, Some(ErrorKind::ConnectionLost)))),
            (vec![cut(), closes(1000)], Some((Io::UnexpectedEof, None))),
            (
                vec![whole(), closes(1011)],
                Some((Io::ConnectionAborted, Some(ErrorKind::ClosedByPeer))),
            ),
            (
                vec![whole(), frame().opcode(3)],
                Some((Io::InvalidData, Some(ErrorKind::PeerViolation))),
            ),
        ] {
            let (mut stream, far) = stream(role, &config());
            far.says_all(says.clone());
            far.ends();
            let mut read = Vec::new();
            for _ in 0..3 {
                let result = stream.read_to_end(&mut read).await;
                assert_eq!(read, b"cut");
                let Some((io, kind)) = expected else {
                    result.unwrap();
                    continue;
                };
                let error = result.unwrap_err();
                assert_eq!(error.kind(), io, "{error}");
                let own = error.get_ref().and_then(|own| own.downcast_ref::<Error>());
                assert_eq!(own.map(Error::kind), kind, "{error}");
            }
        }
        let (mut stream, far) = stream(role, &config());
        far.fails(Io::ConnectionReset);
        let error = stream.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), Io::ConnectionReset);
    }
}

#[tokio::test(start_paused = true)]
async fn text_is_refused_with_1003_unless_it_is_accepted() {
    for role in BOTH {
        let (mut refusing, far) = stream(role, &config());
        far.says_all([frame().binary("ship"), frame().text(" ahoy")]);
        let mut read = Vec::new();
        for _ in 0..2 {
            let error = refusing.read_to_end(&mut read).await.unwrap_err();
            assert_eq!((error.kind(), &read[..]), (Io::InvalidData, &b"ship"[..]));
            assert!(error.to_string().contains("text message"), "{error}");
        }
        settle().await;
        assert_eq!(far.hears().last().unwrap().close().code().get(), 1003);
        assert_eq!(refusing.write(b"late").await.unwrap_err().kind(), Io::BrokenPipe);
        // The close completes although nobody reads on.
        far.says(frame().close(1003, ""));
        far.ends();
        settle().await;
        assert!(far.is_dropped() && refusing.closed().unwrap().is_clean());

        let (accepting, far) = stream(role, &config());
        far.says_all([frame().binary("ship"), frame().text(" ahoy"), frame().close(1000, "")]);
        let mut accepting = accepting.accept_text(true);
        accepting.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"shipship ahoy");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_makes_the_writer_wait() {
    for role in BOTH {
        let config = config().send_high_water_mark(100_000).send_timeout(None);
        let (stream, far) = stream(role, &config);
        far.stalls();
        let sender = stream.sender().clone();
        let (_reader, mut writer) = stream.into_split();
        let writing = tokio::spawn(async move {
            writer.write_all(&bytes(1 << 20)).await.unwrap();
            writer.flush().await.unwrap();
            writer
        });
        for _ in 0..3 {
            settle().await;
            assert!(!writing.is_finished());
            let queued = sender.queued_bytes();
            assert!((80_000..140_000).contains(&queued), "{queued} bytes are queued");
            far.takes(50_000);
        }
        far.flows();
        settle().await;
        assert!(writing.is_finished());
        let payload: Vec<u8> = far.hears().into_iter().flat_map(|heard| heard.payload).collect();
        assert!(payload == bytes(1 << 20));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_written_in_one_turn_leaves_together_and_without_a_flush() {
    for role in BOTH {
        let (mut stream, far) = stream(role, &config());
        for _ in 0..100 {
            assert_eq!(stream.write(b"0123456789").await.unwrap(), 10);
        }
        assert_eq!(stream.write(b"").await.unwrap(), 0);
        settle().await;
        let writes = far.writes();
        assert!(writes.len() <= 2, "{writes:?}");
        let heard = far.hears();
        assert_eq!(heard.len(), 100);
        assert!(heard.iter().all(|one| one.is_fin() && one.opcode() == Opcode::Binary));
    }
}

#[tokio::test(start_paused = true)]
async fn slices_become_one_message() {
    let (mut stream, far) = stream(Role::Client, &config());
    assert!(stream.is_write_vectored());
    let long = bytes(20_000);
    for (slices, messages) in [
        (&[&b"ship"[..], b"", b" ahoy"][..], &[&b"ship ahoy"[..]][..]),
        (&[&long, b"more"], &[&long[..16 << 10]]),
        (&[b"more", &long], &[&[b"more", &long[..(16 << 10) - 4]].concat()]),
        (&[b"", b"one", b""], &[b"one"]),
        (&[], &[]),
        (&[b"", b""], &[]),
    ] {
        let slices: Vec<_> = slices.iter().map(|slice| IoSlice::new(slice)).collect();
        let count = stream.write_vectored(&slices).await.unwrap();
        stream.flush().await.unwrap();
        let heard: Vec<_> = far.hears().into_iter().map(|heard| heard.payload).collect();
        assert_eq!(heard, messages);
        assert_eq!(count, heard.concat().len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_is_a_close_and_what_the_peer_had_sent_can_still_be_read() {
    for role in BOTH {
        let (mut stream, far) = stream(role, &config());
        far.stalls();
        stream.write_all(b"last").await.unwrap();
        let mut shutdown = pin!(stream.shutdown());
        for _ in 0..3 {
            let polled = poll_fn(|cx| Poll::Ready(shutdown.as_mut().poll(cx))).await;
            assert!(polled.is_pending());
            settle().await;
        }
        far.flows();
        shutdown.await.unwrap();
        let heard = far.hears();
        assert_eq!(
            (heard[0].payload.as_slice(), heard[1].close().code().get()),
            (&b"last"[..], 1000)
        );
        far.says_all([frame().binary("in flight"), frame().close(1000, "")]);
        far.ends();
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"in flight");
        assert!(stream.closed().unwrap().is_clean());
        stream.shutdown().await.unwrap();
        assert_eq!(stream.write(b"late").await.unwrap_err().kind(), Io::BrokenPipe);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_closes_with_1001() {
    let (whole, far) = stream(Role::Server, &config());
    drop(whole);
    settle().await;
    assert_eq!(far.hears()[0].close().code().get(), 1001);

    let (stream, far) = stream(Role::Server, &config());
    let (reader, mut writer) = stream.into_split();
    drop(reader);
    writer.write_all(b"still").await.unwrap();
    settle().await;
    drop(writer);
    settle().await;
    let heard = far.hears();
    assert_eq!(heard[0].payload, b"still");
    assert_eq!(heard[1].close().code().get(), 1001);
}

/// Each direction waits for the other, in a task of its own.
#[tokio::test(start_paused = true)]
async fn the_halves_work_in_two_tasks_however_they_were_split() {
    async fn echoes(
        mut reader: impl AsyncRead + Unpin + Send + 'static,
        mut writer: impl AsyncWrite + Unpin + Send + 'static,
        far: ByteStream,
    ) {
        let echo = tokio::spawn(async move {
            let (mut reader, mut writer) = far.into_split();
            tokio::io::copy_buf(&mut tokio::io::BufReader::new(&mut reader), &mut writer).await
        });
        let writing = tokio::spawn(async move {
            writer.write_all(&bytes(3 << 20)).await.unwrap();
            writer.flush().await.unwrap();
            writer
        });
        let mut read = vec![0; 3 << 20];
        reader.read_exact(&mut read).await.unwrap();
        assert!(read == bytes(3 << 20));
        let mut writer = writing.await.unwrap();
        writer.shutdown().await.unwrap();
        assert_eq!(reader.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(echo.await.unwrap().unwrap(), 3 << 20);
    }
    let [near, far] = streams();
    let (reader, writer) = tokio::io::split(near);
    echoes(reader, writer, far).await;
    let [near, far] = streams();
    let (reader, writer) = near.into_split();
    echoes(reader, writer, far).await;
    let (near, far) = pair(&config(), &config());
    let (sender, receiver) = near.split();
    let (reader, writer) = (receiver.into_byte_reader(), sender.into_byte_writer());
    echoes(reader, writer, far.into_byte_stream()).await;
}

/// program ═ duplex ═ tunnel ═ WebSocket ═ tunnel ═ duplex ═ service
#[tokio::test(start_paused = true)]
async fn copy_bidirectional_makes_a_tunnel_that_ends_with_its_program() {
    let config = config().send_high_water_mark(1000);
    let (server, client) = pair_with_pipe(&config, &config, 700);
    let (mut program, mut near) = duplex(300);
    let (mut far, service) = duplex(300);
    let mut tunnel = client.into_byte_stream();
    let entry = tokio::spawn(async move { copy_bidirectional(&mut near, &mut tunnel).await });
    let mut tunnel = server.into_byte_stream();
    let exit = tokio::spawn(async move { copy_bidirectional(&mut tunnel, &mut far).await });
    tokio::spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(service);
        tokio::io::copy(&mut reader, &mut writer).await
    });
    let mut read = [0; 10_000];
    for round in 0..20 {
        let sent = bytes(10_000 - round);
        let (mut reader, mut writer) = tokio::io::split(&mut program);
        let read = &mut read[..sent.len()];
        let (wrote, received) = tokio::join!(writer.write_all(&sent), reader.read_exact(read));
        wrote.and(received.map(drop)).unwrap();
        assert!(read == sent);
    }
    drop(program);
    let total = (0..20).map(|round| 10_000 - round).sum::<u64>();
    assert_eq!(entry.await.unwrap().unwrap(), (total, total));
    assert_eq!(exit.await.unwrap().unwrap(), (total, total));
}

#[tokio::test(start_paused = true)]
async fn who_reads_or_writes_without_an_end_lets_others_run() {
    /// So many bytes are moved at the most before others have their turn, and so many of frames
    /// without payload.
    const BYTES: usize = 8 << 20;
    const EMPTY: usize = 256 << 10;
    let endless = |says: Vec<u8>| {
        let endless = Endless::new([], says);
        let read = endless.read.clone();
        let connection =
            Connection::from_stream(endless, Role::Client, &config(), [].as_slice().into());
        (connection.into_byte_stream(), read)
    };
    let [first, more] = [frame().binary("").fin(false), frame().continuation("").fin(false)];
    for (says, bound) in [
        (frame().binary(bytes(1000)).bytes(), BYTES),
        (frame().binary("").bytes(), EMPTY),
        (join([vec![first], vec![more; 999], vec![frame().continuation("")]].concat()), EMPTY),
    ] {
        let (mut stream, read) = endless(says);
        let bystander = Bystander::of(&read);
        let reading = tokio::spawn(async move {
            let mut buffer = vec![0; 64 << 10];
            while stream.read(&mut buffer).await.unwrap() > 0 {}
        });
        while read.get() < 2 * bound {
            tokio::task::yield_now().await;
        }
        reading.abort();
        let most = bystander.most().await;
        assert!(most <= bound, "{most} bytes");
    }
    let (mut stream, _) = endless(Vec::new());
    let written = Count::default();
    let counted = written.clone();
    let bystander = Bystander::of(&written);
    let writing = tokio::spawn(async move {
        loop {
            counted.add(stream.write(&[7; 1000]).await.unwrap());
        }
    });
    while written.get() < 2 * BYTES {
        tokio::task::yield_now().await;
    }
    writing.abort();
    let most = bystander.most().await;
    assert!(most <= BYTES, "{most} bytes");
}

/// What a task may have to be.
#[test]
fn a_byte_stream_can_go_anywhere() {
    fn is<T: Send + Sync + Unpin + 'static>() {}
    is::<ByteStream>();
    is::<towline::ByteReader>();
    is::<towline::ByteWriter>();
    is::<towline::MessageWriter>();
    let _ = |stream: ByteStream| -> Pin<Box<dyn AsyncRead + Send>> { Box::pin(stream) };
}
