//! TLS on a stream.
//!
//! ```text
//!   reader ──▶ poll_read  ◀── ahead ◀── Session::receive ◀── incoming ◀── socket
//!   writer ──▶ poll_write ───────────▶ Session::send ─────▶ unsent ────▶ socket
//! ```
//!
//! Both halves share it, and one lock guards everything except the socket. An idle stream holds no
//! buffer: `incoming` is the beginning of a record, `unsent` is ciphertext that the socket has not
//! taken, `ahead` is plaintext that was not received yet. Other ciphertext is in a buffer of the
//! thread.

use std::future::{Future as _, poll_fn};
use std::io;
use std::mem;
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use towline_proto::Role;

use crate::tls::explain::explain_io;
use crate::tls::live::Live;
use crate::tls::scratch::{KEPT_MAX, Scratch};
use crate::tls::session::{Outgoing, RECORD_MAX, Session, record_len};
use crate::tls::under::{Read, Under, note};
use crate::transport::{AnyStream, Duplex, Io, Remains, SEEN, TlsInfo};

/// How many reads are made to find unread bytes: a peer can send records without content.
const LOOKS: usize = 4;

/// A TLS stream over a TCP socket, or over any other stream.
pub(crate) struct Stream {
    /// The socket below. Another kind of stream is in [`Live`].
    tcp: Option<TcpStream>,
    role: Role,
    info: Arc<TlsInfo>,
    traffic: Mutex<Traffic>,
}

struct Traffic {
    /// `None` after the stream has ended in both directions.
    live: Option<Box<Live>>,
    /// Plaintext that was not received yet.
    ahead: BytesMut,
    /// How receiving has ended, if it has.
    end: Option<End>,
}

/// The bytes left of a handshake.
pub(crate) struct Left {
    pub(crate) incoming: Vec<u8>,
    pub(crate) unsent: BytesMut,
    pub(crate) ahead: BytesMut,
    /// Whether the peer has already sent `close_notify`.
    pub(crate) is_end: bool,
}

/// How receiving ends.
enum End {
    /// The peer sent `close_notify`.
    CloseNotify,
    /// The stream ended without `close_notify`.
    Truncated,
    /// The stream below has failed. The error is returned once.
    Io(io::ErrorKind, Option<io::Error>),
    Tls(rustls::Error),
}

impl End {
    fn result(&mut self, role: Role) -> io::Result<()> {
        match self {
            Self::CloseNotify => Ok(()),
            Self::Truncated => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the peer ended the TLS stream without a close_notify",
            )),
            Self::Io(kind, error) => Err(error.take().unwrap_or_else(|| (*kind).into())),
            Self::Tls(error) => Err(explain_io(role, io::ErrorKind::InvalidData, error)),
        }
    }
}

impl Stream {
    /// A stream whose handshake is done.
    pub(crate) fn new(stream: AnyStream, session: Session, info: TlsInfo, left: Left) -> Self {
        let role = session.role();
        let (tcp, under) = match stream {
            AnyStream::Tcp(tcp) => (Some(tcp), None),
            AnyStream::Other(other) => (None, Some(other)),
            other => (None, Some(Box::new(other) as Box<dyn Io>)),
        };
        let Left { incoming, unsent, ahead, is_end } = left;
        let live = Live {
            session,
            under,
            incoming,
            unsent,
            record_len: 0,
            is_blocked: false,
            is_slow: false,
            has_moved: false,
            has_come: false,
            is_closing: false,
            reader: None,
            writer: None,
        };
        let traffic =
            Traffic { live: Some(Box::new(live)), ahead, end: is_end.then_some(End::CloseNotify) };
        Self { tcp, role, info: Arc::new(info), traffic: Mutex::new(traffic) }
    }

