//! The byte stream under a connection, in two halves.
//!
//! A TCP or Unix socket is known as such, whatever wrapper type it came through the API in: its
//! halves need no lock and no virtual call. Any other stream is boxed.

use std::any::Any;
use std::fmt;
use std::future::{Future as _, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::BufMut;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, tcp};
#[cfg(unix)]
use tokio::net::{UnixStream, unix};

/// So many bytes are seen of those that lie unread.
pub(crate) const SEEN: usize = 16 << 10;

/// What can carry a connection: any stream of bytes in both directions.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// A stream, known for what it is where that is worth knowing.
pub(crate) enum AnyStream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    Other(Box<dyn Io>),
}

impl AnyStream {
    pub(crate) fn new<S: Io>(stream: S) -> Self {
        let mut stream = Some(stream);
        if let Some(tcp) = take::<TcpStream>(&mut stream) {
            return Self::Tcp(tcp);
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

    /// The address at the other end, where there is such a thing.
    pub(crate) fn peer_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(tcp) => tcp.peer_addr().ok(),
            _ => None,
        }
    }

    /// Has small writes go out at once, or wait for company, where there is such a choice.
    pub(crate) fn set_nodelay(&self, on: bool) {
        if let Self::Tcp(tcp) = self {
            // A socket that has ended meanwhile says so at the first read.
            let _ = tcp.set_nodelay(on);
        }
    }

    /// The half that is read and the half that is written.
    pub(crate) fn split(self) -> (ReadHalf, WriteHalf) {
        match self {
            Self::Tcp(tcp) => {
                let (read, write) = tcp.into_split();
                (ReadHalf::Tcp(read), WriteHalf::Tcp(write))
            }
            #[cfg(unix)]
            Self::Unix(unix) => {
                let (read, write) = unix.into_split();
                (ReadHalf::Unix(read), WriteHalf::Unix(write))
            }
            Self::Other(other) => {
                let (read, write) = tokio::io::split(other);
                let other = Other { read: Some(read), ahead: Vec::new(), waker: None };
                let other = Arc::new(Mutex::new(other));
                (ReadHalf::Other(other.clone()), WriteHalf::Other { write, other })
            }
        }
    }

    fn as_dyn(&mut self) -> Pin<&mut dyn Io> {
        match self {
            Self::Tcp(tcp) => Pin::new(tcp),
            #[cfg(unix)]
            Self::Unix(unix) => Pin::new(unix),
            Self::Other(other) => Pin::new(&mut **other),
        }
    }
}

/// For the handshake; the connection after it uses the halves.
impl AsyncRead for AnyStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().as_dyn().poll_read(cx, buffer)
    }
}

impl AsyncWrite for AnyStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().as_dyn().poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().as_dyn().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().as_dyn().poll_shutdown(cx)
    }
}

/// The value in `slot`, if it is a `T`.
fn take<T: 'static>(slot: &mut dyn Any) -> Option<T> {
    slot.downcast_mut::<Option<T>>()?.take()
}

/// The half that is read.
pub(crate) enum ReadHalf {
    Tcp(tcp::OwnedReadHalf),
    #[cfg(unix)]
    Unix(unix::OwnedReadHalf),
    Other(Arc<Mutex<Other>>),
}

/// The half that is written.
pub(crate) enum WriteHalf {
    Tcp(tcp::OwnedWriteHalf),
    #[cfg(unix)]
    Unix(unix::OwnedWriteHalf),
    Other {
        write: tokio::io::WriteHalf<Box<dyn Io>>,
        other: Arc<Mutex<Other>>,
    },
}

/// A stream that can't be asked whether it has something to read: it has to be read, then.
pub(crate) struct Other {
    /// Gone once the connection has ended, so that the stream is.
    read: Option<tokio::io::ReadHalf<Box<dyn Io>>>,
    /// What was read to see whether there is anything.
    ahead: Vec<u8>,
    /// Who waits for something to read.
    waker: Option<Waker>,
}

fn lock(other: &Mutex<Other>) -> MutexGuard<'_, Other> {
    other.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ReadHalf {
    pub(crate) fn tcp_stream(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(read) => Some(read.as_ref()),
            _ => None,
        }
    }

    #[cfg(unix)]
    pub(crate) fn unix_stream(&self) -> Option<&UnixStream> {
        match self {
            Self::Unix(read) => Some(read.as_ref()),
            _ => None,
        }
    }

    /// Waits until there may be something to read. A stream that can't tell says that there may.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Tcp(read) => read.as_ref().poll_read_ready(cx).map(drop),
            #[cfg(unix)]
            Self::Unix(read) => read.as_ref().poll_read_ready(cx).map(drop),
            Self::Other(_) => Poll::Ready(()),
        }
    }

    /// Reads into the room of `buffer`, which is not zero; 0 is the end.
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
            Self::Other(other) => lock(other).poll_read(cx, buffer),
        }
    }
}

