//! The byte stream under a connection of HTTP/2, which is read on after a failed write.
//!
//! `h2` ends a connection at the first failed write, and loses what it has not read by then: messages,
//! and the close frames that say why. So a failed write is kept from `h2`, which reads on until the end
//! of the stream, for a limited time. The WebSockets learn of it when they write.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long to wait for more after a failed write.
const READ_ON: Duration = Duration::from_secs(5);

/// The error of the first failed write, shared by clones.
#[derive(Debug, Clone, Default)]
pub struct Broken(Arc<OnceLock<io::Error>>);

impl Broken {
    /// Returns the error, if a write has failed.
    pub fn get(&self) -> Option<&io::Error> {
        self.0.get()
    }

    /// Returns an error of the same kind and with the same text.
    pub fn error(&self) -> Option<io::Error> {
        self.get().map(|error| io::Error::new(error.kind(), error.to_string()))
    }
}

/// A byte stream whose first failed write is an error of reading, after all that there is to read.
#[derive(Debug)]
pub struct ReadOn<S> {
    stream: S,
    broken: Broken,
    /// The end of reading after a failed write.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> ReadOn<S> {
    /// Wraps a stream. `broken` then tells of its first failed write.
    pub fn new(stream: S, broken: Broken) -> Self {
        Self { stream, broken, deadline: None }
    }
}

impl<S: Unpin> ReadOn<S> {
    /// Notes a failed write. After that, writing succeeds and does nothing: returns `nothing`.
    fn writes<T>(
        &mut self,
        cx: &mut Context<'_>,
        nothing: T,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.deadline.is_some() {
            return Poll::Ready(Ok(nothing));
        }
        let result = write(Pin::new(&mut self.stream), cx);
        let Poll::Ready(Err(error)) = result else { return result };
        let _ = self.broken.0.set(error);
        self.deadline = Some(Box::pin(sleep(READ_ON)));
        // The deadline is polled with the next read.
        cx.waker().wake_by_ref();
        Poll::Ready(Ok(nothing))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadOn<S> {
    /// After a failed write, the end of the stream is that error.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let Some(deadline) = &mut self.deadline else { return result };
        let is_over = match &result {
            Poll::Ready(Ok(())) => buffer.filled().len() == before,
            Poll::Ready(Err(_)) => false,
            Poll::Pending => deadline.as_mut().poll(cx).is_ready(),
        };
        match self.broken.error() {
            Some(error) if is_over => Poll::Ready(Err(error)),
            _ => result,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadOn<S> {
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
