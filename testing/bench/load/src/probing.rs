//! Connections that measure their latency while another connection is under load.

use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::connecting::{PATIENCE, connect};
use crate::frames::{Compression, Expected, Kind, Shape, Traffic};
use crate::latencies::Latencies;

/// Their message: 32 bytes, different from every unsolicited message of a server.
const SHAPE: Shape = Shape { kind: Kind::Binary, size: 32, compression: Compression::Off };

/// The interval between messages, unless an echo takes longer.
const INTERVAL: Duration = Duration::from_millis(1);

/// The measured interval, and the deadline for echoes.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) first: Instant,
    pub(crate) last: Instant,
    pub(crate) end: Instant,
}

pub(crate) struct Probe {
    stream: BufReader<TcpStream>,
    traffic: Traffic,
    expected: Expected,
}

impl Probe {
    /// # Errors
    ///
    /// If the server fails, or does not echo a first message.
    pub(crate) fn open(address: SocketAddr, count: usize) -> Result<Vec<Self>> {
        let streams = connect(address, count, count, SHAPE.compression)?;
        let mut probes: Vec<_> = streams
            .into_iter()
            .map(|stream| {
                let traffic = Traffic::new(SHAPE, 1);
                let expected = Expected::new(&traffic, false, 1);
                Self { stream: BufReader::new(stream), traffic, expected }
            })
            .collect();
        for probe in &mut probes {
            let deadline = Instant::now() + PATIENCE;
            ensure!(probe.echo(0, deadline)?, "no echo before anything else was done");
        }
        Ok(probes)
    }

    /// Sends one message after the other until the last moment of the window.
    ///
    /// # Errors
    ///
    /// If the connection is lost, or a reply is not an echo.
    pub(crate) fn run(mut self, window: Window) -> Result<Latencies> {
        let mut latencies = Latencies::default();
        for number in 0.. {
            let sent = Instant::now();
            if sent >= window.last {
                break;
            }
            let came = self.echo(number % self.expected.frames(), window.end)?;
            let (took, now) = (sent.elapsed(), Instant::now());
            if !came {
                latencies.add_unanswered(took, INTERVAL);
                break;
            }
            if now >= window.first {
                latencies.add(took, INTERVAL);
            }
            sleep(INTERVAL.saturating_sub(took));
        }
        Ok(latencies)
    }

    /// Returns whether the echo arrived in time.
    fn echo(&mut self, slot: usize, deadline: Instant) -> Result<bool> {
        let from = self.traffic.length(0, slot as u64);
        let from = usize::try_from(from)?;
        let length = usize::try_from(self.traffic.length(slot as u64, 1))?;
        // There is room for a few bytes, since the previous message was answered.
        self.stream.get_mut().write_all(&self.traffic.wire[from..from + length])?;
        match read_echo(&mut self.stream, self.expected.frame(slot), deadline) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(false),
            Err(error) => Err(error).context("a connection with little to say"),
        }
    }
}

/// Reads until this frame arrives, and skips other kinds of frames, such as broadcasts.
fn read_echo(
    stream: &mut BufReader<TcpStream>,
    expected: &[u8],
    deadline: Instant,
) -> io::Result<()> {
    let is_ours = |head: [u8; 2]| head[0] == expected[0];
    loop {
        let mut head = [0; 2];
        read(stream, &mut head, deadline)?;
        let mut length = usize::from(head[1]);
        if length == 126 {
            let mut long = [0; 2];
            read(stream, &mut long, deadline)?;
            length = usize::from(u16::from_be_bytes(long));
        } else if length > 126 {
            return Err(io::Error::other("a frame that is masked or much too long"));
        }
        let mut payload = vec![0; length];
        read(stream, &mut payload, deadline)?;
        if is_ours(head) {
            let is_echo = expected[2..] == payload[..];
            return if is_echo { Ok(()) } else { Err(io::Error::other("no echo")) };
        }
    }
}

/// Fills the buffer before the deadline, or fails with [`ErrorKind::TimedOut`].
fn read(
    stream: &mut BufReader<TcpStream>,
    mut into: &mut [u8],
    deadline: Instant,
) -> io::Result<()> {
    while !into.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        if stream.buffer().is_empty() {
            stream.get_ref().set_read_timeout(Some(left))?;
        }
        match stream.read(into) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => into = &mut into[read..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Returns the result of these bytes from a server for a connection that awaits this echo.
    fn received(bytes: &[u8], patience: Duration) -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let stream = TcpStream::connect(listener.local_addr()?)?;
        let (mut server, _) = listener.accept()?;
        server.write_all(bytes)?;
        if !patience.is_zero() {
            drop(server);
        }
        read_echo(&mut BufReader::new(stream), &[0x82, 2, 7, 8], Instant::now() + patience)
    }

    fn failure(bytes: &[u8]) -> ErrorKind {
        received(bytes, PATIENCE).expect_err("no echo").kind()
    }

    #[test]
    fn what_others_are_sent_is_passed_over() {
        let broadcast = [vec![0x81, 3, 1, 2, 3], vec![0x81, 126, 0, 200], vec![9; 200]].concat();
        let bytes = [&broadcast[..], &[0x89, 0], &[0x82, 2, 7, 8]].concat();
        assert!(received(&bytes, PATIENCE).is_ok());
        assert_eq!(failure(&broadcast), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_no_echo_is_refused() {
        for bytes in [&[0x82, 2, 7, 9][..], &[0x82, 1, 7], &[0x82, 0x82, 0, 0, 0, 0, 7, 8]] {
            assert_eq!(failure(bytes), ErrorKind::Other, "{bytes:?}");
        }
        assert_eq!(failure(&[0x82, 2, 7]), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn after_the_deadline_nothing_is_waited_for() {
        let error = received(&[], Duration::ZERO).expect_err("no echo");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}