impl Other {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..count]);
            self.ahead.drain(..count);
            return Poll::Ready(Ok(()));
        }
        let Some(read) = &mut self.read else { return Poll::Ready(Ok(())) };
        let result = Pin::new(read).poll_read(cx, buffer);
        self.waker = result.is_pending().then(|| cx.waker().clone());
        result
    }

    fn has_unread(&mut self) -> bool {
        while self.ahead.len() < SEEN
            && let Some(read) = &mut self.read
        {
            let mut bytes = [0; 2048];
            let mut buffer = ReadBuf::new(&mut bytes);
            // Whoever waits to read must go on being woken: the stream knows one waker only.
            let waker = self.waker.clone().unwrap_or_else(|| Waker::noop().clone());
            // The timekeeper looks at many connections in one go. A stream that says it is not
            // ready because so much has been done already would be taken for silent.
            let look = poll_fn(|cx| Pin::new(&mut *read).poll_read(cx, &mut buffer));
            let _ = pin!(tokio::task::unconstrained(look)).poll(&mut Context::from_waker(&waker));
            if buffer.filled().is_empty() {
                break;
            }
            self.ahead.extend_from_slice(buffer.filled());
        }
        !self.ahead.is_empty()
    }
}

impl WriteHalf {
    /// Whether bytes of the peer lie unread. If finding out has used up somebody's waker, that is
    /// to be woken.
    pub(crate) fn has_unread(&self, wake: &mut Option<Waker>) -> bool {
        let peek = |socket: SockRef<'_>| {
            let mut byte = [MaybeUninit::uninit()];
            socket.peek(&mut byte).is_ok_and(|count| count > 0)
        };
        match self {
            Self::Tcp(write) => peek(SockRef::from(write.as_ref())),
            #[cfg(unix)]
            Self::Unix(write) => peek(SockRef::from(write.as_ref())),
            Self::Other { other, .. } => {
                let mut other = lock(other);
                let has_unread = other.has_unread();
                if has_unread {
                    *wake = other.waker.take();
                }
                has_unread
            }
        }
    }

    /// What `look` sees in the first of the bytes that lie unread.
    pub(crate) fn look_ahead<T>(&self, look: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        let mut bytes = vec![0; SEEN];
        // To peek into memory that is known to be initialized takes a handle of std's.
        let mut peek = |socket: SockRef<'_>| {
            std::net::TcpStream::from(socket.try_clone().ok()?).peek(&mut bytes).ok()
        };
        let count = match self {
            Self::Tcp(write) => peek(SockRef::from(write.as_ref()))?,
            #[cfg(unix)]
            Self::Unix(write) => peek(SockRef::from(write.as_ref()))?,
            Self::Other { other, .. } => return look(&lock(other).ahead),
        };
        look(&bytes[..count])
    }

    /// Whether it may hold back what was written until it is flushed. The kernel's sockets don't.
    pub(crate) fn holds_back(&self) -> bool {
        matches!(self, Self::Other { .. })
    }

    /// Has the kernel take no more than it can send, and so many bytes: what waits for the peer
    /// waits here then, where it can be seen.
    pub(crate) fn bound_unsent(&self, bytes: u32) {
        #[cfg(any(target_os = "android", target_os = "linux"))]
        if let Self::Tcp(write) = self {
            // It is no matter if it can't be done.
            let _ = SockRef::from(write.as_ref()).set_tcp_notsent_lowat(bytes);
        }
        #[cfg(not(any(target_os = "android", target_os = "linux")))]
        let _ = bytes;
    }

    /// Ends the stream in both directions, though the other half may be held for longer. What
    /// remains is to be dropped, and runs code of the program's where the stream is its own.
    pub(crate) fn close(self) -> Remains {
        // Where the peer has closed it already there is nothing to end.
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
            Self::Other { write, other } => {
                let mut other = lock(&other);
                Remains { waker: other.waker.take(), read: other.read.take(), write: Some(write) }
            }
        }
    }
}

/// What remains of a stream that has ended: drop it where nothing is locked.
#[derive(Default)]
pub(crate) struct Remains {
    read: Option<tokio::io::ReadHalf<Box<dyn Io>>>,
    write: Option<tokio::io::WriteHalf<Box<dyn Io>>>,
    waker: Option<Waker>,
}

impl Drop for Remains {
    fn drop(&mut self) {
        drop((self.read.take(), self.write.take()));
        if let Some(waker) = self.waker.take() {
            waker.wake();
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
            Self::Other { write, .. } => Pin::new(write).poll_write(cx, bytes),
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
            Self::Other { write, .. } => Pin::new(write).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(write) => write.is_write_vectored(),
            #[cfg(unix)]
            Self::Unix(write) => write.is_write_vectored(),
            Self::Other { write, .. } => write.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Other { write, .. } => Pin::new(write).poll_flush(cx),
            // The kernel's sockets buffer nothing here.
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(write) => Pin::new(write).poll_shutdown(cx),
            #[cfg(unix)]
            Self::Unix(write) => Pin::new(write).poll_shutdown(cx),
            Self::Other { write, .. } => Pin::new(write).poll_shutdown(cx),
        }
    }
}

impl fmt::Debug for ReadHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp(_) => "Tcp",
            #[cfg(unix)]
            Self::Unix(_) => "Unix",
            Self::Other(_) => "Other",
        })
    }
}