    fn lock(&self) -> MutexGuard<'_, Traffic> {
        // The connection's own lock handles a stream that has panicked.
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Duplex for Stream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut traffic = self.lock();
        let Some(tcp) = &self.tcp else { return Poll::Ready(()) };
        if !traffic.ahead.is_empty() || traffic.end.is_some() {
            return Poll::Ready(());
        }
        let result = tcp.poll_read_ready(cx).map(drop);
        if let Some(live) = &mut traffic.live
            && result.is_pending()
        {
            note(&mut live.reader, cx.waker());
        }
        result
    }

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut traffic = self.lock();
        let before = buffer.filled().len();
        loop {
            if traffic.take_ahead(buffer) || buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            if let Some(end) = &mut traffic.end {
                return Poll::Ready(end.result(self.role));
            }
            let read = |under: &mut Under<'_>, reader: &mut _, room: &mut [u8]| {
                under.poll_read(cx, reader, room)
            };
            ready!(traffic.poll_receive(self.tcp.as_ref(), buffer, read));
        }
    }

    fn poll_write(
        &self,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut traffic = self.lock();
        if let Some(End::Tls(error)) = &traffic.end {
            return Poll::Ready(Err(explain_io(self.role, io::ErrorKind::BrokenPipe, error)));
        }
        let live = traffic.live()?;
        if live.is_closing {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if live.is_blocked || live.unsent.len() > RECORD_MAX {
            ready!(live.poll_unsent(self.tcp.as_ref(), cx))?;
        }
        let mut scratch = Scratch::take();
        let unsent = live.unsent.split();
        scratch.0[..unsent.len()].copy_from_slice(&unsent);
        let mut outgoing = Outgoing { buffer: &mut scratch.0, filled: unsent.len() };
        drop(unsent);
        let taken = live.encrypt(slices, &mut outgoing).map_err(io::Error::other)?;
        let ciphertext = &outgoing.buffer[..outgoing.filled];
        let written = live.write_some(self.tcp.as_ref(), cx, ciphertext)?;
        live.keep_unsent(&ciphertext[written..]);
        live.is_blocked = written < ciphertext.len();
        live.is_slow = live.is_blocked;
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn has_moved(&self) -> bool {
        let mut traffic = self.lock();
        traffic.live.as_mut().is_some_and(|live| mem::take(&mut live.has_moved))
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut traffic = self.lock();
        let live = traffic.live()?;
        ready!(live.poll_unsent(self.tcp.as_ref(), cx))?;
        match &mut live.under {
            Some(under) => {
                let result = Pin::new(under).poll_flush(cx);
                live.writer = result.is_pending().then(|| cx.waker().clone());
                result
            }
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut traffic = self.lock();
        let has_failed = matches!(traffic.end, Some(End::Tls(_)));
        let live = traffic.live()?;
        // After a failed session's alert, nothing else is sent.
        if !mem::replace(&mut live.is_closing, true) && !has_failed {
            live.close_notify();
        }
        ready!(live.poll_unsent(self.tcp.as_ref(), cx))?;
        match (&self.tcp, &mut live.under) {
            (Some(tcp), _) => Poll::Ready(match SockRef::from(tcp).shutdown(Shutdown::Write) {
                // The peer has already closed.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
                result => result,
            }),
            (None, Some(under)) => {
                let result = Pin::new(under).poll_shutdown(cx);
                live.writer = result.is_pending().then(|| cx.waker().clone());
                result
            }
            (None, None) => Poll::Ready(Ok(())),
        }
    }

    fn has_unread(&self, wake: &mut Option<Waker>) -> bool {
        let mut traffic = self.lock();
        for _ in 0..LOOKS {
            if traffic.ahead.len() >= SEEN || traffic.end.is_some() {
                break;
            }
            // The timekeeper checks many connections in one poll. A stream that is pending because
            // tokio's budget is used up would look silent.
            let look = pin!(tokio::task::unconstrained(poll_fn(|_| {
                let mut nothing = ReadBuf::new(&mut []);
                traffic.poll_receive(self.tcp.as_ref(), &mut nothing, |under, reader, room| {
                    under.read_now(reader, room)
                })
            })));
            if look.poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                break;
            }
        }
        let has_unread = !traffic.ahead.is_empty();
        if has_unread || traffic.end.is_some() {
            *wake = traffic.live.as_mut().and_then(|live| live.reader.take());
        }
        has_unread
    }

    fn has_come(&self) -> bool {
        let mut traffic = self.lock();
        traffic.live.as_mut().is_some_and(|live| mem::take(&mut live.has_come))
    }

    fn look_ahead(&self, look: &mut dyn FnMut(&[u8])) {
        let traffic = self.lock();
        look(&traffic.ahead[..traffic.ahead.len().min(SEEN)]);
    }

    fn tcp_stream(&self) -> Option<&TcpStream> {
        self.tcp.as_ref()
    }

    fn tls(&self) -> Option<Arc<TlsInfo>> {
        Some(self.info.clone())
    }

    fn end(&self) -> Remains {
        let live = self.lock().live.take();
        if let Some(tcp) = &self.tcp {
            // Fails if the peer has already closed, which does no harm.
            let _ = SockRef::from(tcp).shutdown(Shutdown::Both);
        }
        match live {
            Some(live) => Remains { stream: live.under, waker: live.reader },
            None => Remains::default(),
        }
    }
}

impl Traffic {
    fn live(&mut self) -> io::Result<&mut Live> {
        self.live.as_deref_mut().ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// Moves plaintext from `ahead` to `buffer`. Returns whether there was any.
    fn take_ahead(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        if self.ahead.is_empty() {
            return false;
        }
        let count = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.ahead[..count]);
        self.ahead.advance(count);
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
        }
        true
    }

    /// Reads once and decrypts into `buffer`, or into `ahead` if that is full. Ready if bytes or
    /// the end were read.
    fn poll_receive(
        &mut self,
        tcp: Option<&TcpStream>,
        buffer: &mut ReadBuf<'_>,
        read: impl Read,
    ) -> Poll<()> {
        let Some(live) = &mut self.live else {
            // This end has closed the stream.
            self.end = Some(End::CloseNotify);
            return Poll::Ready(());
        };
        let mut scratch = Scratch::take();
        let kept = live.incoming.len();
        let room = kept..kept + live.wanted(buffer.remaining());
        match ready!(live.poll_read(tcp, &mut scratch.0[room], read)) {
            Ok(0) => self.end = Some(End::Truncated),
            Ok(count) => self.decrypt(&mut scratch.0[..kept + count], tcp, buffer),
            Err(error) => self.end = Some(End::Io(error.kind(), Some(error))),
        }
        Poll::Ready(())
    }

    /// Decrypts the input. Its front was left free for the bytes kept from before.
    fn decrypt(
        &mut self,
        ciphertext: &mut [u8],
        tcp: Option<&TcpStream>,
        buffer: &mut ReadBuf<'_>,
    ) {
        let Self { live: Some(live), ahead, end } = self else { return };
        ciphertext[..live.incoming.len()].copy_from_slice(&live.incoming);
        live.record_len = record_len(ciphertext).unwrap_or(0);
        let mut answer = Vec::new();
        let mut outgoing = Outgoing { buffer: &mut answer, filled: 0 };
        live.has_come = true;
        let Live { session, has_come, .. } = &mut **live;
        let mut received = |plaintext: &[u8]| {
            *has_come = false;
            let room = if ahead.is_empty() { buffer.remaining() } else { 0 };
            let (now, later) = plaintext.split_at(plaintext.len().min(room));
            buffer.put_slice(now);
            ahead.extend_from_slice(later);
        };
        match session.receive(ciphertext, &mut outgoing, &mut received) {
            // Data after `close_notify` is ignored (RFC 8446, section 6.1).
            Ok(taken) if taken.is_end => {
                live.keep_incoming(&[]);
                *end = Some(End::CloseNotify);
            }
            Ok(taken) => {
                let rest = &ciphertext[taken.count..];
                live.keep_incoming(rest);
                if rest.len() > KEPT_MAX {
                    *end = Some(End::Tls(rustls::InvalidMessage::HandshakePayloadTooLarge.into()));
                }
            }
            Err(error) => *end = Some(End::Tls(error)),
        }
        let filled = outgoing.filled;
        if filled > 0 {
            live.answer(tcp, &answer[..filled]);
        }
    }
}
