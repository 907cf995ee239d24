//! What a stream has to know whose two halves share it.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::ReadBuf;
use tokio::net::TcpStream;

use crate::transport::Io;
use crate::transport::tls_info::TlsInfo;

/// A stream that both halves hold. Each of the two is used by one at a time, but both at once.
pub(crate) trait Duplex: Send + Sync + 'static {
    /// Waits until there may be something to read. A stream that can't tell says that there may.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()>;

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>>;

    fn poll_write(
        &self,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Whether more than the first slice is written in one call.
    fn is_write_vectored(&self) -> bool;

    /// Whether what it holds back itself has become less since this was last asked.
    fn has_moved(&self) -> bool;

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether bytes of the peer lie unread. If finding out has used up somebody's waker, that is
    /// to be woken.
    fn has_unread(&self, wake: &mut Option<Waker>) -> bool;

    /// Whether anything has come since this was last asked that was no bytes to be read, or not yet.
    fn has_come(&self) -> bool;

    /// Shows those that the last [`has_unread`](Self::has_unread) has found, up to
    /// [`SEEN`](crate::transport::SEEN) of them.
    fn look_ahead(&self, look: &mut dyn FnMut(&[u8]));

    /// The socket under it, where there is one that is known.
    fn tcp_stream(&self) -> Option<&TcpStream>;

    /// What its TLS handshake agreed on, if it is TLS.
    fn tls(&self) -> Option<Arc<TlsInfo>>;

    /// Ends it in both directions. What is left is to be dropped where nothing is locked.
    fn end(&self) -> Remains;
}

/// What remains of a stream that has ended. To drop it may run code of the program's.
#[derive(Default)]
pub(crate) struct Remains {
    pub(crate) stream: Option<Box<dyn Io>>,
    /// Who waits for something to read, and would for ever.
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
