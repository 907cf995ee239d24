//! TLS on a stream.
//!
//! ```text
//!   reader ──▶ poll_read  ◀── ahead ◀── Session::receive ◀── incoming ◀── socket
//!   writer ──▶ poll_write ───────────▶ Session::send ─────▶ unsent ────▶ socket
//! ```
//!
//! Both halves hold it, and one lock is around all but the socket. At rest it holds no buffer:
//! `incoming` is the beginning of a record, `unsent` what the socket has not taken, `ahead` what
//! nobody has received; ciphertext on its way lies in a buffer of the thread's.

use std::future::{Future as _, poll_fn};
use std::io;
use std::mem;
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncRead as _, AsyncWrite as _, Interest, ReadBuf};
use tokio::net::TcpStream;
use towline_proto::Role;

use crate::tls::explain::explain_io;
use crate::tls::scratch::{CAPACITY, KEPT_MAX, Scratch};
use crate::tls::session::{FRAGMENT_MAX, Outgoing, RECORD_MAX, Session};
use crate::transport::{AnyStream, Duplex, Io, Remains, SEEN, TlsInfo};

/// So much plaintext is encrypted in one go, and written by one call: a little more than a connection
/// queues before it writes. What the socket does not take of it waits here; after that it is a record
/// at a time, until the socket takes one whole.
const AT_ONCE: usize = 5 * FRAGMENT_MAX;

/// So many reads are made to see whether there is anything: a peer may send records without content.
const LOOKS: usize = 4;

/// A TLS stream over a TCP socket, or over any other stream.
pub(crate) struct Stream {
    /// The socket under it. Else the stream under it is in the state.
    tcp: Option<TcpStream>,
    role: Role,
    info: Arc<TlsInfo>,
    state: Mutex<State>,
}

struct State {
    /// Gone once the stream has ended in both directions.
    live: Option<Box<Live>>,
    /// What was decrypted and nobody has received.
    ahead: BytesMut,
    /// How receiving has ended.
    end: Option<End>,
}

/// What there is for as long as something may be sent or received.
struct Live {
    session: Session,
    under: Option<Box<dyn Io>>,
    /// The beginning of a record.
    incoming: Vec<u8>,
    /// What the stream under it has not taken.
    unsent: BytesMut,
    /// Whether that is because it would not, rather than because nothing was sent yet.
    is_blocked: bool,
    /// Whether it did not take all of what was written last.
    is_slow: bool,
    /// Whether it has taken some of that, and nobody has asked.
    has_moved: bool,
    /// Whether something has come since the last plaintext, and nobody has asked: a record may be long
    /// in coming.
    has_come: bool,
    is_closing: bool,
    /// Who waits to read and to write, where the stream under it knows one waker of each.
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// What is left of a handshake.
pub(crate) struct Left {
    pub(crate) incoming: Vec<u8>,
    pub(crate) unsent: BytesMut,
    pub(crate) ahead: BytesMut,
    /// Whether the peer has said already that nothing more comes.
    pub(crate) is_end: bool,
}

/// How receiving ends.
enum End {
    /// The peer has said so.
    CloseNotify,
    /// It has not.
    Truncated,
    /// The stream under it has failed, with this if that was not told yet.
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
            is_blocked: false,
            is_slow: false,
            has_moved: false,
            has_come: false,
            is_closing: false,
            reader: None,
            writer: None,
        };
        let state =
            State { live: Some(Box::new(live)), ahead, end: is_end.then_some(End::CloseNotify) };
        Self { tcp, role, info: Arc::new(info), state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A stream of the program's that has panicked is given up by the connection's own lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is read from: the socket, or the stream under it.
enum Under<'a> {
    Tcp(&'a TcpStream),
    Other(&'a mut Box<dyn Io>),
}

impl<'a> Under<'a> {
    fn new(tcp: Option<&'a TcpStream>, other: Option<&'a mut Box<dyn Io>>) -> Option<Self> {
        tcp.map(Self::Tcp).or(other.map(Self::Other))
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut Option<Waker>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(tcp) => loop {
                ready!(tcp.poll_read_ready(cx))?;
                if let Some(result) = try_read(tcp, room) {
                    return Poll::Ready(result);
                }
            },
            Self::Other(other) => {
                let mut buffer = ReadBuf::new(room);
                let result = Pin::new(&mut **other).poll_read(cx, &mut buffer);
                if result.is_pending() {
                    *reader = Some(cx.waker().clone());
                }
                ready!(result)?;
                Poll::Ready(Ok(buffer.filled().len()))
            }
        }
    }

    /// Reads what there is, for nobody who waits. Whoever does goes on being woken.
    fn read_now(&mut self, reader: &mut Option<Waker>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        if let Self::Tcp(tcp) = self {
            return try_read(tcp, room).map_or(Poll::Pending, Poll::Ready);
        }
        let waiting = reader.as_ref().unwrap_or(Waker::noop()).clone();
        self.poll_read(&mut Context::from_waker(&waiting), &mut None, room)
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut Option<Waker>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(tcp) => loop {
                ready!(tcp.poll_write_ready(cx))?;
                match tcp.try_write(bytes) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    result => return Poll::Ready(result),
                }
            },
            Self::Other(other) => {
                let result = Pin::new(&mut **other).poll_write(cx, bytes);
                *writer = result.is_pending().then(|| cx.waker().clone());
                result
            }
        }
    }
}

