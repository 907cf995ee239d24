//! The byte stream under a connection, in two halves.
//!
//! A TCP or Unix socket is recognised whatever wrapper type it came in: its halves need no lock and
//! no virtual call. The halves of any other stream share it behind a lock.

mod tls_info;

mod duplex;

mod boxed;

mod tunnel;

mod halves;

mod tls_stream;

mod read_on;

mod dialled;

pub(crate) mod secure;

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

pub(crate) use dialled::Given;
pub use dialled::Transport;
pub(crate) use duplex::{Duplex, Remains};
pub(crate) use halves::{ReadHalf, WriteHalf};
pub use read_on::{Broken, ReadOn};
pub(crate) use secure::{Alpn, HTTP_1, SecureClient, SecureServer, Whose};
pub use tls_info::TlsInfo;
pub use tls_stream::TlsStream;

use crate::transport::boxed::Boxed;

/// How many unread bytes are examined at most.
pub(crate) const SEEN: usize = 16 << 10;

/// A bidirectional byte stream that can carry a connection.
///
/// All streams of tokio do, such as a pipe in memory:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use towline::{Client, bytes::Bytes, Config, Connection, Role};
///
/// let (one, other) = tokio::io::duplex(4096);
/// let server = Connection::from_stream(one, Role::Server, &Config::server(), Bytes::new());
/// let client = Connection::from_stream(other, Role::Client, &Config::client(), Bytes::new());
/// # let _ = (server, client);
/// # }
/// ```
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// A stream, with a variant for each type that gets special treatment.
pub(crate) enum AnyStream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    /// A stream that its halves can share.
    Duplex(Arc<dyn Duplex>),
    Other(Box<dyn Io>),
}

impl AnyStream {
    pub(crate) fn new<S: Io>(stream: S) -> Self {
        let mut stream = Some(stream);
        if let Some(known) = take::<Self>(&mut stream) {
            return known;
        }
        if let Some(tcp) = take::<TcpStream>(&mut stream) {
            return Self::Tcp(tcp);
        }
        if let Some(transport) = take::<Transport>(&mut stream) {
            return transport.into_any();
        }
        if let Some(TlsStream(duplex)) = take::<TlsStream>(&mut stream) {
            return Self::Duplex(duplex);
        }
        #[cfg(unix)]
        if let Some(unix) = take::<UnixStream>(&mut stream) {
            return Self::Unix(unix);
        }
        if let Some(boxed) = take::<Box<dyn Io>>(&mut stream) {
            return Self::Other(boxed);
        }
        Self::Other(Box::new(stream.expect("not taken")))
    }

    /// The same stream, as the way through a proxy: TLS with the proxy is not TLS with the server.
    pub(crate) fn through_proxy(self) -> Self {
        match self {
            Self::Duplex(duplex) => Self::Duplex(Arc::new(tunnel::Tunnel(duplex))),
            other => other,
        }
    }

    /// The TCP socket below, if there is a known one.
    pub(crate) fn tcp_stream(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(tcp) => Some(tcp),
            Self::Duplex(duplex) => duplex.tcp_stream(),
            _ => None,
        }
    }

    /// The result of the TLS handshake, if this is this library's TLS.
    pub(crate) fn tls(&self) -> Option<Arc<TlsInfo>> {
        match self {
            Self::Duplex(duplex) => duplex.tls(),
            _ => None,
        }
    }

    /// The address of the other end, if the stream has one.
    pub(crate) fn peer_addr(&self) -> Option<SocketAddr> {
        self.tcp_stream()?.peer_addr().ok()
    }

    /// Sets `TCP_NODELAY`, if the stream is on a TCP socket.
    pub(crate) fn set_nodelay(&self, on: bool) {
        if let Some(tcp) = self.tcp_stream() {
            // A socket that has ended meanwhile reports it at the first read.
            let _ = tcp.set_nodelay(on);
        }
    }

    /// The half that is read and the half that is written.
    pub(crate) fn split(self) -> (ReadHalf, WriteHalf) {
        let duplex = match self {
            Self::Tcp(tcp) => {
                let (read, write) = tcp.into_split();
                return (ReadHalf::Tcp(read), WriteHalf::Tcp(write));
            }
            #[cfg(unix)]
            Self::Unix(unix) => {
                let (read, write) = unix.into_split();
                return (ReadHalf::Unix(read), WriteHalf::Unix(write));
            }
            Self::Duplex(duplex) => duplex,
            Self::Other(other) => Arc::new(Boxed::new(other)),
        };
        (ReadHalf::Duplex(duplex.clone()), WriteHalf::Duplex(duplex))
    }
}

/// The value in `slot`, if it is a `T`.
fn take<T: 'static>(slot: &mut dyn Any) -> Option<T> {
    slot.downcast_mut::<Option<T>>()?.take()
}

/// For the handshake, and for HTTP/2. A WebSocket uses the halves.
impl AsyncRead for AnyStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            #[cfg(unix)]
            Self::Unix(unix) => Pin::new(unix).poll_read(cx, buffer),
            Self::Duplex(duplex) => duplex.poll_read(cx, buffer),
            Self::Other(other) => Pin::new(other).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for AnyStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            #[cfg(unix)]
            Self::Unix(unix) => Pin::new(unix).poll_write(cx, bytes),
            Self::Duplex(duplex) => duplex.poll_write(cx, &[io::IoSlice::new(bytes)]),
            Self::Other(other) => Pin::new(other).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            #[cfg(unix)]
            Self::Unix(unix) => Pin::new(unix).poll_write_vectored(cx, slices),
            Self::Duplex(duplex) => duplex.poll_write(cx, slices),
            Self::Other(other) => Pin::new(other).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(tcp) => tcp.is_write_vectored(),
            #[cfg(unix)]
            Self::Unix(unix) => unix.is_write_vectored(),
            Self::Duplex(duplex) => duplex.is_write_vectored(),
            Self::Other(other) => other.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            #[cfg(unix)]
            Self::Unix(unix) => Pin::new(unix).poll_flush(cx),
            Self::Duplex(duplex) => duplex.poll_flush(cx),
            Self::Other(other) => Pin::new(other).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            #[cfg(unix)]
            Self::Unix(unix) => Pin::new(unix).poll_shutdown(cx),
            Self::Duplex(duplex) => duplex.poll_shutdown(cx),
            Self::Other(other) => Pin::new(other).poll_shutdown(cx),
        }
    }
}
