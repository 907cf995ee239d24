//! A stream of HTTP/2 as a stream of bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;
use tokio::time::Sleep;

use crate::h2_error::{copy, explain};

/// How many DATA frames one read takes at most, so that other tasks run.
const FRAMES: usize = 512;

/// How long to wait for hyper's writing side to say that the stream was reset.
const WHY: Duration = Duration::from_millis(50);

/// The stream of an extended CONNECT (RFC 8441), which hyper hands out one DATA frame at a time.
///
/// One read takes all frames that have arrived, as one read of a socket does. h2 counts small
/// frames that are left unread, and ends the connection, with all its streams, if there are too
/// many.
pub(crate) struct H2Stream {
    upgraded: TokioIo<Upgraded>,
    reading: Reading,
    /// Whether the last write found no room.
    is_blocked: bool,
    /// The error of writing, which hyper reports once.
    write_error: Option<io::Error>,
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

impl H2Stream {
    pub(crate) fn new(upgraded: Upgraded) -> Self {
        let (upgraded, reading) = (TokioIo::new(upgraded), Reading::Open);
        Self { upgraded, reading, is_blocked: false, write_error: None }
    }

    /// Reads what has arrived. Returns whether that is more than nothing.
    fn poll_frames(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<bool> {
        let start = buffer.filled().len();
        for _ in 0..FRAMES {
            let before = buffer.filled().len();
            match Pin::new(&mut self.upgraded).poll_read(cx, buffer) {
                Poll::Pending if before == start => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(Err(error)) => {
                    self.reading = Reading::Failed(explain(error));
                    break;
                }
                Poll::Ready(Ok(())) if buffer.filled().len() == before => {
                    self.reading = Reading::Ending(None);
                    break;
                }
                Poll::Ready(Ok(())) if buffer.remaining() == 0 => break,
                Poll::Ready(Ok(())) => {}
            }
        }
        Poll::Ready(buffer.filled().len() > start)
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

    /// Explains the error of a write, and keeps it for reading.
    fn written<T>(&mut self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.is_blocked = result.is_pending();
        result.map_err(|error| {
            let error = explain(error);
            self.write_error = copy(&error);
            error
        })
    }
}

impl AsyncRead for H2Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if matches!(self.reading, Reading::Open) && ready!(self.poll_frames(cx, buffer)) {
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
}

impl AsyncWrite for H2Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.upgraded).poll_write(cx, bytes);
        self.written(result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.upgraded).poll_flush(cx);
        self.written(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.upgraded).poll_shutdown(cx);
        self.written(result)
    }
}