/// Reads what there is. A read that leaves room has taken all of it: that the socket is not ready
/// any more is noted along with it, which saves the call that would find out.
fn try_read(tcp: &TcpStream, room: &mut [u8]) -> Option<io::Result<usize>> {
    let mut short = None;
    let result = tcp.try_io(Interest::READABLE, || {
        let count = io::Read::read(&mut &*SockRef::from(tcp), room)?;
        if (1..room.len()).contains(&count) {
            short = Some(count);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(count)
    });
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => short.map(Ok),
        result => Some(result),
    }
}

impl Duplex for Stream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let state = self.lock();
        match &self.tcp {
            Some(tcp) if state.ahead.is_empty() && state.end.is_none() => {
                tcp.poll_read_ready(cx).map(drop)
            }
            _ => Poll::Ready(()),
        }
    }

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        let before = buffer.filled().len();
        loop {
            if state.take_ahead(buffer) || buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            if let Some(end) = &mut state.end {
                return Poll::Ready(end.result(self.role));
            }
            let read = |under: &mut Under<'_>, reader: &mut _, room: &mut [u8]| {
                under.poll_read(cx, reader, room)
            };
            ready!(state.poll_receive(self.tcp.as_ref(), buffer, read));
        }
    }

    fn poll_write(
        &self,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        if let Some(End::Tls(error)) = &state.end {
            return Poll::Ready(Err(explain_io(self.role, io::ErrorKind::BrokenPipe, error)));
        }
        let live = state.live()?;
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
        let mut state = self.lock();
        state.live.as_mut().is_some_and(|live| mem::take(&mut live.has_moved))
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        let live = state.live()?;
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
        let mut state = self.lock();
        let has_failed = matches!(state.end, Some(End::Tls(_)));
        let live = state.live()?;
        // Of a session that has failed the alert is the last that is sent.
        if !mem::replace(&mut live.is_closing, true) && !has_failed {
            live.close_notify();
        }
        ready!(live.poll_unsent(self.tcp.as_ref(), cx))?;
        match (&self.tcp, &mut live.under) {
            (Some(tcp), _) => Poll::Ready(match SockRef::from(tcp).shutdown(Shutdown::Write) {
                // The peer has ended it already.
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
        let mut state = self.lock();
        for _ in 0..LOOKS {
            if state.ahead.len() >= SEEN || state.end.is_some() {
                break;
            }
            // The timekeeper looks at many connections in one go. A stream that says it is not
            // ready because so much has been done already would be taken for silent.
            let look = pin!(tokio::task::unconstrained(poll_fn(|_| {
                let mut nothing = ReadBuf::new(&mut []);
                state.poll_receive(self.tcp.as_ref(), &mut nothing, |under, reader, room| {
                    under.read_now(reader, room)
                })
            })));
            if look.poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                break;
            }
        }
        let has_unread = !state.ahead.is_empty();
        if has_unread || state.end.is_some() {
            *wake = state.live.as_mut().and_then(|live| live.reader.take());
        }
        has_unread
    }

    fn has_come(&self) -> bool {
        let mut state = self.lock();
        state.live.as_mut().is_some_and(|live| mem::take(&mut live.has_come))
    }

    fn look_ahead(&self, look: &mut dyn FnMut(&[u8])) {
        let state = self.lock();
        look(&state.ahead[..state.ahead.len().min(SEEN)]);
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
            // Where the peer has closed it already there is nothing to end.
            let _ = SockRef::from(tcp).shutdown(Shutdown::Both);
        }
        match live {
            Some(live) => Remains { stream: live.under, waker: live.reader },
            None => Remains::default(),
        }
    }
}

