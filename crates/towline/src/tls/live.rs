//! A TLS session and its buffered bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::AsyncWrite as _;
use tokio::net::TcpStream;

use crate::tls::scratch::{CAPACITY, Scratch};
use crate::tls::session::{FRAGMENT_MAX, Outgoing, RECORD_MAX, Session, record_len};
use crate::tls::under::{Read, Under};
use crate::transport::Io;

/// How much plaintext is encrypted and written by one call: a little more than a connection queues
/// before it writes. The rest that the socket does not take is kept. After that, one record is
/// encrypted at a time, until the socket takes one completely.
const AT_ONCE: usize = 5 * FRAGMENT_MAX;

/// From this length on, reading whole records pays off.
const LONG: usize = 4 << 10;

/// The part of a stream that exists until both directions have ended.
pub(crate) struct Live {
    pub(crate) session: Session,
    pub(crate) under: Option<Box<dyn Io>>,
    /// The beginning of a record.
    pub(crate) incoming: Vec<u8>,
    /// The length of the last record that arrived, with its header.
    pub(crate) record_len: usize,
    /// Ciphertext that the stream below has not taken yet.
    pub(crate) unsent: BytesMut,
    /// Whether the stream below was full, rather than not written to yet.
    pub(crate) is_blocked: bool,
    /// Whether the stream below did not take all of the last write.
    pub(crate) is_slow: bool,
    /// Whether it has taken some of `unsent` since the last call of `has_moved`.
    pub(crate) has_moved: bool,
    /// Whether bytes have arrived since the last plaintext and the last call of `has_come`: a
    /// record can take long to arrive.
    pub(crate) has_come: bool,
    pub(crate) is_closing: bool,
    /// The wakers of the reader and, if the stream below is not a socket, of the writer.
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
}

impl Live {
    /// Reads from the stream below.
    pub(crate) fn poll_read(
        &mut self,
        tcp: Option<&TcpStream>,
        room: &mut [u8],
        read: impl Read,
    ) -> Poll<io::Result<usize>> {
        match Under::new(tcp, self.under.as_mut()) {
            Some(mut under) => read(&mut under, &mut self.reader, room),
            None => Poll::Ready(Ok(0)),
        }
    }

    /// Keeps the beginning of a record, or frees the memory if there is none.
    pub(crate) fn keep_incoming(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            self.incoming = Vec::new();
        } else {
            self.incoming.clear();
            self.incoming.extend_from_slice(rest);
        }
    }

    pub(crate) fn keep_unsent(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            self.unsent = BytesMut::new();
        } else {
            self.unsent.extend_from_slice(rest);
        }
    }

    /// How many bytes to read if there is room for `room` bytes of plaintext: only whole records,
    /// if they are as long as the last one, since a part of a record is copied twice.
    pub(crate) fn wanted(&self, room: usize) -> usize {
        let kept = self.incoming.len();
        let most = room.max(RECORD_MAX).min(CAPACITY - kept);
        let missing = match record_len(&self.incoming) {
            Some(len) => len.saturating_sub(kept),
            None => 0,
        };
        match most.saturating_sub(missing).checked_div(self.record_len) {
            Some(whole) if self.record_len >= LONG && whole + missing > 0 => {
                missing + whole * self.record_len
            }
            _ => most,
        }
    }

    /// Encrypts the first bytes of the slices, and returns their number.
    pub(crate) fn encrypt(
        &mut self,
        slices: &[io::IoSlice<'_>],
        outgoing: &mut Outgoing<'_>,
    ) -> Result<usize, rustls::Error> {
        let Self { session, incoming, is_slow, .. } = self;
        let at_once = if *is_slow { FRAGMENT_MAX } else { AT_ONCE };
        let mut taken = 0;
        let mut slices = slices.iter().map(|slice| &**slice).filter(|slice| !slice.is_empty());
        let mut slices = slices.by_ref().peekable();
        while taken < at_once
            && let Some(first) = slices.next()
        {
            let fits = |filled: usize, next: &&[u8]| filled + next.len() <= FRAGMENT_MAX;
            if slices.peek().is_none_or(|next| !fits(first.len(), next)) {
                let now = &first[..first.len().min(at_once - taken)];
                session.send(incoming, now, outgoing)?;
                taken += now.len();
                if now.len() < first.len() {
                    break;
                }
                continue;
            }
            // Slices that fit into one record share it, such as a header and its payload.
            let mut together = Scratch::take();
            let mut filled = first.len();
            together.0[..filled].copy_from_slice(first);
            while let Some(next) = slices.next_if(|next| fits(filled, next)) {
                together.0[filled..filled + next.len()].copy_from_slice(next);
                filled += next.len();
            }
            session.send(incoming, &together.0[..filled], outgoing)?;
            taken += filled;
        }
        Ok(taken)
    }

    /// Writes as much as the stream below takes without waiting.
    pub(crate) fn write_some(
        &mut self,
        tcp: Option<&TcpStream>,
        cx: &mut Context<'_>,
        ciphertext: &[u8],
    ) -> io::Result<usize> {
        if let Some(tcp) = tcp {
            return match tcp.try_write(ciphertext) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
                result => result,
            };
        }
        let mut written = 0;
        while let Some(mut under) = Under::new(None, self.under.as_mut())
            && written < ciphertext.len()
        {
            match under.poll_write(cx, &mut self.writer, &ciphertext[written..]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(result) => written += result?,
                Poll::Pending => break,
            }
        }
        Ok(written)
    }

    /// Writes the ciphertext that the stream below has not taken yet.
    pub(crate) fn poll_unsent(
        &mut self,
        tcp: Option<&TcpStream>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let Some(mut under) = Under::new(tcp, self.under.as_mut()) else { break };
            match ready!(under.poll_write(cx, &mut self.writer, &self.unsent))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => {
                    self.unsent.advance(count);
                    self.has_moved = true;
                }
            }
        }
        self.keep_unsent(&[]);
        self.is_blocked = false;
        Poll::Ready(Ok(()))
    }

    /// Sends an answer of the session, such as an alert, as far as possible without waiting. The
    /// next write sends the rest.
    pub(crate) fn answer(&mut self, tcp: Option<&TcpStream>, answer: &[u8]) {
        self.unsent.extend_from_slice(answer);
        // The waiting writer has to stay registered.
        let waker = self.writer.clone();
        let mut cx = Context::from_waker(waker.as_ref().unwrap_or(Waker::noop()));
        if tcp.is_some() {
            let unsent = self.unsent.split();
            let written = self.write_some(tcp, &mut cx, &unsent).unwrap_or(0);
            self.keep_unsent(&unsent[written..]);
            return;
        }
        // The next write returns the error.
        let _ = self.poll_unsent(None, &mut cx);
        if let Some(under) = &mut self.under {
            let _ = Pin::new(under).poll_flush(&mut cx);
        }
    }

    pub(crate) fn close_notify(&mut self) {
        let mut buffer = Vec::new();
        let mut outgoing = Outgoing { buffer: &mut buffer, filled: 0 };
        // A session that has failed can't send it.
        if self.session.close(&mut self.incoming, &mut outgoing).is_ok() {
            let filled = outgoing.filled;
            self.unsent.extend_from_slice(&buffer[..filled]);
        }
    }
}
