//! The byte stream under a connection of HTTP/2, with an eye on its errors and on how much is read.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

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

/// A byte stream that keeps its first error, and is read in portions.
pub(crate) struct Watched {
    pub(crate) stream: AnyStream,
    pub(crate) first_error: FirstError,
    pub(crate) allowance: Allowance,
}

impl Watched {
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
        self.note(result)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.note(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.note(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.note(result)
    }
}
