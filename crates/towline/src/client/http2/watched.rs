//! The byte stream under a connection of HTTP/2, with an eye on its errors and on how much is read.
//!
//! `h2` ends a connection at the first failed write, and loses what it has not read by then: messages,
//! and the close frames that say why. So a failed write is kept from `h2`, which reads on until the end
//! of the stream, for a limited time. The WebSockets learn of it when they write.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::error::{Error, ErrorKind};
use crate::transport::AnyStream;

/// The kind and the text of the stream's first error that was one of this library: `h2` keeps only
/// the text of errors.
pub(crate) type FirstError = Arc<OnceLock<(ErrorKind, String)>>;

/// How many bytes may be read before the task of the connection has to take what has arrived. `h2`
/// keeps each frame until then, and ends the connection if there are too many small ones: 8 MiB of
/// their overhead, at up to 256 bytes each. So many fit into 300 KB.
const ALLOWANCE: usize = 64 << 10;

/// How many bytes may still be read.
#[derive(Clone, Default)]
pub(crate) struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    /// Begins anew.
    pub(crate) fn renew(&self) {
        self.0.store(ALLOWANCE, Ordering::Relaxed);
    }
}

/// How long a stream is read after a failed write.
const READ_ON: Duration = Duration::from_secs(5);

/// The kind of the error of the first failed write.
#[derive(Clone, Default)]
pub(crate) struct Broken(Arc<OnceLock<io::ErrorKind>>);

impl Broken {
    /// Returns the error, if a write has failed.
    pub(crate) fn error(&self) -> Option<io::Error> {
        self.0.get().map(|kind| (*kind).into())
    }
}

/// A byte stream that keeps its first error, and is read in portions.
pub(crate) struct Watched {
    stream: AnyStream,
    first_error: FirstError,
    allowance: Allowance,
    broken: Broken,
    /// The end of reading after a failed write.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    pub(crate) fn new(
        stream: AnyStream,
        first_error: FirstError,
        allowance: Allowance,
        broken: Broken,
    ) -> Self {
        Self { stream, first_error, allowance, broken, deadline: None }
    }

    /// Notes a failed write. After that, writing succeeds and does nothing: returns `nothing`.
    fn writes<T>(
        &mut self,
        cx: &mut Context<'_>,
        nothing: T,
        write: impl FnOnce(Pin<&mut AnyStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.deadline.is_some() {
            return Poll::Ready(Ok(nothing));
        }
        let result = write(Pin::new(&mut self.stream), cx);
        let Poll::Ready(Err(error)) = &result else { return result };
        let _ = self.broken.0.set(error.kind());
        let _ = self.note(result);
        self.deadline = Some(Box::pin(sleep(READ_ON)));
        // The deadline is polled with the next read.
        cx.waker().wake_by_ref();
        Poll::Ready(Ok(nothing))
    }

    /// The result of reading after a failed write: the end of the stream is that error.
    fn reads_on(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<()>>,
        count: usize,
    ) -> Poll<io::Result<()>> {
        let (Some(deadline), Some(error)) = (&mut self.deadline, self.broken.error()) else {
            return result;
        };
        match result {
            Poll::Ready(Ok(())) if count == 0 => Poll::Ready(Err(error)),
            Poll::Pending if deadline.as_mut().poll(cx).is_ready() => Poll::Ready(Err(error)),
            result => result,
        }
    }

    fn note<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &result
            && let Some(own) = error.get_ref().and_then(|error| error.downcast_ref::<Error>())
        {
            let _ = self.first_error.set((own.kind(), own.to_string()));
        }
        result
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.allowance.0.load(Ordering::Relaxed);
        if left == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let count = buffer.filled().len() - before;
        self.allowance.0.store(left.saturating_sub(count), Ordering::Relaxed);
        let result = self.note(result);
        self.reads_on(cx, result, count)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes(cx, bytes.len(), |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = slices.iter().map(|slice| slice.len()).sum();
        self.writes(cx, len, |stream, cx| stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writes(cx, (), |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writes(cx, (), |stream, cx| stream.poll_shutdown(cx))
    }
}
