//! The two halves of a stream.

use std::fmt;
use std::future::Future as _;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BufMut;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, tcp};
#[cfg(unix)]
use tokio::net::{UnixStream, unix};

use crate::transport::SEEN;
use crate::transport::duplex::{Duplex, Remains};

/// The half that is read.
pub(crate) enum ReadHalf {
    Tcp(tcp::OwnedReadHalf),
    #[cfg(unix)]
    Unix(unix::OwnedReadHalf),
    Duplex(Arc<dyn Duplex>),
}

/// The half that is written.
pub(crate) enum WriteHalf {
    Tcp(tcp::OwnedWriteHalf),
    #[cfg(unix)]
    Unix(unix::OwnedWriteHalf),
    Duplex(Arc<dyn Duplex>),
}

impl ReadHalf {
    pub(crate) fn tcp_stream(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(read) => Some(read.as_ref()),
            Self::Duplex(duplex) => duplex.tcp_stream(),
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }

    #[cfg(unix)]
    pub(crate) fn unix_stream(&self) -> Option<&UnixStream> {
        match self {
            Self::Unix(read) => Some(read.as_ref()),
            _ => None,
        }
    }

    /// Waits until the stream is possibly readable. A stream that can't tell is always ready.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Tcp(read) => read.as_ref().poll_read_ready(cx).map(drop),
            #[cfg(unix)]
            Self::Unix(read) => read.as_ref().poll_read_ready(cx).map(drop),
            Self::Duplex(duplex) => duplex.poll_readable(cx),
        }
    }

    /// Reads into `buffer`, which must have room. Returns 0 at the end of the stream.
    pub(crate) fn poll_read_buf(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut impl BufMut,
    ) -> Poll<io::Result<usize>> {
        pin!(self.read_buf(buffer)).poll(cx)
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(read) => Pin::new(read).poll_read(cx, buffer),
            #[cfg(unix)]
            Self::Unix(read) => Pin::new(read).poll_read(cx, buffer),
            Self::Duplex(duplex) => duplex.poll_read(cx, buffer),
        }
    }
}

impl WriteHalf {
    /// Whether there are unread bytes of the peer. If the check has used up the reader's waker, it
    /// is stored in `wake` and has to be woken.
    pub(crate) fn has_unread(&self, wake: &mut Option<Waker>) -> bool {
        let peek = |socket: SockRef<'_>| {
            let mut byte = [MaybeUninit::uninit()];
            socket.peek(&mut byte).is_ok_and(|count| count > 0)
        };
        match self {
            Self::Tcp(write) => peek(SockRef::from(write.as_ref())),
            #[cfg(unix)]
            Self::Unix(write) => peek(SockRef::from(write.as_ref())),
            Self::Duplex(duplex) => duplex.has_unread(wake),
        }
    }

    /// Whether anything of the peer has arrived since the last call that can't be read yet.
    pub(crate) fn has_come(&self) -> bool {
        match self {
            Self::Duplex(duplex) => duplex.has_come(),
            _ => false,
        }
    }

    /// Calls `look` with the first unread bytes, and returns its result.
    pub(crate) fn look_ahead<T>(&self, mut look: impl FnMut(&[u8]) -> Option<T>) -> Option<T> {
        let socket = match self {
            Self::Tcp(write) => SockRef::from(write.as_ref()),
            #[cfg(unix)]
            Self::Unix(write) => SockRef::from(write.as_ref()),
            Self::Duplex(duplex) => {
                let mut seen = None;
                duplex.look_ahead(&mut |bytes| seen = look(bytes));
                return seen;
            }
        };
        let mut bytes = vec![0; SEEN];
        // Only std's handle can peek into initialized memory without unsafe code.
        let handle = std::net::TcpStream::from(socket.try_clone().ok()?);
        let count = handle.peek(&mut bytes).ok()?;
        look(&bytes[..count])
    }

    /// Whether the stream can buffer written bytes until it is flushed. The kernel's sockets don't.
    pub(crate) fn holds_back(&self) -> bool {
        matches!(self, Self::Duplex(_))
    }

    /// Whether the stream is known to have written out some of its own buffer since the last call.
    pub(crate) fn has_moved(&self) -> bool {
        match self {
            Self::Duplex(duplex) => duplex.has_moved(),
            _ => false,
        }
    }

    /// Limits how many unsent bytes the kernel buffers. Further bytes stay in this connection's
    /// queue, where they can be counted.
    pub(crate) fn bound_unsent(&self, bytes: u32) {
        #[cfg(any(target_os = "android", target_os = "linux"))]
        {
            let tcp = match self {
                Self::Tcp(write) => Some(write.as_ref()),
                Self::Duplex(duplex) => duplex.tcp_stream(),
                Self::Unix(_) => None,
            };
            if let Some(tcp) = tcp {
                // Failing to set the limit does no harm.
                let _ = SockRef::from(tcp).set_tcp_notsent_lowat(bytes);
            }
        }
        #[cfg(not(any(target_os = "android", target_os = "linux")))]
        let _ = bytes;
    }

    /// Ends the stream in both directions, even if the other half lives longer.
    pub(crate) fn close(self) -> Remains {
        // Fails if the peer has already closed, which does no harm.
        match self {
            Self::Tcp(write) => {
                let _ = SockRef::from(write.as_ref()).shutdown(std::net::Shutdown::Both);
                write.forget();
                Remains::default()
            }
            #[cfg(unix)]
            Self::Unix(write) => {
                let _ = SockRef::from(write.as_ref()).shutdown(std::net::Shutdown::Both);
                write.forget();
                Remains::default()
            }
            Self::Duplex(duplex) => duplex.end(),
        }
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(write) => Pin::new(write).poll_write(cx, bytes),
            #[cfg(unix)]
            Self::Unix(write) => Pin::new(write).poll_write(cx, bytes),
            Self::Duplex(duplex) => duplex.poll_write(cx, &[io::IoSlice::new(bytes)]),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(write) => Pin::new(write).poll_write_vectored(cx, slices),
            #[cfg(unix)]
            Self::Unix(write) => Pin::new(write).poll_write_vectored(cx, slices),
            Self::Duplex(duplex) => duplex.poll_write(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(write) => write.is_write_vectored(),
            #[cfg(unix)]
            Self::Unix(write) => write.is_write_vectored(),
            Self::Duplex(duplex) => duplex.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Duplex(duplex) => duplex.poll_flush(cx),
            // The kernel's sockets buffer nothing here.
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(write) => Pin::new(write).poll_shutdown(cx),
            #[cfg(unix)]
            Self::Unix(write) => Pin::new(write).poll_shutdown(cx),
            Self::Duplex(duplex) => duplex.poll_shutdown(cx),
        }
    }
}

impl fmt::Debug for ReadHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp(_) => "Tcp",
            #[cfg(unix)]
            Self::Unix(_) => "Unix",
            Self::Duplex(_) => "Duplex",
        })
    }
}
