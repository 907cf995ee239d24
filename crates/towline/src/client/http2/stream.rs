//! A stream of HTTP/2 that carries a WebSocket.
//!
//! ```text
//!   reader ◀── poll_read ◀── ahead ◀── take() ◀── the task of the connection ◀── socket
//!   writer ──▶ poll_write ──▶ h2, as far as the windows allow ──▶ the task ────▶ socket
//! ```
//!
//! Flow control is backpressure: the stream's window opens by what the program has read, and `h2`
//! is given no more than the peer's windows allow. An idle stream holds no buffer.

use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use tokio::io::ReadBuf;
use tokio::net::TcpStream;

use crate::client::http2::chunk::{Chunk, Unsent};
use crate::client::http2::explain::Failed;
use crate::client::http2::line::Lease;
use crate::client::http2::parting::Parting;
use crate::client::http2::ready::{Ready, Take};
use crate::transport::{Duplex, Remains, SEEN, TlsInfo};

/// How many bytes one call writes at most.
const AT_ONCE: usize = 64 << 10;

/// A stream that carries a WebSocket.
pub(crate) struct Stream {
    tls: Option<Arc<TlsInfo>>,
    unsent: Arc<Unsent>,
    traffic: Mutex<Traffic>,
}

struct Traffic {
    /// `None` after this end has ended the stream in both directions.
    live: Option<Live>,
    /// Received bytes that were not read yet: at most the window.
    ahead: BytesMut,
    /// How receiving has ended, if it has.
    end: Option<Result<(), Arc<Failed>>>,
    reader: Option<Waker>,
}

struct Live {
    receive: RecvStream,
    send: SendStream<Chunk>,
    /// Has the task of the connection call [`take`](Take::take).
    notice: Waker,
    is_shut_down: bool,
    /// Dropped last: the connection ends with its last stream.
    lease: Lease,
}

impl Stream {
    pub(crate) fn new(
        receive: RecvStream,
        send: SendStream<Chunk>,
        lease: Lease,
        ready: &Arc<Ready>,
        tls: Option<Arc<TlsInfo>>,
    ) -> Arc<Self> {
        let stream = Arc::new_cyclic(|stream: &Weak<Self>| {
            let notice = ready.waker(stream.clone());
            let live = Live { receive, send, notice, is_shut_down: false, lease };
            let traffic =
                Traffic { live: Some(live), ahead: BytesMut::new(), end: None, reader: None };
            Self { tls, unsent: Arc::default(), traffic: Mutex::new(traffic) }
        });
        // Asks for the first notice.
        stream.take();
        stream
    }

