//! One connection: messages out, replies in.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use crate::frames::{Expected, Traffic};
use crate::link::Link;
use crate::replies::Replies;
use crate::session::Session;

/// From here on it pays to have the kernel drop a payload rather than copy it.
const WORTH_DROPPING: usize = 32 << 10;

/// So much is encrypted before it is written.
const AT_ONCE: usize = 64 << 10;

pub(crate) struct Conversation {
    stream: TcpStream,
    session: Option<Session>,
    pub(crate) replies: Replies,
    /// How many messages were to be sent until now.
    asked: u64,
    /// Bytes of them that are to be written, and where in the traffic they are.
    owed: usize,
    next: usize,
}

impl Conversation {
    /// # Errors
    ///
    /// If the socket can't be made non-blocking.
    pub(crate) fn new(link: Link) -> Result<Self> {
        let (stream, session) = link.take_apart()?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, session, replies: Replies::default(), asked: 0, owed: 0, next: 0 })
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The version of TLS and the cipher suite, if it is spoken.
    pub(crate) fn tls(&self) -> Option<String> {
        self.session.as_ref().map(Session::about)
    }

    /// Puts so many messages on the way, or as much of them as there is room for.
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
                    // One record, as from whoever has them side by side.
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

    /// What is to be written next, up to so much, in two pieces where the traffic begins again.
    fn owed<'a>(&self, traffic: &'a Traffic, most: usize) -> [&'a [u8]; 2] {
        let most = most.min(self.owed);
        let first = &traffic.wire[self.next..];
        let first = &first[..first.len().min(most)];
        let second = &traffic.wire[..traffic.wire.len().min(most - first.len())];
        [first, second]
    }

    /// So much of it was, or is with the session.
    fn advance(&mut self, count: usize, traffic: &Traffic) {
        self.owed -= count;
        self.next = (self.next + count) % traffic.wire.len();
    }

    /// Reads all that is there, answers each reply with the next message, and returns how many
    /// replies there were.
    ///
    /// # Errors
    ///
    /// If the connection is lost, or a reply is not what was sent.
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
            // Less than was asked for is all there was.
            if read < wanted {
                return Ok(complete);
            }
        }
    }

    /// One read: how much came, how much was asked for, how many replies it completed.
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

/// What was written, or nothing if there is no room.
fn tried(result: io::Result<usize>) -> Result<Option<usize>> {
    match result {
        Ok(0) => bail!("cannot write"),
        Ok(written) => Ok(Some(written)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Some(0)),
        Err(error) => Err(error).context("cannot write"),
    }
}
