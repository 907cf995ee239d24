//! A stream of HTTP/2 as a stream of bytes.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;
use tokio::time::Sleep;
use towline::Broken;

use crate::h2_error::{copy, explain, explain_end};
use crate::http2_executor::InUse;

/// How many DATA frames are read at once, so that other tasks run.
const FRAMES: usize = 512;

/// How many bytes are read ahead while the program does not receive. The kernel does as much for a
/// socket.
const AHEAD: usize = 64 << 10;

/// How many bytes one call writes at most. A write is a copy that waits in hyper, and each makes a DATA
/// frame at the least, so that a frame's header and its payload are written together.
const AT_ONCE: usize = 64 << 10;

/// The longest write whose last byte is written with the others: see [`portion`].
const WHOLE: usize = 4 << 10;

/// How long a woken reader may take to read before its stream is read ahead: it possibly waits for
/// something else meanwhile.
const PATIENCE: Duration = Duration::from_millis(10);

/// How long to wait for hyper's writing side to say that the stream was reset.
const WHY: Duration = Duration::from_millis(50);

/// The stream of an extended CONNECT (RFC 8441), which hyper hands out one DATA frame at a time.
///
/// Frames do not stay in h2 while the program is busy, up to [`AHEAD`]. h2 counts small frames that
/// are left unread, and ends the connection, with all its streams, if there are too many.
pub(crate) struct H2Stream(Arc<Mutex<Stream>>);

struct Stream {
    upgraded: TokioIo<Upgraded>,
    arrival: Arc<Arrival>,
    /// Bytes that were read while the program did not receive.
    ahead: BytesMut,
    reading: Reading,
    /// Whether the last write found no room.
    is_blocked: bool,
    /// The error of writing, which hyper reports once.
    write_error: Option<io::Error>,
    /// Tells of a failed write of the connection, which is read on for what the client has sent before.
    broken: Option<Broken>,
    _in_use: InUse,
}

enum Reading {
    Open,
    /// An error that came after bytes which are to be returned first.
    Failed(io::Error),
    /// hyper has reported the end. It does so for the end of the stream (END_STREAM) and for a reset
    /// with CANCEL or NO_ERROR alike.
    Ending(Option<Pin<Box<Sleep>>>),
    Ended,
}

/// The waker that h2 has. It wakes the reader, or reads ahead if none waits.
///
/// h2 holds a lock when it wakes, so nothing here uses the stream.
struct Arrival {
    /// The waker of a reader that waits.
    reader: Mutex<Option<Waker>>,
    /// Whether h2 is going to wake.
    is_awaited: AtomicBool,
    /// Whether a task sees to it that the reader reads.
    is_watched: AtomicBool,
    stream: OnceLock<Weak<Mutex<Stream>>>,
    runtime: Option<Handle>,
}

impl H2Stream {
    pub(crate) fn new(upgraded: Upgraded, in_use: InUse, broken: Option<Broken>) -> Self {
        let arrival = Arc::new(Arrival {
            reader: Mutex::default(),
            is_awaited: AtomicBool::new(false),
            is_watched: AtomicBool::new(false),
            stream: OnceLock::new(),
            runtime: Handle::try_current().ok(),
        });
        let stream = Arc::new(Mutex::new(Stream {
            upgraded: TokioIo::new(upgraded),
            arrival: arrival.clone(),
            ahead: BytesMut::new(),
            reading: Reading::Open,
            is_blocked: false,
            write_error: None,
            broken,
            _in_use: in_use,
        }));
        let _ = arrival.stream.set(Arc::downgrade(&stream));
        lock(&stream).keep_reading();
        Self(stream)
    }