impl State {
    fn live(&mut self) -> io::Result<&mut Live> {
        self.live.as_deref_mut().ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// Whether something was there.
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

    /// Reads once and decrypts, into `buffer` as far as that goes. Ready if there was something,
    /// or the end.
    fn poll_receive(
        &mut self,
        tcp: Option<&TcpStream>,
        buffer: &mut ReadBuf<'_>,
        mut read: impl FnMut(&mut Under<'_>, &mut Option<Waker>, &mut [u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<()> {
        let Self { live, ahead, end } = self;
        // This end has ended it.
        let Some(live) = live else {
            *end = Some(End::CloseNotify);
            return Poll::Ready(());
        };
        let Some(mut under) = Under::new(tcp, live.under.as_mut()) else {
            *end = Some(End::CloseNotify);
            return Poll::Ready(());
        };
        let mut scratch = Scratch::take();
        let kept = live.incoming.len();
        let most = buffer.remaining().max(RECORD_MAX).min(CAPACITY - kept);
        let room = &mut scratch.0[kept..kept + most];
        let count = match ready!(read(&mut under, &mut live.reader, room)) {
            Ok(0) => {
                *end = Some(End::Truncated);
                return Poll::Ready(());
            }
            Ok(count) => count,
            Err(error) => {
                *end = Some(End::Io(error.kind(), Some(error)));
                return Poll::Ready(());
            }
        };
        live.has_come = true;
        let ciphertext = &mut scratch.0[..kept + count];
        ciphertext[..kept].copy_from_slice(&live.incoming);
        let mut answer = Vec::new();
        let mut outgoing = Outgoing { buffer: &mut answer, filled: 0 };
        let Live { session, has_come, .. } = &mut **live;
        let mut received = |plaintext: &[u8]| {
            *has_come = false;
            let room = if ahead.is_empty() { buffer.remaining() } else { 0 };
            let (now, later) = plaintext.split_at(plaintext.len().min(room));
            buffer.put_slice(now);
            ahead.extend_from_slice(later);
        };
        match session.receive(ciphertext, &mut outgoing, &mut received) {
            Ok(taken) => {
                // What comes behind the end is to be ignored (RFC 8446, section 6.1).
                let rest = if taken.is_end { &[] } else { &ciphertext[taken.count..] };
                live.keep_incoming(rest);
                if taken.is_end {
                    *end = Some(End::CloseNotify);
                } else if rest.len() > KEPT_MAX {
                    *end = Some(End::Tls(rustls::InvalidMessage::HandshakePayloadTooLarge.into()));
                }
            }
            Err(error) => *end = Some(End::Tls(error)),
        }
        if outgoing.filled > 0 {
            let filled = outgoing.filled;
            live.answer(tcp, &answer[..filled]);
        }
        Poll::Ready(())
    }
}

impl Live {
    /// Keeps the beginning of a record, and no memory for none.
    fn keep_incoming(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            self.incoming = Vec::new();
        } else {
            self.incoming.clear();
            self.incoming.extend_from_slice(rest);
        }
    }

    fn keep_unsent(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            self.unsent = BytesMut::new();
        } else {
            self.unsent.extend_from_slice(rest);
        }
    }

    /// Encrypts the first of what is in the slices, and says how much that was.
    fn encrypt(
        &mut self,
        slices: &[io::IoSlice<'_>],
        outgoing: &mut Outgoing<'_>,
    ) -> Result<usize, rustls::Error> {
        let Self { session, incoming, is_slow, .. } = self;
        let at_once = if *is_slow { FRAGMENT_MAX } else { AT_ONCE };
        let mut taken = 0;
        let mut slices = slices.iter().map(|slice| &**slice).filter(|slice| !slice.is_empty());
        let mut next = slices.next();
        while let Some(first) = next
            && taken < at_once
        {
            let following = if first.len() < FRAGMENT_MAX { slices.next() } else { None };
            let Some(mut following) = following else {
                let (now, later) = first.split_at(first.len().min(at_once - taken));
                session.send(incoming, now, outgoing)?;
                taken += now.len();
                next = if later.is_empty() { slices.next() } else { Some(later) };
                continue;
            };
            // One record for the small ones together, such as a header and its payload.
            let mut together = Scratch::take();
            let most = FRAGMENT_MAX.min(at_once - taken).max(first.len());
            let mut filled = first.len();
            together.0[..filled].copy_from_slice(first);
            next = loop {
                let room = &mut together.0[filled..most];
                let (now, later) = following.split_at(following.len().min(room.len()));
                room[..now.len()].copy_from_slice(now);
                filled += now.len();
                if !later.is_empty() {
                    break Some(later);
                }
                match slices.next() {
                    Some(slice) => following = slice,
                    None => break None,
                }
            };
            session.send(incoming, &together.0[..filled], outgoing)?;
            taken += filled;
        }
        Ok(taken)
    }

    /// Writes as much of it as the stream under it takes now.
    fn write_some(
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
    fn poll_unsent(
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
    fn answer(&mut self, tcp: Option<&TcpStream>, answer: &[u8]) {
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

    fn close_notify(&mut self) {
        let mut buffer = Vec::new();
        let mut outgoing = Outgoing { buffer: &mut buffer, filled: 0 };
        // Where the session has failed there is nobody to tell.
        if self.session.close(&mut self.incoming, &mut outgoing).is_ok() {
            let filled = outgoing.filled;
            self.unsent.extend_from_slice(&buffer[..filled]);
        }
    }
}
