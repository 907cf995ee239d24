//! Byte streams over a transport that is short, not ready, or fails, with calls that are dropped.
//!
//! What was written is read, in order, whatever becomes of the calls: all of it, unless the transport
//! fails. Both directions end.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time;
use towline::{ByteReader, ByteWriter, Config, Connection, Role};

use crate::settings;
use crate::transport::{Scripted, runtime};

const LONG: Duration = Duration::from_secs(600);

pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let _ = runtime().block_on(check(&mut input));
}

#[derive(Debug, arbitrary::Arbitrary)]
enum Does {
    Write(u16),
    /// Polls a write once, and drops it if it has to wait.
    TryWrite(u16),
    Flush,
    Sleep(u8),
}

async fn check(input: &mut Unstructured<'_>) -> Result<()> {
    let may_fail = input.ratio(1, 4)?;
    let (one, other) = tokio::io::duplex(*input.choose(&[1, 60, 1_000, 70_000])?);
    let one = Scripted::new(one, input.arbitrary()?, may_fail);
    let other = Scripted::new(other, input.arbitrary()?, may_fail);
    let config = |input: &mut Unstructured<'_>| {
        let small = settings::config(input)?;
        let most = usize::from(input.arbitrary::<u8>()?) * 3;
        Ok(Config::client()
            .fragment_outgoing_messages(small.fragment_outgoing_messages)
            .fragmentation_threshold(small.fragmentation_threshold)
            // A byte stream receives messages longer than that.
            .max_received_message_size(most)
            .send_high_water_mark(small.send_high_water_mark)
            .max_received_control_rate(None)
            .send_timeout(None)
            .keepalive(None)
            .close_timeout(LONG / 4))
    };
    let client = Connection::from_stream(one, Role::Client, &config(input)?, Bytes::new());
    let server = Connection::from_stream(other, Role::Server, &config(input)?, Bytes::new());
    let (their_reader, our_writer) = client.into_byte_stream().into_split();
    let (our_reader, their_writer) = server.into_byte_stream().into_split();
    let reads: Vec<u8> = input.arbitrary()?;
    let (ours, theirs): (Vec<Does>, Vec<Does>) = (input.arbitrary()?, input.arbitrary()?);

    let all = async {
        tokio::join!(
            write(our_writer, ours),
            write(their_writer, theirs),
            read(our_reader, &reads),
            read(their_reader, &reads),
        )
    };
    let ended = time::timeout(LONG, all).await;
    let (ours, theirs, their_read, our_read) = ended.expect("an end that never ended");
    for (written, read) in [(ours, their_read), (theirs, our_read)] {
        assert_eq!(read, part(0, read.len()), "what was read was never written");
        assert!(written == read.len() || may_fail, "{} of {written} bytes", read.len());
    }
    Ok(())
}

/// The bytes that are written from there on.
fn part(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(|at| (at ^ (at >> 8)).to_le_bytes()[0]).collect()
}

/// Writes, and shuts down. Returns how many bytes were written.
async fn write(mut writer: ByteWriter, does: Vec<Does>) -> usize {
    let mut written = 0;
    for does in does {
        match does {
            Does::Write(len) => {
                let bytes = part(written, len.into());
                if writer.write_all(&bytes).await.is_err() {
                    break;
                }
                written += bytes.len();
            }
            Does::TryWrite(len) => {
                let bytes = part(written, len.into());
                let polled = poll_once(writer.write(&bytes));
                let taken = match polled {
                    Poll::Pending => 0,
                    Poll::Ready(Ok(taken)) => taken,
                    Poll::Ready(Err(_)) => break,
                };
                written += taken;
            }
            Does::Flush => drop(writer.flush().await),
            Does::Sleep(milliseconds) => {
                time::sleep(Duration::from_millis(milliseconds.into())).await
            }
        }
    }
    let _ = writer.shutdown().await;
    written
}

/// Reads to the end, with buffers of these sizes. Every third read is dropped if it has to wait.
async fn read(mut reader: ByteReader, sizes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    let mut sizes = sizes.iter().copied();
    for turn in 0_usize.. {
        let mut buffer = vec![0; sizes.next().map_or(4_000, |size| usize::from(size) + 1)];
        let read = if turn.is_multiple_of(3) && sizes.len() > 0 {
            match poll_once(reader.read(&mut buffer)) {
                Poll::Ready(read) => read,
                Poll::Pending => continue,
            }
        } else {
            reader.read(&mut buffer).await
        };
        match read {
            Ok(0) | Err(_) => break,
            Ok(len) => all.extend_from_slice(&buffer[..len]),
        }
    }
    all
}

fn poll_once<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}
