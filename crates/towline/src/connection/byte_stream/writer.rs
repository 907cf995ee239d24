//! The writing half of a byte stream.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;
use towline_proto::{CloseCode, Compress, Mark, Outgoing, Refused};

use crate::connection::driver::Item;
use crate::connection::sender::{Sender, close_frame};
use crate::connection::shared::Core;
use crate::connection::waiting::{Place, Until};

/// The most bytes that a write puts in a message. They fit in a frame by default, and are copied
/// once.
const MESSAGE: usize = 16 << 10;

/// The writing half of a [`ByteStream`](crate::ByteStream).
///
/// Created with [`ByteStream::into_split`](crate::ByteStream::into_split) or
/// [`Sender::into_byte_writer`]. It implements `AsyncWrite`, with vectored writes. Dropping it has
/// the effect of dropping the [`Sender`].
///
/// # Cancel safety
///
/// The futures of `AsyncWriteExt::write`, `write_vectored`, `flush` and `shutdown` are cancel safe:
/// if a write is dropped, none of its bytes was taken. `write_all` loses track of what it has
/// written.
pub struct ByteWriter {
    sender: Sender,
    compress: Compress,
    place: Place,
    /// What a flush waits for.
    mark: Option<Mark>,
}

impl Sender {
    /// Converts into a writer of bytes, see
    /// [`Connection::into_byte_stream`](crate::Connection::into_byte_stream).
    pub fn into_byte_writer(self) -> ByteWriter {
        ByteWriter { sender: self, compress: Compress::Auto, place: Place::default(), mark: None }
    }
}

impl ByteWriter {
    /// Sets whether messages are compressed if compression was negotiated. Default:
    /// [`Compress::Auto`]. Bytes that are encrypted don't shrink: use [`Compress::Never`].
    #[must_use]
    pub fn compress(mut self, compress: Compress) -> Self {
        self.compress = compress;
        self
    }

    /// Returns the sender, to send pings or to close with another code.
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// Queues a message of these bytes.
    fn poll_message(&mut self, cx: &mut Context<'_>, item: &mut impl Item) -> Poll<io::Result<()>> {
        let Self { sender, place, mark, .. } = self;
        ready!(sender.shared.poll_send(cx, place, item))
            .map_err(|why| sender.shared.refused(why))?;
        *mark = None;
        Poll::Ready(Ok(()))
    }
}

/// Bytes in several places that become one message.
struct Gathered<'a, 's> {
    slices: &'a [IoSlice<'s>],
    len: usize,
    compress: Compress,
}

impl Item for Gathered<'_, '_> {
    fn line(&self, _: &Core) -> Option<Until> {
        Some(Until::Room)
    }

    fn queue(&mut self, core: &mut Core) -> Result<(), Refused> {
        let mut bytes = Vec::with_capacity(self.len);
        for slice in self.slices {
            let room = self.len - bytes.len();
            bytes.extend_from_slice(&slice[..slice.len().min(room)]);
        }
        core.session.send_from(&mut Outgoing::from(bytes).compress(self.compress))
    }

    fn len(&self) -> usize {
        self.len
    }
}

impl AsyncWrite for ByteWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let bytes = &bytes[..bytes.len().min(MESSAGE)];
        let mut message = Outgoing::from(bytes).compress(this.compress);
        this.poll_message(cx, &mut message).map_ok(|()| bytes.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut filled = slices.iter().filter(|slice| !slice.is_empty());
        let (first, second) = (filled.next(), filled.next());
        let first: &[u8] = first.map_or(&[], |slice| slice);
        if second.is_none() || first.len() >= MESSAGE {
            return self.poll_write(cx, first);
        }
        let this = self.get_mut();
        let len = slices.iter().fold(0, |len: usize, slice| len.saturating_add(slice.len()));
        let len = len.min(MESSAGE);
        let mut message = Gathered { slices, len, compress: this.compress };
        this.poll_message(cx, &mut message).map_ok(|()| len)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { sender, place, mark, .. } = self.get_mut();
        let behind = *mark.get_or_insert_with(|| sender.shared.mark());
        let is_flushed = ready!(sender.shared.poll_flush(cx, place, behind));
        *mark = None;
        Poll::Ready(match is_flushed {
            true => Ok(()),
            false => Err(sender.shared.refused(Refused::Closing).into()),
        })
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The close frame has to be flushed as well.
        if self.sender.shared.close(close_frame(CloseCode::NORMAL, "")?).is_ok() {
            self.mark = None;
        }
        self.poll_flush(cx)
    }
}

impl Drop for ByteWriter {
    fn drop(&mut self) {
        self.sender.shared.leave(&mut self.place);
    }
}

impl fmt::Debug for ByteWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteWriter").field("id", &self.sender.info().id).finish_non_exhaustive()
    }
}
