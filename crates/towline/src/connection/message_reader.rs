//! A message that is read while it arrives.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};
use towline_proto::{LimitExceeded, MessageKind};

use crate::connection::Connection;
use crate::connection::driver::Arrived;
use crate::connection::receiver::Receiver;
use crate::connection::rest::Rest;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;

/// A message that is read while it arrives, from [`Receiver::recv_reader`].
///
/// It implements `AsyncRead` and `AsyncBufRead`. Reading returns 0 at the end of the message. The
/// pieces that `fill_buf` returns have no meaning: they depend on how the bytes arrived, and not on
/// the fragments (RFC 6455, section 5.4).
///
/// - Pings are answered and keepalive runs while the message is read, as with
///   [`recv`](Receiver::recv).
/// - Text is validated as it arrives: invalid UTF-8 fails the connection with 1007, and the reader.
///   A read can end within a character.
/// - A compressed message is inflated on the way.
/// - Less than 512 KiB are in memory for it, whatever its length. There is one exception: what
///   [`recv`](Receiver::recv) had assembled of the message before it was dropped is the first piece.
///   [`max_received_message_size`](crate::Config::max_received_message_size),
///   [`max_received_frame_size`](crate::Config::max_received_frame_size) and
///   [`max_received_fragments`](crate::Config::max_received_fragments) do not apply. Use
///   [`max_size`](Self::max_size) to limit the whole.
/// - While the program does not read, the peer has to wait.
///
/// If the reader is dropped before the end, the rest of the message is dropped when it arrives, and
/// the next call that receives returns the next message.
///
/// # Errors
///
/// Reading fails if the connection ends before the message does. The error contains the
/// [`Error`](crate::Error) that [`recv`](Receiver::recv) returns then, if there is one;
/// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) also stands for a peer that closes in the middle
/// of a message.
///
/// # Cancel safety
///
/// The futures of `AsyncReadExt::read`, `read_buf` and of `AsyncBufReadExt::fill_buf` are cancel
/// safe: no byte is lost. Those that read more, such as `read_exact`, lose what they have read.
#[doc(alias("NextReader", "Reader"))]
pub struct MessageReader<'r> {
    receiver: &'r mut Receiver,
    kind: MessageKind,
    rest: Rest,
    /// Whether the rest is the end of the message.
    is_last: bool,
    /// How many bytes of the message have arrived.
    size: u64,
    max_size: u64,
}

impl Receiver {
    /// Waits for the next message, and returns a reader for it, or `None` after a clean close.
    ///
    /// The message need not have arrived: the reader is there as soon as its first frame begins.
    /// Use it for messages that are too large to be held in memory.
    ///
    /// If [`recv`](Self::recv) was dropped in the middle of a message, the reader returns all of
    /// that message. If [`assemble_fragments`](crate::Config::assemble_fragments) is off and some
    /// frames of a message were received, it returns the rest.
    ///
    /// ```
    /// use tokio::io::AsyncWriteExt as _;
    ///
    /// # async fn example(connection: towline::Connection) -> std::io::Result<()> {
    /// let (_sender, mut receiver) = connection.split();
    /// while let Some(message) = receiver.recv_reader().await? {
    ///     let mut message = message.max_size(100 << 30);
    ///     let mut file = tokio::io::sink(); // a file
    ///     tokio::io::copy_buf(&mut message, &mut file).await?;
    ///     file.flush().await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no message is lost.
    pub async fn recv_reader(&mut self) -> Result<Option<MessageReader<'_>>> {
        let first = poll_fn(|cx| {
            // A reader can be forgotten without being dropped.
            self.skip_message();
            self.poll_piece(cx)
        });
        let first = first.await?;
        Ok(first.map(|piece| MessageReader::new(self, piece)))
    }
}

impl Connection {
    /// Waits for the next message, and returns a reader for it, see [`Receiver::recv_reader`].
    ///
    /// To send while the message is read, take a [`sender`](Self::sender) before.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_reader`].
    ///
    /// # Cancel safety
    ///
    /// As [`Receiver::recv_reader`].
    pub async fn recv_reader(&mut self) -> Result<Option<MessageReader<'_>>> {
        self.receiver.recv_reader().await
    }
}

impl<'r> MessageReader<'r> {
    fn new(receiver: &'r mut Receiver, Arrived { kind, is_last, held }: Arrived) -> Self {
        let size = held.len() as u64;
        Self { receiver, kind, rest: Rest::new(held), is_last, size, max_size: u64::MAX }
    }

    /// Returns whether the message is text or binary.
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// Sets the most bytes that the message may have, inflated if it is compressed. Default: no
    /// limit.
    ///
    /// A longer message closes the connection with 1009; reading fails with
    /// [`ErrorKind::LimitExceeded`], as does every later call that receives.
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = bytes;
        self
    }

    /// Returns whether all of the message has been read. At its very end, it is possibly known only
    /// after another read.
    pub fn is_at_end(&self) -> bool {
        self.is_last && self.rest.is_empty()
    }

    /// Waits until there are bytes to read, or the end.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.size > self.max_size {
                self.rest = Rest::default();
                self.receiver.fail(LimitExceeded::Streamed { limit: self.max_size }.into());
            }
            if !self.rest.is_empty() || self.is_last && self.size <= self.max_size {
                return Poll::Ready(Ok(()));
            }
            let Some(piece) = ready!(self.receiver.poll_piece(cx))? else {
                return Poll::Ready(Err(cut_short()));
            };
            self.size += piece.held.len() as u64;
            self.is_last = piece.is_last;
            self.rest = Rest::new(piece.held);
        }
    }
}

/// The error for a peer that closes in the middle of a message.
pub(crate) fn cut_short() -> io::Error {
    let why = "the connection was closed in the middle of a message";
    io::Error::new(io::ErrorKind::UnexpectedEof, why)
}

impl AsyncRead for MessageReader<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_more(cx))?;
        this.rest.read(this.receiver, buffer)
    }
}

impl AsyncBufRead for MessageReader<'_> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        ready!(this.poll_more(cx))?;
        Poll::Ready(Ok(this.rest.bytes(this.receiver)))
    }

    fn consume(self: Pin<&mut Self>, count: usize) {
        let this = self.get_mut();
        this.rest.consume(this.receiver, count);
    }
}

impl Drop for MessageReader<'_> {
    fn drop(&mut self) {
        self.receiver.skip_message();
    }
}

impl fmt::Debug for MessageReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageReader")
            .field("id", &self.receiver.info().id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
