//! The public TLS stream.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::transport::duplex::Duplex;
use crate::transport::tls_info::TlsInfo;

/// A TLS stream, made by [`Tls::connect`](crate::Tls::connect) or
/// [`TlsServer::accept`](crate::TlsServer::accept), for
/// [`Client::connect_over`](crate::Client::connect_over),
/// [`ServerHandle::serve`](crate::ServerHandle::serve), or for another protocol.
///
/// Reading ends at the peer's `close_notify`. If the stream ends without one, reading fails with
/// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof). `shutdown` sends `close_notify`. An idle stream
/// holds no buffer.
pub struct TlsStream(pub(crate) Arc<dyn Duplex>);

impl TlsStream {
    /// Returns the result of the TLS handshake.
    pub fn info(&self) -> Arc<TlsInfo> {
        self.0.tls().expect("of a stream that is TLS")
    }

    /// Returns the TCP socket below, to set its options, or `None` for another kind of stream.
    /// Reading from it or writing to it breaks the stream.
    pub fn tcp_stream(&self) -> Option<&TcpStream> {
        self.0.tcp_stream()
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.poll_read(cx, buffer)
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("info", &self.info()).finish_non_exhaustive()
    }
}
