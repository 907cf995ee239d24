//! The connection that puts as much load on the server as it can.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::process::setpriority_process;
use serde::Serialize;

use crate::connecting::connect_to;
use crate::frames::{Compression, Shape, Traffic};

/// The kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Greed {
    /// No load
    None,
    /// Sends messages as fast as it can, and reads the echoes
    Flood,
    /// Sends messages as fast as it can, and reads nothing
    Unread,
    /// Sends empty fragments as fast as it can
    Fragments,
    /// Requests `/push`, and reads all messages
    Push,
    /// Requests `/broadcast`; all connections read all messages
    Broadcast,
    /// Makes the server ping all connections at once
    Keepalive,
}

/// The number of empty fragments in a message, within the limits of all servers.
const FRAGMENTS: usize = 60_000;

/// The most time until the end is noticed.
const TICK: Duration = Duration::from_millis(50);

/// An unsolicited pong, which the peer does not answer.
pub(crate) const SIGN_OF_LIFE: [u8; 6] = [0x8a, 0x80, 1, 2, 3, 4];

/// The load in the measured interval.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) is_over: AtomicBool,
    sent: AtomicU64,
    received: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Bytes {
    sent: u64,
    received: u64,
}

impl Progress {
    pub(crate) fn look(&self) -> Bytes {
        Bytes { sent: self.sent.load(Relaxed), received: self.received.load(Relaxed) }
    }
}

impl Bytes {
    pub(crate) fn since(self, earlier: Bytes) -> Bytes {
        Bytes { sent: self.sent - earlier.sent, received: self.received - earlier.received }
    }
}

/// Runs the load until the end.
///
/// # Errors
///
/// If the connection fails, or is lost before the end.
pub(crate) fn run(
    greed: Greed,
    address: SocketAddr,
    shape: Shape,
    held: &[TcpStream],
    progress: &Progress,
) -> Result<()> {
    yield_to_others();
    let (resource, offer) = match greed {
        Greed::None | Greed::Keepalive => return Ok(()),
        Greed::Push => ("/push", Compression::Off),
        Greed::Broadcast => ("/broadcast", Compression::Off),
        Greed::Fragments => ("/", Compression::Off),
        Greed::Flood | Greed::Unread => ("/", shape.compression),
    };
    let stream = connect_to(address, resource, offer)?;
    stream.set_read_timeout(Some(TICK))?;
    stream.set_write_timeout(Some(TICK))?;
    let wire = match greed {
        Greed::Flood | Greed::Unread => Traffic::new(shape, 1).wire,
        Greed::Fragments => fragments(FRAGMENTS),
        _ => Vec::new(),
    };
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            yield_to_others();
            match greed {
                Greed::Unread => Ok(()),
                Greed::Broadcast => drain_all(held, &stream, progress),
                _ => drain(&stream, progress),
            }
        });
        let written = if wire.is_empty() { Ok(()) } else { flood(&stream, &wire, progress) };
        let read = reading.join().unwrap_or(Ok(()));
        written.context("cannot write").and(read.context("cannot read"))
    })
}

/// Lowers the priority, so that the measuring threads go first on a shared core.
fn yield_to_others() {
    // If this fails, the latencies are a little larger.
    let _ = setpriority_process(None, 19);
}

/// Writes these bytes cyclically.
fn flood(mut stream: &TcpStream, wire: &[u8], progress: &Progress) -> Result<()> {
    // The bytes of one write: hundreds of short messages.
    let round = wire.repeat((64 << 10) / wire.len() + 1);
    let mut next = 0;
    while !progress.is_over.load(Relaxed) {
        match stream.write(&round[next..]) {
            Ok(written) => {
                progress.sent.fetch_add(written as u64, Relaxed);
                next = (next + written) % round.len();
            }
            Err(error) if is_for_now(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Reads and discards.
fn drain(mut stream: &TcpStream, progress: &Progress) -> Result<()> {
    let mut buffer = vec![0; 256 << 10];
    while !progress.is_over.load(Relaxed) {
        match stream.read(&mut buffer) {
            Ok(0) => return Err(std::io::Error::from(ErrorKind::UnexpectedEof).into()),
            Ok(read) => {
                progress.received.fetch_add(read as u64, Relaxed);
            }
            Err(error) if is_for_now(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The same on many connections.
fn drain_all(held: &[TcpStream], own: &TcpStream, progress: &Progress) -> Result<()> {
    let all: Vec<_> = held.iter().chain([own]).collect();
    let poll = epoll::create(CreateFlags::CLOEXEC).context("cannot create an epoll")?;
    for (number, stream) in all.iter().enumerate() {
        epoll::add(&poll, stream, EventData::new_u64(number as u64), EventFlags::IN)?;
    }
    let (mut events, mut buffer) = (Vec::<Event>::with_capacity(512), vec![0; 64 << 10]);
    let tick = Timespec { tv_sec: 0, tv_nsec: TICK.subsec_nanos().into() };
    while !progress.is_over.load(Relaxed) {
        events.clear();
        epoll::wait(&poll, spare_capacity(&mut events), Some(&tick))?;
        for event in events.iter().copied() {
            // The socket is readable, so this does not block.
            let mut stream = all[usize::try_from(event.data.u64())?];
            let read = stream.read(&mut buffer)?;
            ensure!(read > 0, "a connection is lost");
            progress.received.fetch_add(read as u64, Relaxed);
        }
    }
    Ok(())
}

fn is_for_now(error: &std::io::Error) -> bool {
    [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::Interrupted].contains(&error.kind())
}

/// Returns one text message of this many empty frames.
fn fragments(count: usize) -> Vec<u8> {
    let mut wire = [0x00, 0x80, 1, 2, 3, 4].repeat(count);
    wire[0] = 0x01;
    let last = wire.len() - SIGN_OF_LIFE.len();
    wire[last] |= 0x80;
    wire
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_fragments_are_one_message() {
        let wire = fragments(3);
        let firsts: Vec<_> = wire.chunks(6).map(|frame| (frame[0], frame[1])).collect();
        assert_eq!(firsts, [(0x01, 0x80), (0x00, 0x80), (0x80, 0x80)]);
        assert_eq!(fragments(1)[0], 0x81);
    }

    #[test]
    fn progress_is_what_came_since_an_earlier_look() {
        let progress = Progress::default();
        progress.sent.fetch_add(5, Relaxed);
        let earlier = progress.look();
        progress.sent.fetch_add(7, Relaxed);
        progress.received.fetch_add(1, Relaxed);
        assert_eq!(progress.look().since(earlier), Bytes { sent: 7, received: 1 });
    }
}
