//! A message that is sent while it is written.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use towline_proto::{Frame, Mark, MessageKind, Opcode, Refused, Utf8Validator};

use crate::connection::Connection;
use crate::connection::driver::ByHand;
use crate::connection::sender::Sender;
use crate::connection::waiting::Place;
use crate::error::{Error, ErrorKind, Result};

/// What the error adds for a message that was begun.
const CUT_OFF: &str = "; the message is cut off: finish it before the connection is closed";

/// The most payload of a fragment.
const FRAGMENT: usize = 16 << 10;

/// A message that is sent while it is written, from [`Sender::message_writer`].
///
/// It implements `AsyncWrite`. Written bytes are collected and sent as fragments of 16 KiB (RFC
/// 6455, section 5.4). Flushing sends what is collected, and waits until the operating system has
/// it. [`finish`](Self::finish) ends the message; so does shutting the writer down, which flushes as
/// well. A message of up to 16 KiB that was not flushed is a single frame.
///
/// - Nothing interleaves with the message but control frames, such as pongs. From its first fragment
///   to its end, messages of other senders are held back: up to
///   [`send_high_water_mark`](crate::Config::send_high_water_mark) bytes are queued behind it, then
///   their senders wait. So do not await `send` of another sender while an unfinished message waits
///   for the same task.
/// - Writing waits while the queue is full.
/// - Text is validated: invalid UTF-8 is an error of kind
///   [`InvalidData`](io::ErrorKind::InvalidData), and none of it is sent. A write can end within a
///   character, but not the message.
/// - The message is not compressed, which RFC 7692 leaves to each message.
///
/// A message can't be taken back. If the writer is dropped after the first fragment was sent and
/// before the message is finished, the connection is closed with 1011; nothing could be sent after
/// that. A writer that has sent nothing can be dropped without effect.
///
/// Closing does not wait for the message to be finished, by either end: it is cut off, and messages
/// queued behind it are dropped. Writing, flushing and finishing fail then, and
/// [`Closed::cut_messages`](crate::Closed::cut_messages) counts those messages.
///
/// # Cancel safety
///
/// The futures of `AsyncWriteExt::write`, `flush`, `shutdown` and of [`finish`](Self::finish) are
/// cancel safe: if one is dropped, none of its bytes was taken, or the call can be repeated.
/// `write_all` loses track of what it has written.
#[doc(alias("NextWriter", "Writer"))]
pub struct MessageWriter {
    /// A sender of its own, to which the message belongs.
    sender: Sender,
    kind: MessageKind,
    utf8: Utf8Validator,
    /// The bytes of the next fragment.
    collected: Vec<u8>,
    /// A fragment that waits for room, and may be the last one.
    fragment: Option<Frame>,
    progress: Progress,
    place: Place,
    /// What a flush waits for.
    mark: Option<Mark>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// No fragment has been made.
    Collecting,
    /// The first fragment has been made.
    Begun,
    /// The last fragment has been made.
    Finished,
}

impl Sender {
    /// Returns a writer for one message, which is sent while it is written. Use it for messages that
    /// are too large to be held in memory.
    ///
    /// The writer borrows nothing. It takes its turn among the senders when its first fragment is
    /// sent.
    ///
    /// ```
    /// use tokio::io::AsyncWriteExt as _;
    /// use towline::MessageKind;
    ///
    /// # async fn example(sender: towline::Sender) -> std::io::Result<()> {
    /// let mut message = sender.message_writer(MessageKind::Binary);
    /// let mut file = &[7; 100_000][..]; // a file
    /// tokio::io::copy_buf(&mut file, &mut message).await?;
    /// message.finish().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn message_writer(&self, kind: MessageKind) -> MessageWriter {
        MessageWriter {
            sender: self.clone(),
            kind,
            utf8: Utf8Validator::default(),
            collected: Vec::new(),
            fragment: None,
            progress: Progress::Collecting,
            place: Place::default(),
            mark: None,
        }
    }
}

impl Connection {
    /// Returns a writer for one message, which is sent while it is written, see
    /// [`Sender::message_writer`].
    pub fn message_writer(&self, kind: MessageKind) -> MessageWriter {
        self.sender.message_writer(kind)
    }
}

