//! The stream that ciphertext is read from and written to.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead as _, AsyncWrite as _, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::transport::Io;

/// The stream below TLS.
pub(crate) enum Under<'a> {
    Tcp(&'a TcpStream),
    Other(&'a mut Box<dyn Io>),
}

/// A way to read: with a waker, or without waiting.
pub(crate) trait Read:
    FnOnce(&mut Under<'_>, &mut Option<Waker>, &mut [u8]) -> Poll<io::Result<usize>>
{
}

impl<F> Read for F where
    F: FnOnce(&mut Under<'_>, &mut Option<Waker>, &mut [u8]) -> Poll<io::Result<usize>>
{
}

impl<'a> Under<'a> {
    pub(crate) fn new(
        tcp: Option<&'a TcpStream>,
        other: Option<&'a mut Box<dyn Io>>,
    ) -> Option<Self> {
        tcp.map(Self::Tcp).or(other.map(Self::Other))
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut Option<Waker>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(tcp) => loop {
                let Poll::Ready(result) = tcp.poll_read_ready(cx) else {
                    note(reader, cx.waker());
                    return Poll::Pending;
                };
                result?;
                if let Some(result) = try_read(tcp, room) {
                    return Poll::Ready(result);
                }
            },
            Self::Other(other) => {
                let mut buffer = ReadBuf::new(room);
                let result = Pin::new(&mut **other).poll_read(cx, &mut buffer);
                if result.is_pending() {
                    note(reader, cx.waker());
                }
                ready!(result)?;
                Poll::Ready(Ok(buffer.filled().len()))
            }
        }
    }

    /// Reads without waiting. A waiting reader is still woken for later bytes, but not for those
    /// that this has read.
    pub(crate) fn read_now(
        &mut self,
        reader: &mut Option<Waker>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if let Self::Tcp(tcp) = self {
            // The kernel knows of these bytes before tokio, which polls its sockets in batches.
            return match io::Read::read(&mut &*SockRef::from(*tcp), room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
                result => Poll::Ready(result),
            };
        }
        let waiting = reader.as_ref().unwrap_or(Waker::noop()).clone();
        self.poll_read(&mut Context::from_waker(&waiting), &mut None, room)
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut Option<Waker>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(tcp) => loop {
                ready!(tcp.poll_write_ready(cx))?;
                match tcp.try_write(bytes) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    result => return Poll::Ready(result),
                }
            },
            Self::Other(other) => {
                let result = Pin::new(&mut **other).poll_write(cx, bytes);
                *writer = result.is_pending().then(|| cx.waker().clone());
                result
            }
        }
    }
}

/// Stores a waker.
pub(crate) fn note(slot: &mut Option<Waker>, waker: &Waker) {
    if !slot.as_ref().is_some_and(|noted| noted.will_wake(waker)) {
        *slot = Some(waker.clone());
    }
}

/// Reads the available bytes. A read that does not fill the buffer has taken all of them: clearing
/// the readiness then saves a call that would block.
fn try_read(tcp: &TcpStream, room: &mut [u8]) -> Option<io::Result<usize>> {
    let mut short = None;
    let result = tcp.try_io(Interest::READABLE, || {
        let count = io::Read::read(&mut &*SockRef::from(tcp), room)?;
        if (1..room.len()).contains(&count) {
            short = Some(count);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(count)
    });
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => short.map(Ok),
        result => Some(result),
    }
}
