//! A TLS session and what is on its way in it.

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

/// So much plaintext is encrypted in one go, and written by one call: a little more than a connection
/// queues before it writes. What the socket does not take of it waits here; after that it is a record
/// at a time, until the socket takes one whole.
const AT_ONCE: usize = 5 * FRAGMENT_MAX;

/// From this length on it is worth while to read records whole.
const LONG: usize = 4 << 10;

/// What there is for as long as something may be sent or received.
pub(crate) struct Live {
    pub(crate) session: Session,
    pub(crate) under: Option<Box<dyn Io>>,
    /// The beginning of a record.
    pub(crate) incoming: Vec<u8>,
    /// How long the record was that came last, with its header.
    pub(crate) record_len: usize,
    /// What the stream under it has not taken.
    pub(crate) unsent: BytesMut,
    /// Whether that is because it would not, rather than because nothing was sent yet.
    pub(crate) is_blocked: bool,
    /// Whether it did not take all of what was written last.
    pub(crate) is_slow: bool,
    /// Whether it has taken some of that, and nobody has asked.
    pub(crate) has_moved: bool,
    /// Whether something has come since the last plaintext, and nobody has asked: a record may be long
    /// in coming.
    pub(crate) has_come: bool,
    pub(crate) is_closing: bool,
    /// Who waits to read, and to write where the stream under it knows one waker.
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
}

impl Live {
    /// Reads from what is under it.
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

    /// Keeps the beginning of a record, and no memory for none.
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

    /// How much to read where there is room for so much plaintext: no part of a record, where those
    /// that come are as long as the last one, since a part is copied twice.
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

    /// Encrypts the first of what is in the slices, and says how much that was.
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
            // One record for those that fit into one together, such as a header and its payload.
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

    /// Writes as much of it as the stream under it takes now.
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

    /// Writes what the stream under it has not taken.
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

    /// Sends what the session answers of itself, such as an alert, as far as that goes without
    /// waiting. Whoever writes sends the rest.
    pub(crate) fn answer(&mut self, tcp: Option<&TcpStream>, answer: &[u8]) {
        self.unsent.extend_from_slice(answer);
        // Whoever waits to write goes on being woken.
        let waker = self.writer.clone();
        let mut cx = Context::from_waker(waker.as_ref().unwrap_or(Waker::noop()));
        if tcp.is_some() {
            let unsent = self.unsent.split();
            let written = self.write_some(tcp, &mut cx, &unsent).unwrap_or(0);
            self.keep_unsent(&unsent[written..]);
            return;
        }
        // An error is for whoever writes.
        let _ = self.poll_unsent(None, &mut cx);
        if let Some(under) = &mut self.under {
            let _ = Pin::new(under).poll_flush(&mut cx);
        }
    }

    pub(crate) fn close_notify(&mut self) {
        let mut buffer = Vec::new();
        let mut outgoing = Outgoing { buffer: &mut buffer, filled: 0 };
        // Where the session has failed there is nobody to tell.
        if self.session.close(&mut self.incoming, &mut outgoing).is_ok() {
            let filled = outgoing.filled;
            self.unsent.extend_from_slice(&buffer[..filled]);
        }
    }
}