impl MessageWriter {
    /// Returns whether the message is text or binary.
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// Ends the message, and returns when the rest of it is queued. As with [`Sender::send`], it is
    /// written at the latest when the task next yields.
    ///
    /// A message to which nothing was written is sent empty. Nothing can be written afterwards;
    /// finishing again has no effect.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSend`] for text that ends within a character: the message stays
    /// unfinished. [`ErrorKind::Closed`] if the connection is closing or closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: call it again.
    pub async fn finish(&mut self) -> Result<()> {
        poll_fn(|cx| self.poll_finish(cx)).await
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_queue(cx))?;
        if self.progress != Progress::Finished {
            let mut utf8 = self.utf8;
            if utf8.finish().is_err() {
                let why = "can't send: the text message ends within a character";
                return Poll::Ready(Err(Error::new(ErrorKind::InvalidSend, why)));
            }
            self.make_fragment(true);
        }
        self.poll_queue(cx)
    }

    /// Makes a fragment of what is collected.
    fn make_fragment(&mut self, fin: bool) {
        let payload = Bytes::from(std::mem::take(&mut self.collected));
        let frame = match (self.progress, self.kind) {
            (Progress::Collecting, MessageKind::Text) => Frame::text(payload),
            (Progress::Collecting, MessageKind::Binary) => Frame::binary(payload),
            _ => Frame::continuation(payload),
        };
        self.fragment = Some(frame.fin(fin));
        self.progress = if fin { Progress::Finished } else { Progress::Begun };
        self.mark = None;
    }

    /// Queues the fragment that waits, if there is one.
    fn poll_queue(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(frame) = self.fragment.take() else { return Poll::Ready(Ok(())) };
        let shared = &self.sender.shared;
        let mut by_hand = ByHand { frame, maker: self.sender.maker() };
        let queued = shared.poll_send(cx, &mut self.place, &mut by_hand);
        // A later fragment means that the peer has the beginning.
        let is_begun = by_hand.frame.opcode() == Opcode::Continuation;
        // Kept after an error as well: the message is not finished.
        if !matches!(queued, Poll::Ready(Ok(()))) {
            self.fragment = Some(by_hand.frame);
        }
        queued.map_err(|why| match shared.refused(why) {
            error if is_begun => error.with_postscript(CUT_OFF),
            error => error,
        })
    }

    /// Takes bytes for the next fragment, after those before it are queued.
    fn poll_collect(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.progress == Progress::Finished {
            let why = "can't write: the message is finished";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, why)));
        }
        if self.collected.len() == FRAGMENT {
            self.make_fragment(false);
        }
        ready!(self.poll_queue(cx))?;
        let count = bytes.len().min(FRAGMENT - self.collected.len());
        if self.kind == MessageKind::Text {
            let mut utf8 = self.utf8;
            if let Err(invalid) = utf8.push(&bytes[..count], |_| {}) {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, invalid)));
            }
            self.utf8 = utf8;
        }
        self.collected.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for MessageWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_collect(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_queue(cx))?;
        if !this.collected.is_empty() {
            this.make_fragment(false);
            ready!(this.poll_queue(cx))?;
        }
        if this.progress == Progress::Collecting {
            return Poll::Ready(Ok(()));
        }
        let shared = &this.sender.shared;
        // What others send waits for the end of this message, so that it must not be waited for.
        let mark = *this.mark.get_or_insert_with(|| shared.mark_before_frame());
        let is_flushed = ready!(shared.poll_flush(cx, &mut this.place, mark));
        this.mark = None;
        Poll::Ready(match is_flushed {
            true => Ok(()),
            false => Err(shared.refused(Refused::Closing).into()),
        })
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_finish(cx))?;
        self.poll_flush(cx)
    }
}

impl Drop for MessageWriter {
    fn drop(&mut self) {
        // The sender, which is dropped next, closes the connection if the message is unfinished.
        self.sender.shared.leave(&mut self.place);
    }
}

impl fmt::Debug for MessageWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageWriter")
            .field("id", &self.sender.info().id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
