//! The hand-written peers: a sink that checks messages, and a source of prebuilt frames.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use anyhow::{Context, Result, bail, ensure};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use towline_bench_serving::handshake::accept;

/// From this size in bytes, it is faster to let the kernel drop a payload than to copy it.
const WORTH_DROPPING: usize = 64 << 10;

/// The payload of one message in this many is compared.
const SAMPLE: u64 = 64;

/// The first byte of a close frame.
const CLOSE: u8 = 0x88;

/// Returns the payload of messages of this size.
pub(crate) fn payload(size: usize) -> Vec<u8> {
    (0..=250).cycle().take(size).collect()
}

/// Serves one connection after the other, until the process ends.
///
/// # Errors
///
/// If it cannot listen.
pub(crate) fn serve(size: usize, one: impl Fn(TcpStream, usize) -> Result<()>) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("listening {}", listener.local_addr()?);
    loop {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        if let Err(error) = upgrade(&mut stream).and_then(|()| one(stream, size)) {
            eprintln!("{error:#}");
        }
    }
}

fn upgrade(stream: &mut TcpStream) -> Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).context("no request")?;
        head.extend(byte);
        ensure!(head.len() < 4096, "the request is too long");
    }
    let head = String::from_utf8(head)?;
    let key = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
        .map(|(_, value)| value.trim())
        .context("the request has no Sec-WebSocket-Key")?;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept(key)
    );
    Ok(stream.write_all(answer.as_bytes())?)
}

/// Returns the header of a frame: a server's without the payload, a client's without key and payload.
fn header(size: usize, mask: u8) -> Vec<u8> {
    let mut header = vec![0x82];
    match (u8::try_from(size), u16::try_from(size)) {
        (Ok(size @ ..126), _) => header.push(mask | size),
        (_, Ok(size)) => {
            header.push(mask | 126);
            header.extend_from_slice(&size.to_be_bytes());
        }
        _ => {
            header.push(mask | 127);
            header.extend_from_slice(&(size as u64).to_be_bytes());
        }
    }
    header
}

/// Writes frames until the client disconnects.
///
/// # Errors
///
/// If writing fails other than by a disconnected client.
pub(crate) fn source(mut stream: TcpStream, size: usize) -> Result<()> {
    let frame = [header(size, 0), payload(size)].concat();
    let wire = frame.repeat(((128 << 10) / frame.len()).max(1));
    loop {
        match stream.write_all(&wire) {
            Ok(()) => {}
            Err(error) if is_end(&error) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_end(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

/// Reads masked frames of this size until the client disconnects.
///
/// # Errors
///
/// If it receives anything else.
pub(crate) fn sink(stream: TcpStream, size: usize) -> Result<()> {
    let mut frames = Frames::new(size);
    let mut buffer = vec![0; 256 << 10];
    let mut kept = 0;
    loop {
        let unseen = frames.unseen();
        let read = if kept == 0 && unseen >= WORTH_DROPPING {
            let most = unseen.min(buffer.len());
            recv(&stream, &mut buffer[..most], RecvFlags::TRUNC).map(|(_, read)| read)
        } else {
            recv(&stream, &mut buffer[kept..], RecvFlags::empty()).map(|(read, _)| read)
        };
        let read = match read {
            Ok(0) | Err(Errno::CONNRESET) => return Ok(()),
            Ok(read) => read,
            Err(error) => return Err(error.into()),
        };
        let have = kept + read;
        let rest = frames.take(&buffer[..have])?;
        buffer.copy_within(have - rest..have, 0);
        kept = rest;
    }
}

/// The position in the frames.
struct Frames {
    size: usize,
    header: Vec<u8>,
    payload: Vec<u8>,
    complete: u64,
    key: [u8; 4],
    /// The missing bytes of a payload.
    left: usize,
}

impl Frames {
    fn new(size: usize) -> Self {
        let (header, payload) = (header(size, 0x80), payload(size));
        Self { size, header, payload, complete: 0, key: [0; 4], left: 0 }
    }

    fn is_sampled(&self) -> bool {
        self.complete.is_multiple_of(SAMPLE)
    }

    /// Returns the number of next bytes that are not compared.
    fn unseen(&self) -> usize {
        if self.is_sampled() { 0 } else { self.left }
    }

    /// Takes the bytes read, except an incomplete header, and returns the length of that.
    fn take(&mut self, mut bytes: &[u8]) -> Result<usize> {
        while !bytes.is_empty() {
            if self.left == 0 {
                let head = self.header.len() + 4;
                if bytes.len() < head {
                    break;
                }
                // The client has sent everything.
                if bytes[0] == CLOSE {
                    return Ok(0);
                }
                if !bytes.starts_with(&self.header) {
                    bail!("{:02x?} is no frame that was to be sent", &bytes[..head]);
                }
                self.key.copy_from_slice(&bytes[head - 4..head]);
                self.left = self.size;
                bytes = &bytes[head..];
            }
            let (now, rest) = bytes.split_at(self.left.min(bytes.len()));
            if self.is_sampled() {
                self.compare(now)?;
            }
            self.left -= now.len();
            self.complete += u64::from(self.left == 0);
            bytes = rest;
        }
        Ok(bytes.len())
    }

    fn compare(&self, masked: &[u8]) -> Result<()> {
        let from = self.size - self.left;
        let expected = self.payload[from..].iter().zip(self.key.iter().cycle().skip(from % 4));
        let is_same = masked.iter().zip(expected).all(|(came, (sent, key))| *came == sent ^ key);
        ensure!(is_same, "a payload is not what was to be sent");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(size: usize, key: [u8; 4]) -> Vec<u8> {
        let payload = payload(size);
        let payload = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
        [header(size, 0x80), key.to_vec(), payload.collect()].concat()
    }

    #[test]
    fn frames_are_counted_and_compared_wherever_they_are_cut() {
        for size in [32, 1000, 70_000] {
            let wire = [masked(size, [1, 2, 3, 4]), masked(size, [9, 8, 7, 6])].concat();
            for step in [17, 1000, 1 << 20] {
                let mut frames = Frames::new(size);
                let mut kept = Vec::new();
                for part in wire.chunks(step) {
                    kept.extend_from_slice(part);
                    let rest = frames.take(&kept).expect("frames as they should be");
                    kept.drain(..kept.len() - rest);
                }
                assert_eq!((frames.complete, frames.left), (2, 0), "{size} B by {step}");
            }
        }
    }

    #[test]
    fn what_was_not_to_be_sent_is_refused() {
        let good = masked(32, [1, 2, 3, 4]);
        for at in [0, 1, 20] {
            let mut wire = good.clone();
            wire[at] ^= 1;
            assert!(Frames::new(32).take(&wire).is_err(), "{at}");
        }
    }
}