    fn lock(&self) -> MutexGuard<'_, Stream> {
        lock(&self.0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wake for Arrival {
    fn wake(self: Arc<Self>) {
        self.is_awaited.store(false, Ordering::Release);
        let reader = lock(&self.reader).take();
        let patience = reader.is_some().then_some(PATIENCE);
        if let Some(reader) = reader {
            reader.wake();
        }
        if let Some(runtime) = &self.runtime
            && !self.is_watched.swap(true, Ordering::AcqRel)
        {
            runtime.spawn(self.clone().read_ahead(patience));
        }
    }
}

impl Arrival {
    /// Reads ahead, after this time.
    async fn read_ahead(self: Arc<Self>, patience: Option<Duration>) {
        if let Some(patience) = patience {
            tokio::time::sleep(patience).await;
        }
        // Not a store, which a later load may overtake: then this would miss a frame that arrives
        // now, while its waker takes this for a reader.
        self.is_watched.swap(false, Ordering::AcqRel);
        while !self.is_awaited.load(Ordering::Acquire)
            && let Some(stream) = self.stream.get().and_then(Weak::upgrade)
            && lock(&stream).read_ahead()
        {
            tokio::task::yield_now().await;
        }
    }

    /// Notes that a reader waits, or that none does. The timekeeper, which looks for unread bytes,
    /// does not.
    fn set_reader(&self, waker: Option<&Waker>) {
        let waker = waker.filter(|waker| !waker.will_wake(Waker::noop()));
        *lock(&self.reader) = waker.cloned();
    }
}

impl Stream {
    /// Reads what has arrived. Returns whether that is more than nothing.
    fn poll_frames(&mut self, buffer: &mut ReadBuf<'_>) -> Poll<bool> {
        let waker = Waker::from(self.arrival.clone());
        let cx = &mut Context::from_waker(&waker);
        let start = buffer.filled().len();
        for _ in 0..FRAMES {
            let before = buffer.filled().len();
            // Before h2 can wake.
            self.arrival.is_awaited.store(true, Ordering::Release);
            let result = Pin::new(&mut self.upgraded).poll_read(cx, buffer);
            if result.is_pending() {
                return if before == start { Poll::Pending } else { Poll::Ready(true) };
            }
            self.arrival.is_awaited.store(false, Ordering::Release);
            match result {
                Poll::Ready(Err(error)) => self.reading = Reading::Failed(explain_end(error)),
                _ if buffer.filled().len() == before => self.reading = Reading::Ending(None),
                _ if buffer.remaining() == 0 => {}
                _ => continue,
            }
            break;
        }
        Poll::Ready(buffer.filled().len() > start)
    }

    /// Reads ahead, unless h2 is going to wake. Returns whether there is possibly more.
    fn read_ahead(&mut self) -> bool {
        if !matches!(self.reading, Reading::Open) || self.ahead.len() >= AHEAD {
            return false;
        }
        let mut bytes = [0; 4096];
        let mut buffer = ReadBuf::new(&mut bytes);
        let result = self.poll_frames(&mut buffer);
        self.ahead.extend_from_slice(buffer.filled());
        if result.is_ready()
            && let Some(reader) = lock(&self.arrival.reader).take()
        {
            reader.wake();
        }
        result.is_ready()
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            self.arrival.set_reader(None);
            let count = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..count]);
            self.ahead.advance(count);
            if self.ahead.is_empty() {
                self.ahead = BytesMut::new();
            }
            self.keep_reading();
            return Poll::Ready(Ok(()));
        }
        self.arrival.set_reader(Some(cx.waker()));
        if matches!(self.reading, Reading::Open) && ready!(self.poll_frames(buffer)) {
            self.arrival.set_reader(None);
            self.keep_reading();
            return Poll::Ready(Ok(()));
        }
        if matches!(self.reading, Reading::Ending(_)) {
            let why = ready!(self.poll_why(cx));
            self.reading = Reading::Ended;
            return Poll::Ready(why);
        }
        match std::mem::replace(&mut self.reading, Reading::Ended) {
            Reading::Failed(error) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Makes h2 wake when more arrives, since the program possibly does not receive for long.
    fn keep_reading(&mut self) {
        let mut has_more = true;
        while has_more && !self.arrival.is_awaited.load(Ordering::Acquire) {
            has_more = self.read_ahead();
        }
    }

    /// Resolves to the error if the stream was reset. Only hyper's writing side, a task, knows, and it
    /// learns of it when this side does. A stream that has ended can still be written to, so that
    /// side is asked, not closed.
    fn poll_why(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.write_error.take() {
            return Poll::Ready(Err(error));
        }
        // The writer is told if it waits for room. Asking would take its place.
        if !self.is_blocked
            && let Poll::Ready(Err(error)) = Pin::new(&mut self.upgraded).poll_flush(cx)
        {
            return Poll::Ready(Err(explain(error)));
        }
        let Reading::Ending(deadline) = &mut self.reading else { return Poll::Ready(Ok(())) };
        // Outside of tokio there is no timer.
        if deadline.is_none() && Handle::try_current().is_err() {
            return Poll::Ready(Ok(()));
        }
        deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(WHY))).as_mut().poll(cx).map(Ok)
    }

    /// Returns the stream to write to, unless the connection is broken.
    fn writable(&mut self) -> io::Result<Pin<&mut TokioIo<Upgraded>>> {
        match self.broken.as_ref().and_then(Broken::error) {
            Some(error) => Err(explain_end(error)),
            None => Ok(Pin::new(&mut self.upgraded)),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.writable()?.poll_write(cx, portion(bytes))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writable()?.poll_flush(cx)
    }

    /// Writes several slices as one.
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // For hyper, that waits for room to write. Nothing is copied before.
        ready!(self.poll_flush(cx))?;
        let mut room = slices.iter().map(|slice| slice.len()).sum::<usize>().min(AT_ONCE);
        let mut bytes = Vec::with_capacity(room);
        for slice in slices {
            let part = &slice[..slice.len().min(room)];
            bytes.extend_from_slice(part);
            room -= part.len();
        }
        Pin::new(&mut self.upgraded).poll_write(cx, portion(&bytes))
    }

    /// Explains the error of a write, and keeps it for reading.
    fn written<T>(&mut self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.is_blocked = result.is_pending();
        result.map_err(|error| {
            let error = self.better(explain(error));
            self.write_error = copy(&error);
            error
        })
    }

    /// Returns the error of reading in place of one of writing, if there is one. It says which end has
    /// reset the stream; hyper's writing side knows the error code alone, or not even that.
    fn better(&mut self, error: io::Error) -> io::Error {
        self.read_ahead();
        match &self.reading {
            Reading::Failed(read) => copy(read).unwrap_or(error),
            _ => error,
        }
    }
}

/// Returns how many of these bytes to write: of many, all but the last one, which then follows alone.
///
/// h2 takes a whole write once the client has given window for one byte of it, and hyper ends the stream
/// once h2 has taken the last write. After that nothing can reset the stream, and what the client gives
/// no window for stays in h2. If the last write is a single byte, that is nothing.
fn portion(bytes: &[u8]) -> &[u8] {
    let bytes = &bytes[..bytes.len().min(AT_ONCE)];
    if bytes.len() > WHOLE { &bytes[..bytes.len() - 1] } else { bytes }
}

impl AsyncRead for H2Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.lock().poll_read(cx, buffer)
    }
}

impl AsyncWrite for H2Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut stream = self.lock();
        let result = stream.poll_write(cx, bytes);
        stream.written(result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut stream = self.lock();
        let result = stream.poll_write_vectored(cx, slices);
        stream.written(result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = self.lock();
        let result = stream.poll_flush(cx);
        stream.written(result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = self.lock();
        let result = Pin::new(&mut stream.upgraded).poll_shutdown(cx);
        stream.written(result)
    }
}
