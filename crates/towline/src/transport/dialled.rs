//! The public byte stream to a server.

use std::any::Any;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::transport::boxed::Boxed;
use crate::transport::duplex::Duplex;
use crate::transport::tls_info::TlsInfo;
use crate::transport::{AnyStream, Io};

/// A byte stream to a server, made by [`Client::dial`](crate::Client::dial): TCP, perhaps through a
/// proxy, perhaps with TLS. There is no WebSocket on it yet.
///
/// It is for another protocol, for a handshake of your own, or for
/// [`Client::connect_over`](crate::Client::connect_over), which recognises what is inside and so
/// costs no more than [`connect`](crate::Client::connect).
///
/// With TLS, reading ends at the server's `close_notify`; without one, it fails with
/// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof). `shutdown` sends `close_notify`.
///
/// [`Client::dial`](crate::Client::dial) has an example.
#[doc(alias = "MaybeTlsStream")]
pub struct Transport {
    stream: Stream,
    peer_addr: Option<SocketAddr>,
    tls: Option<Arc<TlsInfo>>,
    proxy: Option<String>,
}

/// As [`AnyStream`], but `Sync`.
enum Stream {
    Tcp(TcpStream),
    Duplex(Arc<dyn Duplex>),
}

impl Transport {
    pub(crate) fn new(
        stream: AnyStream,
        peer_addr: Option<SocketAddr>,
        proxy: Option<String>,
    ) -> Self {
        let tls = stream.tls();
        let stream = match stream {
            AnyStream::Tcp(tcp) => Stream::Tcp(tcp),
            AnyStream::Duplex(duplex) => Stream::Duplex(duplex),
            AnyStream::Other(boxed) => Stream::Duplex(Arc::new(Boxed::new(boxed))),
            #[cfg(unix)]
            unix @ AnyStream::Unix(_) => Stream::Duplex(Arc::new(Boxed::new(Box::new(unix)))),
        };
        Self { stream, peer_addr, tls, proxy }
    }

    /// Returns the address at the other end of the TCP connection: the server's, or the proxy's if
    /// there is one.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }

    /// Returns the proxy in between, without its user and password: `http://proxy:3128`.
    pub fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }

    /// Returns the result of the TLS handshake with the server, with the protocol that ALPN selected,
    /// or `None` for `ws`. TLS with a proxy alone does not count.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_deref()
    }

    /// Returns the TCP socket below, to set its options, or `None` if it is not known. Reading from
    /// it or writing to it breaks the stream.
    pub fn tcp_stream(&self) -> Option<&TcpStream> {
        match &self.stream {
            Stream::Tcp(tcp) => Some(tcp),
            Stream::Duplex(duplex) => duplex.tcp_stream(),
        }
    }

    pub(crate) fn into_any(self) -> AnyStream {
        match self.stream {
            Stream::Tcp(tcp) => AnyStream::Tcp(tcp),
            Stream::Duplex(duplex) => AnyStream::Duplex(duplex),
        }
    }
}

/// A stream that the program gives for a handshake, and the proxy that it leads through if it was dialled.
pub(crate) struct Given {
    pub(crate) stream: AnyStream,
    pub(crate) proxy: Option<String>,
}

impl Given {
    pub(crate) fn new<S: Io>(stream: S) -> Self {
        let dialled = (&stream as &dyn Any).downcast_ref::<Transport>();
        let proxy = dialled.and_then(|transport| transport.proxy.clone());
        Self { stream: AnyStream::new(stream), proxy }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Stream::Duplex(duplex) => duplex.poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Tcp(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Stream::Duplex(duplex) => duplex.poll_write(cx, &[io::IoSlice::new(bytes)]),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Stream::Duplex(duplex) => duplex.poll_write(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Tcp(tcp) => tcp.is_write_vectored(),
            Stream::Duplex(duplex) => duplex.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Duplex(duplex) => duplex.poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Duplex(duplex) => duplex.poll_shutdown(cx),
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("peer_addr", &self.peer_addr)
            .field("proxy", &self.proxy)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
