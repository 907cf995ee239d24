//! A connection as a stream of bytes, over binary messages.

mod reader;

mod writer;

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use towline_proto::{Closed, Compress};

use crate::connection::Connection;
use crate::connection::info::Info;
use crate::connection::sender::Sender;

pub use reader::ByteReader;
pub use writer::ByteWriter;

/// A connection as a stream of bytes, over binary messages: for tunnels, and for protocols that are
/// a byte stream (MQTT, SSH, TLS, HTTP) over WebSocket.
///
/// Created with [`Connection::into_byte_stream`]. It implements `AsyncRead`, `AsyncBufRead` and
/// `AsyncWrite`. Message boundaries have no meaning, on either end.
///
/// **Reading** returns the payload of messages as it arrives, without waiting for the end of a
/// message, and without a copy where `AsyncBufRead` is used. So the limits for the size of messages
/// and frames do not apply, and less than 512 KiB are in memory. It returns 0 at the end, after a
/// clean close: where [`recv`](Connection::recv) returns `None`. After another end it fails with the
/// [`Error`](crate::Error) that `recv` returns, inside an [`io::Error`]; a transport that ended
/// without a close frame is [`UnexpectedEof`](io::ErrorKind::UnexpectedEof), and so is a close frame
/// in the middle of a message. A text message closes the connection with 1003, and reading fails with
/// [`InvalidData`](io::ErrorKind::InvalidData), unless text is [accepted](Self::accept_text).
///
/// **Writing** puts at most 16 KiB in a message, and waits while the queue is full. As with
/// [`send`](Sender::send), the bytes are written at the latest when the task next yields, and what
/// is written in one turn leaves together, without a flush. Small writes are small messages, of which
/// each has a header: a `BufWriter` makes fewer, and has to be flushed.
///
/// **Flushing** waits until the operating system has everything. It is needed before the process
/// exits.
///
/// **Shutting down** closes the connection with 1000 (RFC 6455, section 7.1.1), and returns when the
/// close frame is written. What the peer sends before its own close frame can still be read. A
/// WebSocket can't be closed in one direction only: the peer can't write after it has received the
/// close frame. Dropping the stream without a shutdown closes with 1001, which the peer reads as an
/// end too.
///
/// While nothing is read, the peer has to wait. Its pings are still
/// [answered](crate::Connection) within ten seconds, if they are not behind data that was read.
///
/// ```
/// use tokio::io::copy_bidirectional;
/// use tokio::net::TcpStream;
///
/// # async fn example(request: towline::Request) -> Result<(), Box<dyn std::error::Error>> {
/// let mut tunnel = request.accept().await?.into_byte_stream();
/// let mut broker = TcpStream::connect("127.0.0.1:1883").await?;
/// copy_bidirectional(&mut tunnel, &mut broker).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
///
/// As that of the [`ByteReader`] and the [`ByteWriter`].
pub struct ByteStream {
    // Dropped first, so that dropping the reader abandons the connection.
    writer: ByteWriter,
    reader: ByteReader,
}

impl Connection {
    /// Converts into a stream of bytes over binary messages, with `AsyncRead` and `AsyncWrite`.
    ///
    /// For a half of a connection, use [`Receiver::into_byte_reader`] or
    /// [`Sender::into_byte_writer`].
    ///
    /// [`Receiver::into_byte_reader`]: crate::Receiver::into_byte_reader
    #[doc(alias("NetConn", "WsStream"))]
    pub fn into_byte_stream(self) -> ByteStream {
        let (sender, receiver) = self.split();
        ByteStream { writer: sender.into_byte_writer(), reader: receiver.into_byte_reader() }
    }
}

impl ByteStream {
    /// Sets whether text messages are read too, as bytes. Default: `false`, so that a text message
    /// is an error.
    #[must_use]
    pub fn accept_text(self, accept: bool) -> Self {
        Self { reader: self.reader.accept_text(accept), ..self }
    }

    /// Sets whether messages are compressed if compression was negotiated. Default:
    /// [`Compress::Auto`]. Bytes that are encrypted don't shrink: use [`Compress::Never`].
    #[must_use]
    pub fn compress(self, compress: Compress) -> Self {
        Self { writer: self.writer.compress(compress), ..self }
    }

    /// Splits into two halves, which can be in different tasks. The connection stays open as long
    /// as either half exists.
    pub fn into_split(self) -> (ByteReader, ByteWriter) {
        (self.reader, self.writer)
    }

    /// Returns the sender, to send pings or to close with another code.
    pub fn sender(&self) -> &Sender {
        self.writer.sender()
    }

    /// Returns how the connection ended, see [`Connection::closed`].
    pub fn closed(&self) -> Option<Closed> {
        self.reader.closed()
    }

    /// Returns the result of the opening handshake and the peer's addresses.
    pub fn info(&self) -> &Info {
        self.reader.info()
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(cx, buffer)
    }
}

impl AsyncBufRead for ByteStream {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Pin::new(&mut self.get_mut().reader).poll_fill_buf(cx)
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        Pin::new(&mut self.reader).consume(count);
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.writer.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(cx)
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteStream").field("id", &self.info().id).finish_non_exhaustive()
    }
}
