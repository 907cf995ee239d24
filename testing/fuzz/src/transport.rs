//! A transport that is often not ready, moves a few bytes, and may fail, as bytes say.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// One end of a pipe. Each byte of its script is what becomes of one call; once there are none left
/// it works as any pipe.
pub struct Scripted {
    inner: DuplexStream,
    script: VecDeque<u8>,
    may_fail: bool,
    has_failed: bool,
}

/// What becomes of a call.
enum Act {
    Move(usize),
    NotReady,
    Fail,
}

impl Scripted {
    pub fn new(inner: DuplexStream, script: &[u8], may_fail: bool) -> Self {
        Self { inner, script: script.iter().copied().collect(), may_fail, has_failed: false }
    }

    fn next(&mut self) -> Act {
        if self.has_failed {
            return Act::Fail;
        }
        match self.script.pop_front() {
            None => Act::Move(usize::MAX),
            Some(0..=63) => Act::NotReady,
            Some(255) if self.may_fail => {
                self.has_failed = true;
                Act::Fail
            }
            Some(most) => Act::Move(usize::from(most) - 63),
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self.next() {
            Act::Move(most) => Poll::Ready(Ok(most)),
            Act::NotReady => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Act::Fail => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }
}

impl AsyncRead for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = match self.poll_next(cx) {
            Poll::Ready(most) => most?,
            Poll::Pending => return Poll::Pending,
        };
        let most = most.min(buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        let polled = Pin::new(&mut self.inner).poll_read(cx, &mut part);
        let read = part.filled().len();
        buffer.advance(read);
        polled
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let most = match self.poll_next(cx) {
            Poll::Ready(most) => most?,
            Poll::Pending => return Poll::Pending,
        };
        Pin::new(&mut self.inner).poll_write(cx, &bytes[..most.min(bytes.len())])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A runtime on which time passes when there is nothing else to do.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
}
