//! One connection: sends messages and reads replies.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use crate::frames::{Expected, Traffic};
use crate::link::Link;
use crate::replies::Replies;
use crate::session::Session;

/// From this size in bytes, it is faster to let the kernel drop a payload than to copy it.
const WORTH_DROPPING: usize = 32 << 10;

/// The number of bytes that are encrypted before they are written.
const AT_ONCE: usize = 64 << 10;

pub(crate) struct Conversation {
    stream: TcpStream,
    session: Option<Session>,
    pub(crate) replies: Replies,
    /// The number of messages due until now.
    asked: u64,
    /// Their bytes that are not written yet, and their position in the traffic.
    owed: usize,
    next: usize,
}

impl Conversation {
    /// # Errors
    ///
    /// If the socket cannot be made non-blocking.
    pub(crate) fn new(link: Link) -> Result<Self> {
        let (stream, session) = link.take_apart()?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, session, replies: Replies::default(), asked: 0, owed: 0, next: 0 })
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The version of TLS and the cipher suite, with TLS.
    pub(crate) fn tls(&self) -> Option<String> {
        self.session.as_ref().map(Session::about)
    }

    /// Sends this many messages, or as much of them as there is room for.
    ///
    /// # Errors
    ///
    /// If the connection is lost.
    pub(crate) fn send(&mut self, messages: u64, traffic: &Traffic) -> Result<()> {
        self.owed += usize::try_from(traffic.length(self.asked, messages))?;
        self.asked += messages;
        if self.session.is_some() {
            return self.send_encrypted(traffic);
        }
        while self.owed > 0 {
            let slices = self.owed(traffic, self.owed).map(IoSlice::new);
            match tried(self.stream.write_vectored(&slices))? {
                Some(written) => self.advance(written, traffic),
                None => break,
            }
        }
        Ok(())
    }

    fn send_encrypted(&mut self, traffic: &Traffic) -> Result<()> {
        loop {
            let [first, second] = self.owed(traffic, AT_ONCE);
            let length = first.len() + second.len();
            let Some(session) = &mut self.session else { return Ok(()) };
            if session.outgoing().is_empty() {
                match (first, second) {
                    ([], _) => return Ok(()),
                    (first, []) => session.send(first)?,
                    // One record, as from a client with adjacent messages.
                    (first, second) => session.send(&[first, second].concat())?,
                }
                self.advance(length, traffic);
                continue;
            }
            match tried(self.stream.write(session.outgoing()))? {
                Some(written) => session.wrote(written),
                None => return Ok(()),
            }
        }
    }

    /// Returns the next bytes to write, up to a limit, in two pieces where the traffic starts again.
    fn owed<'a>(&self, traffic: &'a Traffic, most: usize) -> [&'a [u8]; 2] {
        let most = most.min(self.owed);
        let first = &traffic.wire[self.next..];
        let first = &first[..first.len().min(most)];
        let second = &traffic.wire[..traffic.wire.len().min(most - first.len())];
        [first, second]
    }

    /// Records that this many bytes were written, or passed to the session.
    fn advance(&mut self, count: usize, traffic: &Traffic) {
        self.owed -= count;
        self.next = (self.next + count) % traffic.wire.len();
    }

    /// Reads all available bytes, answers each reply with the next message, and returns the number of
    /// replies.
    ///
    /// # Errors
    ///
    /// If the connection is lost, or a reply differs from the message.
    pub(crate) fn turn(
        &mut self,
        traffic: &Traffic,
        expected: &Expected,
        buffer: &mut [u8],
    ) -> Result<u64> {
        let mut complete = 0;
        loop {
            let (read, wanted, replies) = match self.receive(expected, buffer) {
                Ok(received) => received?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(complete),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("the connection is lost"),
            };
            complete += replies;
            if replies > 0 || self.owed > 0 {
                self.send(replies, traffic)?;
            }
            // A short read means that nothing more is available.
            if read < wanted {
                return Ok(complete);
            }
        }
    }

    /// One read: the bytes read, the bytes requested, and the replies completed.
    fn receive(
        &mut self,
        expected: &Expected,
        buffer: &mut [u8],
    ) -> io::Result<Result<(usize, usize, u64)>> {
        if let Some(session) = &mut self.session {
            let kept = session.kept();
            let read = self.stream.read(&mut buffer[kept..])?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let mut complete = 0;
            let received = session.receive(&mut buffer[..kept + read], |plaintext| {
                complete += self.replies.take(plaintext, expected)?;
                Ok(())
            });
            return Ok(received.map(|()| (read, buffer.len() - kept, complete)));
        }
        let unseen = self.replies.unseen(expected).min(buffer.len());
        if unseen < WORTH_DROPPING {
            let read = self.stream.read(buffer)?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let replies = self.replies.take(&buffer[..read], expected);
            return Ok(replies.map(|replies| (read, buffer.len(), replies)));
        }
        let dropped = recv(&self.stream, &mut buffer[..unseen], RecvFlags::TRUNC);
        let read = dropped.map_err(Errno::raw_os_error).map_err(io::Error::from_raw_os_error)?.1;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let replies = self.replies.skip(read, expected);
        Ok(replies.map(|replies| (read, unseen, replies)))
    }
}

/// Returns the number of bytes written, or 0 if there is no room.
fn tried(result: io::Result<usize>) -> Result<Option<usize>> {
    match result {
        Ok(0) => bail!("cannot write"),
        Ok(written) => Ok(Some(written)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Some(0)),
        Err(error) => Err(error).context("cannot write"),
    }
}
