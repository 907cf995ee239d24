//! One connection: messages out, replies in.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use crate::frames::{Expected, Traffic};
use crate::replies::Replies;

/// From here on it pays to have the kernel drop a payload rather than copy it.
const WORTH_DROPPING: usize = 32 << 10;

pub(crate) struct Conversation {
    stream: TcpStream,
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
    pub(crate) fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, replies: Replies::default(), asked: 0, owed: 0, next: 0 })
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Puts so many messages on the way, or as much of them as there is room for.
    ///
    /// # Errors
    ///
    /// If the connection is lost.
    pub(crate) fn send(&mut self, messages: u64, traffic: &Traffic) -> Result<()> {
        self.owed += usize::try_from(traffic.length(self.asked, messages))?;
        self.asked += messages;
        while self.owed > 0 {
            let first = &traffic.wire[self.next..];
            let first = &first[..first.len().min(self.owed)];
            let second = &traffic.wire[..traffic.wire.len().min(self.owed - first.len())];
            let slices = [IoSlice::new(first), IoSlice::new(second)];
            match self.stream.write_vectored(&slices) {
                Ok(0) => bail!("cannot write"),
                Ok(written) => {
                    self.owed -= written;
                    self.next = (self.next + written) % traffic.wire.len();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot write"),
            }
        }
        Ok(())
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
