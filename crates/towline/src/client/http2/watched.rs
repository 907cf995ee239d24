//! The byte stream under a connection of HTTP/2, with an eye on its errors and on how much is read.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::error::{Error, ErrorKind};
use crate::transport::{AnyStream, ReadOn};

/// The kind and the text of the first error of reading that was one of this library: `h2` keeps only the
/// text of errors.
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

/// A byte stream that keeps its first error of reading, and is read in portions.
pub(crate) struct Watched {
    stream: ReadOn<AnyStream>,
    first_error: FirstError,
    allowance: Allowance,
}

impl Watched {
    pub(crate) fn new(
        stream: ReadOn<AnyStream>,
        first_error: FirstError,
        allowance: Allowance,
    ) -> Self {
        Self { stream, first_error, allowance }
    }
}

/// Returns the kind and the text of an error, if it is one of this library.
pub(crate) fn own_error(error: &io::Error) -> Option<(ErrorKind, String)> {
    let own = error.get_ref()?.downcast_ref::<Error>()?;
    Some((own.kind(), own.to_string()))
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
        if let Poll::Ready(Err(error)) = &result
            && let Some(own) = own_error(error)
        {
            let _ = self.first_error.set(own);
        }
        result
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
