//! HTTP/2 on tokio: frames over a stream, and a stream of HTTP/2 as a stream of bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use crate::http2::{Frame, HEAD, PREFACE};

/// One end of a connection that sends the frames it is told to, also wrong ones.
#[derive(Debug)]
pub struct Frames<S>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    /// Returns the client's end, after it has sent the preface. The first frame to send is SETTINGS.
    ///
    /// # Errors
    ///
    /// Those of the stream.
    pub async fn client(mut stream: S) -> io::Result<Self> {
        stream.write_all(PREFACE).await?;
        Ok(Self(stream))
    }

    /// Returns the server's end, after it has received the preface.
    ///
    /// # Errors
    ///
    /// Those of the stream.
    ///
    /// # Panics
    ///
    /// Panics if the client begins with something else.
    pub async fn server(mut stream: S) -> io::Result<Self> {
        let mut preface = [0; PREFACE.len()];
        stream.read_exact(&mut preface).await?;
        assert_eq!(&preface, PREFACE, "the client speaks HTTP/2");
        Ok(Self(stream))
    }

    /// Returns the stream.
    pub fn into_inner(self) -> S {
        self.0
    }

    /// Sends bytes, such as those of [`frame`](crate::http2::frame).
    ///
    /// # Errors
    ///
    /// Those of the stream.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// Receives the next frame. Returns `None` at the end of the stream, and once it has failed.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; HEAD];
        self.0.read_exact(&mut head).await.ok()?;
        let mut frame = Frame::of_head(head);
        self.0.read_exact(&mut frame.payload).await.ok()?;
        Some(frame)
    }
}

/// A stream of HTTP/2 that was opened with h2, as a stream of bytes.
#[derive(Debug)]
pub struct Tunnel {
    send: SendStream<Bytes>,
    receive: RecvStream,
    received: Bytes,
}

impl Tunnel {
    /// Returns the stream.
    #[must_use]
    pub fn new(send: SendStream<Bytes>, receive: RecvStream) -> Self {
        Self { send, receive, received: Bytes::new() }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.received.is_empty() {
            match ready!(self.receive.poll_data(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(data) => self.received = data.map_err(io::Error::other)?,
            }
        }
        let count = self.received.len().min(buffer.remaining());
        buffer.put_slice(&self.received[..count]);
        self.received.advance(count);
        let released = self.receive.flow_control().release_capacity(count);
        Poll::Ready(released.map_err(io::Error::other))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.send.reserve_capacity(bytes.len());
        // A tiny message is one DATA frame.
        while self.send.capacity() < bytes.len().min(3) {
            match ready!(self.send.poll_capacity(cx)) {
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                Some(capacity) => capacity.map_err(io::Error::other)?,
            };
        }
        let count = bytes.len().min(self.send.capacity());
        let data = Bytes::copy_from_slice(&bytes[..count]);
        Poll::Ready(self.send.send_data(data, false).map(|()| count).map_err(io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.send.send_data(Bytes::new(), true).map_err(io::Error::other))
    }
}
