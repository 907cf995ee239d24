//! A stream through a proxy, over TLS with the proxy.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::ReadBuf;
use tokio::net::TcpStream;

use crate::transport::duplex::{Duplex, Remains};
use crate::transport::tls_info::TlsInfo;

/// A stream whose TLS ends at a proxy, so it does not count: the proxy reads everything.
pub(crate) struct Tunnel(pub(crate) Arc<dyn Duplex>);

impl Duplex for Tunnel {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_readable(cx)
    }

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.poll_read(cx, buffer)
    }

    fn poll_write(
        &self,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn has_moved(&self) -> bool {
        self.0.has_moved()
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx)
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }

    fn has_unread(&self, wake: &mut Option<Waker>) -> bool {
        self.0.has_unread(wake)
    }

    fn has_come(&self) -> bool {
        self.0.has_come()
    }

    fn look_ahead(&self, look: &mut dyn FnMut(&[u8])) {
        self.0.look_ahead(look);
    }

    fn tcp_stream(&self) -> Option<&TcpStream> {
        self.0.tcp_stream()
    }

    fn tls(&self) -> Option<Arc<TlsInfo>> {
        None
    }

    fn end(&self) -> Remains {
        self.0.end()
    }
}
