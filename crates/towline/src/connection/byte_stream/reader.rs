//! The reading half of a byte stream.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};
use towline_proto::{CloseCode, Closed, MessageKind};

use crate::connection::driver::Arrived;
use crate::connection::info::Info;
use crate::connection::message_reader::cut_short;
use crate::connection::receiver::Receiver;
use crate::connection::rest::Rest;

/// The reading half of a [`ByteStream`](crate::ByteStream).
///
/// Created with [`ByteStream::into_split`](crate::ByteStream::into_split) or
/// [`Receiver::into_byte_reader`]. It implements `AsyncRead` and `AsyncBufRead`. Dropping it has the
/// effect of dropping the [`Receiver`].
///
/// # Cancel safety
///
/// As that of a [`MessageReader`](crate::MessageReader).
pub struct ByteReader {
    receiver: Receiver,
    rest: Rest,
    /// Whether the last piece was not the last of its message.
    is_mid_message: bool,
    accepts_text: bool,
    has_refused_text: bool,
}

impl Receiver {
    /// Converts into a reader of the bytes of all messages, see
    /// [`Connection::into_byte_stream`](crate::Connection::into_byte_stream).
    pub fn into_byte_reader(mut self) -> ByteReader {
        // A message reader can be forgotten without being dropped.
        self.skip_message();
        ByteReader {
            receiver: self,
            rest: Rest::default(),
            is_mid_message: false,
            accepts_text: false,
            has_refused_text: false,
        }
    }
}

impl ByteReader {
    /// Sets whether text messages are read too, as bytes. Default: `false`, so that a text message
    /// is an error.
    #[must_use]
    pub fn accept_text(mut self, accept: bool) -> Self {
        self.accepts_text = accept;
        self
    }

    /// Returns how the connection ended, see [`Receiver::closed`].
    pub fn closed(&self) -> Option<Closed> {
        self.receiver.closed()
    }

    /// Returns the result of the opening handshake and the peer's addresses.
    pub fn info(&self) -> &Info {
        self.receiver.info()
    }

    /// Waits until there are bytes to read, or the end, at which there are none.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            if self.has_refused_text {
                return Poll::Ready(Err(text_refused()));
            }
            match ready!(self.receiver.poll_piece(cx))? {
                Some(Arrived { kind: MessageKind::Text, .. }) if !self.accepts_text => {
                    self.has_refused_text = true;
                    self.receiver
                        .refuse(CloseCode::UNSUPPORTED_DATA, "only binary messages are read");
                }
                Some(Arrived { is_last, held, .. }) => {
                    self.is_mid_message = !is_last;
                    self.rest = Rest::new(held);
                }
                None if self.is_mid_message => return Poll::Ready(Err(cut_short())),
                None => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn text_refused() -> io::Error {
    let why = "the peer has sent a text message: this byte stream reads binary messages only \
               (accept_text)";
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl AsyncRead for ByteReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_more(cx))?;
        this.rest.read(&mut this.receiver, buffer)
    }
}

impl AsyncBufRead for ByteReader {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        ready!(this.poll_more(cx))?;
        Poll::Ready(Ok(this.rest.bytes(&this.receiver)))
    }

    fn consume(self: Pin<&mut Self>, count: usize) {
        let this = self.get_mut();
        this.rest.consume(&mut this.receiver, count);
    }
}

impl fmt::Debug for ByteReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteReader").field("id", &self.info().id).finish_non_exhaustive()
    }
}