    fn lock(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Take for Stream {
    fn take(&self) {
        let reader = self.lock().take_in();
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Live {
    /// The peer's GOAWAY says more than the end of the connection after it.
    fn explain(&self, error: h2::Error) -> Failed {
        let goaway = if error.is_io() { self.lease.line().goaway() } else { None };
        Failed::new(goaway.unwrap_or(error))
    }
}

impl Traffic {
    /// Takes what has arrived out of h2. Returns the reader's waker if that is anything.
    fn take_in(&mut self) -> Option<Waker> {
        let Self { live: Some(live), ahead, end, reader } = self else { return None };
        let before = ahead.len();
        while end.is_none() {
            let mut cx = Context::from_waker(&live.notice);
            match live.receive.poll_data(&mut cx) {
                Poll::Ready(Some(Ok(bytes))) => ahead.extend_from_slice(&bytes),
                Poll::Ready(Some(Err(error))) => *end = Some(Err(Arc::new(live.explain(error)))),
                Poll::Ready(None) => *end = Some(Ok(())),
                Poll::Pending => break,
            }
        }
        let has_news = ahead.len() > before || end.is_some();
        if has_news { reader.take() } else { None }
    }

    /// The error of the connection, if a write to its socket has failed. It is read on for what the
    /// peer has sent before.
    fn broken(&self) -> Option<io::Error> {
        self.live.as_ref()?.lease.line().broken.error()
    }

    fn wait(&mut self, cx: &mut Context<'_>) {
        if !self.reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker())) {
            self.reader = Some(cx.waker().clone());
        }
    }

    /// The sending side, or the error for its end.
    fn sending(&mut self) -> io::Result<&mut SendStream<Chunk>> {
        match &mut self.live {
            Some(live) if !live.is_shut_down => Ok(&mut live.send),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Traffic {
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
        unsent: &Arc<Unsent>,
    ) -> Poll<io::Result<usize>> {
        if let Some(error) = self.broken() {
            return Poll::Ready(Err(error));
        }
        let send = self.sending()?;
        let wanted = slices.iter().map(|slice| slice.len()).sum::<usize>().min(AT_ONCE);
        send.reserve_capacity(wanted);
        while send.capacity() == 0 && wanted > 0 {
            match ready!(send.poll_capacity(cx)) {
                Some(capacity) => capacity.map_err(failed)?,
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            };
        }
        let mut room = wanted.min(send.capacity());
        let mut bytes = BytesMut::with_capacity(room);
        for slice in slices {
            let part = &slice[..slice.len().min(room)];
            bytes.extend_from_slice(part);
            room -= part.len();
        }
        let count = bytes.len();
        if count > 0 {
            send.send_data(unsent.chunk(bytes.freeze()), false).map_err(failed)?;
        }
        Poll::Ready(Ok(count))
    }
}

impl Duplex for Stream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut traffic = self.lock();
        if !traffic.ahead.is_empty() || traffic.end.is_some() || traffic.live.is_none() {
            return Poll::Ready(());
        }
        traffic.wait(cx);
        Poll::Pending
    }

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut traffic = self.lock();
        if !traffic.ahead.is_empty() {
            let count = traffic.ahead.len().min(buffer.remaining());
            buffer.put_slice(&traffic.ahead[..count]);
            traffic.ahead.advance(count);
            if traffic.ahead.is_empty() {
                traffic.ahead = BytesMut::new();
            }
            if let Some(live) = &mut traffic.live {
                // Fails if the stream has ended, when there is no window to open.
                let _ = live.receive.flow_control().release_capacity(count);
            }
            return Poll::Ready(Ok(()));
        }
        match &traffic.end {
            Some(Ok(())) => Poll::Ready(Ok(())),
            Some(Err(failed)) => Poll::Ready(Err(told(failed))),
            None if traffic.live.is_none() => Poll::Ready(Ok(())),
            None => {
                traffic.wait(cx);
                Poll::Pending
            }
        }
    }

    fn poll_write(
        &self,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut traffic = self.lock();
        let wrote = ready!(traffic.poll_write(cx, slices, &self.unsent));
        let Err(error) = wrote else { return Poll::Ready(wrote) };
        // Only the receiving side of h2 knows why the stream has ended.
        let reader = traffic.take_in();
        let why = traffic.end.as_ref().and_then(|end| end.as_ref().err().map(told));
        drop(traffic);
        if let Some(reader) = reader {
            reader.wake();
        }
        Poll::Ready(Err(why.unwrap_or(error)))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn has_moved(&self) -> bool {
        self.unsent.has_moved()
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.unsent.poll_none(cx));
        // What was accepted before that is lost.
        Poll::Ready(self.lock().broken().map_or(Ok(()), Err))
    }

    /// Sends END_STREAM.
    fn poll_shutdown(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut traffic = self.lock();
        let Some(live) = &mut traffic.live else { return Poll::Ready(Ok(())) };
        if !mem::replace(&mut live.is_shut_down, true) {
            // Fails if the stream has ended, as the peer knows.
            let _ = live.send.send_data(self.unsent.chunk(Bytes::new()), true);
        }
        Poll::Ready(Ok(()))
    }

    fn has_unread(&self, _: &mut Option<Waker>) -> bool {
        !self.lock().ahead.is_empty()
    }

    fn has_come(&self) -> bool {
        false
    }

    fn look_ahead(&self, look: &mut dyn FnMut(&[u8])) {
        let traffic = self.lock();
        look(&traffic.ahead[..traffic.ahead.len().min(SEEN)]);
    }

    /// The socket belongs to all streams, so none of them sets its options.
    fn tcp_stream(&self) -> Option<&TcpStream> {
        None
    }

    fn tls(&self) -> Option<Arc<TlsInfo>> {
        self.tls.clone()
    }

    /// Lets go of the stream: what was accepted is sent, and then CANCEL unless both ends have
    /// ended the stream.
    fn end(&self) -> Remains {
        let (live, waker) = {
            let mut traffic = self.lock();
            (traffic.live.take(), traffic.reader.take())
        };
        if let Some(Live { receive, send, lease, .. }) = live
            && !self.unsent.is_empty()
        {
            lease.line().part(Parting::new(self.unsent.clone(), (receive, send)));
        }
        Remains { stream: None, waker }
    }
}

fn told(failed: &Arc<Failed>) -> io::Error {
    io::Error::new(failed.kind, failed.clone())
}

fn failed(error: h2::Error) -> io::Error {
    let failed = Failed::new(error);
    io::Error::new(failed.kind, failed)
}
