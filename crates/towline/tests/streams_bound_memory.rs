//! What is streamed is not held: a gibibyte passes through less than a megabyte of memory.
//!
//! A binary of its own, since it counts what is allocated.

#![allow(clippy::unwrap_used, missing_docs)]

use std::pin::Pin;

use bytes::Bytes;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, duplex,
};
use towline::{Config, Connection, Keepalive, MessageKind, Role};
use towline_kit::frame;

const GIBIBYTE: u64 = 1 << 30;
const MEMORY: u64 = 1 << 20;
const CHUNK: &[u8] = &[b'x'; 64 << 10];

/// What is on the heap at the same time, at the most, while this runs.
fn peak(future: impl Future<Output = ()>) -> u64 {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().unwrap();
    let mut future = Some(future);
    allocation_counter::measure(|| runtime.block_on(future.take().unwrap())).bytes_max
}

fn pair() -> (Connection, Connection) {
    let config = Config::client().keepalive(None::<Keepalive>);
    let (at_server, at_client) = duplex(64 << 10);
    let end = |stream, role| Connection::from_stream(stream, role, &config, Bytes::new());
    (end(at_server, Role::Server), end(at_client, Role::Client))
}

/// Writes so many bytes.
async fn write(to: &mut (impl AsyncWrite + Unpin), len: u64) {
    for _ in 0..len / CHUNK.len() as u64 {
        to.write_all(CHUNK).await.unwrap();
    }
}

/// Reads to the end, and returns how much that was.
async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> u64 {
    let mut len = 0;
    loop {
        let bytes = from.fill_buf().await.unwrap();
        assert!(bytes.iter().step_by(1 << 10).all(|byte| *byte == b'x'));
        let count = bytes.len();
        if count == 0 {
            return len;
        }
        len += count as u64;
        Pin::new(&mut *from).consume(count);
    }
}

#[test]
fn a_message_of_a_gibibyte_passes_through_less_than_a_megabyte() {
    let most = peak(async {
        let (server, mut client) = pair();
        let sending = tokio::spawn(async move {
            let mut writer = server.message_writer(MessageKind::Binary);
            write(&mut writer, GIBIBYTE).await;
            writer.finish().await.unwrap();
            server
        });
        let mut reader = client.recv_reader().await.unwrap().unwrap();
        assert_eq!(read(&mut reader).await, GIBIBYTE);
        drop(reader);
        drop(sending.await.unwrap());
        assert_eq!(client.recv().await.unwrap(), None);
    });
    assert!(most < MEMORY, "{most} bytes");
}

#[test]
fn a_single_frame_of_a_gibibyte_passes_through_less_than_a_megabyte() {
    for reads in [true, false] {
        let most = peak(async {
            let (near, mut far) = duplex(64 << 10);
            let mut client =
                Connection::from_stream(near, Role::Client, &Config::client(), Bytes::new());
            let sending = tokio::spawn(async move {
                far.write_all(&frame().text("").announcing(GIBIBYTE).bytes()).await.unwrap();
                write(&mut far, GIBIBYTE).await;
                far.write_all(&frame().text("next").bytes()).await.unwrap();
                far
            });
            let mut reader = client.recv_reader().await.unwrap().unwrap();
            if reads {
                assert_eq!(read(&mut reader).await, GIBIBYTE);
            }
            drop(reader);
            // What nobody reads is dropped as it arrives.
            assert_eq!(client.recv().await.unwrap(), Some("next".into()));
            drop(sending.await.unwrap());
        });
        assert!(most < MEMORY, "{most} bytes");
    }
}

#[test]
fn a_stream_of_bytes_passes_through_less_than_a_megabyte_to_a_slow_reader() {
    const LEN: u64 = 64 << 20;
    let most = peak(async {
        let (server, client) = pair();
        let (mut from, mut to) = (server.into_byte_stream(), client.into_byte_stream());
        let sending = tokio::spawn(async move {
            write(&mut to, LEN).await;
            to.shutdown().await.unwrap();
            to
        });
        // As slow as it can be.
        for _ in 0..1000 {
            from.read_exact(&mut [0; 64]).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(read(&mut from).await, LEN - 64_000);
        drop(sending.await.unwrap());
    });
    assert!(most < MEMORY, "{most} bytes");
}

/// One that has read everything keeps no buffer.
#[test]
fn many_streams_that_are_idle_hold_little() {
    const STREAMS: u64 = 400;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut idle = Vec::new();
    let held = allocation_counter::measure(|| {
        runtime.block_on(async {
            for _ in 0..STREAMS / 2 {
                let config = Config::client().keepalive(None::<Keepalive>);
                let (at_server, at_client) = duplex(1 << 10);
                let end = |stream, role| {
                    Connection::from_stream(stream, role, &config, Bytes::new()).into_byte_stream()
                };
                let mut server = end(at_server, Role::Server);
                let mut client = end(at_client, Role::Client);
                for _ in 0..3 {
                    client.write_all(&[b'x'; 500]).await.unwrap();
                    client.flush().await.unwrap();
                    server.read_exact(&mut [0; 500]).await.unwrap();
                    // It waits for more.
                    let mut buffer = [0];
                    let more = std::pin::pin!(server.read(&mut buffer));
                    let waker = std::task::Waker::noop();
                    let polled = more.poll(&mut std::task::Context::from_waker(waker));
                    assert!(polled.is_pending());
                }
                idle.push([server, client]);
            }
        });
    });
    let each = u64::try_from(held.bytes_current).unwrap() / STREAMS;
    assert!(each < 8 << 10, "{each} bytes each");
    runtime.block_on(async { drop(idle) });
}
