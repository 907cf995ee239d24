//! The trait for a stream that its two halves share.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::ReadBuf;
use tokio::net::TcpStream;

use crate::transport::Io;
use crate::transport::tls_info::TlsInfo;

/// A stream that both halves hold. Each half is used by one task at a time, but both can be used at
/// once.
pub(crate) trait Duplex: Send + Sync + 'static {
    /// Waits until the stream is possibly readable. A stream that can't tell is always ready.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()>;

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>>;

    fn poll_write(
        &self,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Whether one call can write more than the first slice.
    fn is_write_vectored(&self) -> bool;

    /// Whether the stream has written out some of its own buffer since the last call.
    fn has_moved(&self) -> bool;

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether there are unread bytes of the peer. If the check has used up the reader's waker, it
    /// is stored in `wake` and has to be woken.
    fn has_unread(&self, wake: &mut Option<Waker>) -> bool;

    /// Whether the stream has received anything since the last call that is not readable (yet).
    fn has_come(&self) -> bool;

    /// Passes the bytes that the last [`has_unread`](Self::has_unread) found to `look`, up to
    /// [`SEEN`](crate::transport::SEEN) of them.
    fn look_ahead(&self, look: &mut dyn FnMut(&[u8]));

    /// The TCP socket below, if there is a known one.
    fn tcp_stream(&self) -> Option<&TcpStream>;

    /// The result of the TLS handshake, if this is TLS.
    fn tls(&self) -> Option<Arc<TlsInfo>>;

    /// Ends the stream in both directions. The caller drops the result while it holds no lock.
    fn end(&self) -> Remains;
}

/// What remains of a stream that has ended. Dropping it can run the program's code.
#[derive(Default)]
pub(crate) struct Remains {
    pub(crate) stream: Option<Box<dyn Io>>,
    /// The reader's waker, which nothing else would wake any more.
    pub(crate) waker: Option<Waker>,
}

impl Drop for Remains {
    fn drop(&mut self) {
        drop(self.stream.take());
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
