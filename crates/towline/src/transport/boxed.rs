//! A stream of an unknown type.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;

use crate::transport::duplex::{Duplex, Remains};
use crate::transport::tls_info::TlsInfo;
use crate::transport::{Io, SEEN};

/// A stream of an unknown type. It has no readiness check, so finding out whether it has bytes
/// means reading them.
pub(crate) struct Boxed(Mutex<Buffered>);

struct Buffered {
    /// Gone once the connection has ended.
    stream: Option<Box<dyn Io>>,
    is_write_vectored: bool,
    /// Bytes that were read to find out whether there are any.
    ahead: Vec<u8>,
    /// The error that such a read returned: a stream need not return it again.
    failure: Option<io::Error>,
    /// The reader's waker.
    waker: Option<Waker>,
}

impl Boxed {
    pub(crate) fn new(stream: Box<dyn Io>) -> Self {
        let is_write_vectored = stream.is_write_vectored();
        let (stream, ahead) = (Some(stream), Vec::new());
        let buffered = Buffered { stream, is_write_vectored, ahead, failure: None, waker: None };
        Self(Mutex::new(buffered))
    }

    fn lock(&self) -> MutexGuard<'_, Buffered> {
        // The connection's own lock handles a stream that has panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Duplex for Boxed {
    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_read(cx, buffer)
    }

    fn poll_write(
        &self,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut buffered = self.lock();
        let stream = buffered.stream()?;
        match slices {
            [only] => stream.poll_write(cx, only),
            _ => stream.poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.lock().is_write_vectored
    }

    fn has_moved(&self) -> bool {
        // Unknown for such a stream.
        false
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().stream()?.poll_flush(cx)
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().stream()?.poll_shutdown(cx)
    }

    fn has_unread(&self, wake: &mut Option<Waker>) -> bool {
        let mut buffered = self.lock();
        if buffered.read_ahead() {
            *wake = buffered.waker.take();
        }
        !buffered.ahead.is_empty()
    }

    fn has_come(&self) -> bool {
        false
    }

    fn look_ahead(&self, look: &mut dyn FnMut(&[u8])) {
        look(&self.lock().ahead);
    }

    fn tcp_stream(&self) -> Option<&TcpStream> {
        None
    }

    fn tls(&self) -> Option<Arc<TlsInfo>> {
        None
    }

    fn end(&self) -> Remains {
        let mut buffered = self.lock();
        Remains { stream: buffered.stream.take(), waker: buffered.waker.take() }
    }
}

impl Buffered {
    fn stream(&mut self) -> io::Result<Pin<&mut Box<dyn Io>>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..count]);
            self.ahead.drain(..count);
            if self.ahead.is_empty() {
                self.ahead = Vec::new();
            }
            return Poll::Ready(Ok(()));
        }
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(Err(failure));
        }
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(())) };
        let result = Pin::new(stream).poll_read(cx, buffer);
        self.waker = result.is_pending().then(|| cx.waker().clone());
        Poll::Ready(ready!(result))
    }

    /// Reads ahead. Returns whether the reader has something to read: bytes, the end or an error.
    fn read_ahead(&mut self) -> bool {
        while self.ahead.len() < SEEN
            && self.failure.is_none()
            && let Some(stream) = &mut self.stream
        {
            let mut bytes = [0; 2048];
            let mut buffer = ReadBuf::new(&mut bytes);
            // The stream keeps one waker only, and the reader has to stay registered.
            let waker = self.waker.clone().unwrap_or_else(|| Waker::noop().clone());
            // The timekeeper checks many connections in one poll. A stream that is pending because
            // tokio's budget is used up would look silent.
            let look = poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut buffer));
            match pin!(tokio::task::unconstrained(look)).poll(&mut Context::from_waker(&waker)) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => return true,
                Poll::Ready(Ok(())) => self.ahead.extend_from_slice(buffer.filled()),
                Poll::Ready(Err(error)) => self.failure = Some(error),
            }
        }
        !self.ahead.is_empty() || self.failure.is_some()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn bytes_that_were_read_ahead_take_no_memory_once_they_are_received() {
        let (near, mut far) = tokio::io::duplex(1000);
        let boxed = Boxed::new(Box::new(near));
        far.write_all(&[7; 1000]).await.unwrap();
        assert!(boxed.has_unread(&mut None));
        let mut received = 0;
        while received < 1000 {
            let mut bytes = [0; 600];
            let mut buffer = ReadBuf::new(&mut bytes);
            assert!(
                boxed.poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer).is_ready()
            );
            received += buffer.filled().len();
        }
        assert_eq!((received, boxed.lock().ahead.capacity()), (1000, 0));
    }
}
