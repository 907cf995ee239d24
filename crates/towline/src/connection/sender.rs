//! The sending half.

use std::fmt;
use std::future::poll_fn;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_sink::Sink;
use towline_proto::{
    CloseCode, CloseFrame, Closed, Compress, Frame, InvalidClose, Message, MessageRef, Refused,
    SendError, Session, Text,
};

use crate::connection::info::Info;
use crate::connection::shared::{Shared, Wait};
use crate::connection::waiting::Place;
use crate::error::{Error, ErrorKind, Result};

/// The sending half of a connection. Any number of tasks may each have a clone.
///
/// Messages of concurrent senders never interleave on the wire. What one sender sends arrives in
/// that order.
///
/// What is sent leaves at the latest when the sending task next yields; there is nothing to flush.
/// Until then it is batched. While more than
/// [`send_high_water_mark`](crate::Config::send_high_water_mark) bytes wait for the peer to take
/// them, sending waits.
///
/// A connection whose [`Receiver`](crate::Receiver) and senders have all been dropped is closed
/// with 1001, in the background.
pub struct Sender {
    pub(crate) shared: Arc<Shared>,
    /// What it is [known by](Self::maker), if it has ever made a frame by hand.
    maker: AtomicU64,
    /// Where it waits as a `Sink`.
    pub(crate) place: Place,
}

impl Sender {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.senders.fetch_add(1, Ordering::Relaxed);
        Self { shared, maker: AtomicU64::new(0), place: Place::default() }
    }

    /// Sends a message.
    ///
    /// Returns when the message is queued; it is written, without further ado, as soon as the
    /// transport takes it. A message above
    /// [`fragmentation_threshold`](crate::Config::fragmentation_threshold) goes out in fragments.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] once the connection is closing; the error
    /// [gives the message back](Error::into_message).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a message is queued whole or, if this is dropped while it waits for room, not
    /// at all.
    pub fn send(&self, message: impl Into<Message>) -> impl Future<Output = Result<()>> {
        Sending { wait: Wait::new(&self.shared), message: Some(message.into()) }
    }

    /// Sends a message, see [`send`](Self::send), and says whether it is to be compressed where
    /// [compression](crate::Config::compression) was agreed on: never is for what is compressed
    /// already, and for secrets, see [`Compress::Never`].
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn send_with(&self, message: impl Into<Message>, compress: Compress) -> Result<()> {
        let (mut wait, mut slot) = (Wait::new(&self.shared), Some(message.into()));
        poll_fn(|cx| {
            let Wait { shared, place } = &mut wait;
            let sent = shared.poll_send_with(cx, place, (&mut slot, compress));
            sent.map_err(|why| shared.unsent(why, slot.take()))
        })
        .await
    }

    /// Sends a message that lies elsewhere, for instance where
    /// [`Receiver::recv_ref`](crate::Receiver::recv_ref) has it: for a small one, this is the
    /// cheapest way. The payload is copied to where it is written from; one of more than 4 KiB that
    /// is a [`Message`] already is shared instead.
    ///
    /// Where compression was agreed on it is compressed as [`Compress::Auto`] says: what must not
    /// be is for [`send_with`](Self::send_with).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] once the connection is closing.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub fn send_ref<'m>(
        &self,
        message: impl Into<MessageRef<'m>>,
    ) -> impl Future<Output = Result<()>> {
        let (mut wait, mut message) = (Wait::new(&self.shared), Some(message.into()));
        poll_fn(move |cx| {
            let Wait { shared, place } = &mut wait;
            let sent = shared.poll_send_ref(cx, place, &mut message);
            sent.map_err(|why| shared.refused(why))
        })
    }

    /// Sends a text message, see [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    #[doc(alias("sendUTF", "send_utf8"))]
    pub fn send_text(&self, text: impl Into<Text>) -> impl Future<Output = Result<()>> {
        self.send(Message::Text(text.into()))
    }

    /// Sends a binary message, see [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    #[doc(alias = "sendBytes")]
    pub fn send_binary(&self, bytes: impl Into<Bytes>) -> impl Future<Output = Result<()>> {
        self.send(Message::Binary(bytes.into()))
    }

    /// Sends a message if there is room for it now. For any thread, inside a runtime or not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::QueueFull`] where [`send`](Self::send) would wait, [`ErrorKind::Closed`] once
    /// the connection is closing; either [gives the message back](Error::into_message).
    pub fn try_send(&self, message: impl Into<Message>) -> Result<()> {
        let mut slot = Some(message.into());
        match self.shared.try_send(&mut slot) {
            Some(sent) => sent.map_err(|why| self.shared.unsent(why, slot)),
            None => Err(self.shared.full(slot)),
        }
    }

    /// Sends a message if there is room for it now, see [`try_send`](Self::try_send), and says
    /// whether it is to be compressed, as [`send_with`](Self::send_with) does.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
    pub fn try_send_with(&self, message: impl Into<Message>, compress: Compress) -> Result<()> {
        let mut slot = Some(message.into());
        match self.shared.try_send_with(&mut slot, compress) {
            Some(sent) => sent.map_err(|why| self.shared.unsent(why, slot)),
            None => Err(self.shared.full(slot)),
        }
    }

    /// Sends a frame made by hand.
    ///
    /// Messages that are sent before the message it belongs to is finished wait for that, whoever
    /// sends them: finish it. If this sender is dropped before, the connection is closed with 1011,
    /// for nothing could ever be sent after it; and a close, by whomever, is not kept waiting by it,
    /// and what waits behind it is lost then. A close frame does what [`close`](Self::close) does,
    /// without waiting for the end.
    ///
    /// Frames made by hand are sent as they are, compression or not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSend`] for a frame that can't stand here: a control frame of more than
    /// 125 bytes or with `fin` off, a continuation with nothing to continue, a first frame while
    /// a message is unfinished, one with data and RSV1 where compression was agreed on. [`ErrorKind::Closed`] once the connection is closing.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    #[doc(alias = "sendFrame")]
    pub async fn send_frame(&self, frame: Frame) -> Result<()> {
        let mut frame = Some(frame);
        let maker = self.maker();
        let mut wait = Wait::new(&self.shared);
        let sent =
            poll_fn(|cx| self.shared.poll_send_frame(cx, &mut wait.place, (&mut frame, maker)))
                .await;
        sent.map_err(|error| self.shared.refused(error.why()))
    }

    /// Sends a ping with up to 125 bytes of payload, in front of messages that wait. The pong
    /// comes as [`Event::Pong`](crate::Event::Pong).
    ///
    /// Keepalive pings are sent without this.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSend`] for a longer payload, [`ErrorKind::Closed`] once the connection
    /// is closing.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn ping(&self, payload: impl Into<Bytes>) -> Result<()> {
        let payload = payload.into();
        self.queue(|session| session.ping(payload.clone())).await
    }

    /// Sends a pong that answers no ping. Pings are answered without this.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn pong(&self, payload: impl Into<Bytes>) -> Result<()> {
        let payload = payload.into();
        self.queue(|session| session.pong(payload.clone())).await
    }

    /// Waits until everything that was sent so far has been handed to the operating system.
    ///
    /// Nothing needs this in order to be sent: it is for who wants to know.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only waits.
    pub async fn flushed(&self) {
        let mut wait = Wait::new(&self.shared);
        poll_fn(|cx| self.shared.poll_flush(cx, &mut wait.place)).await;
    }

    /// Closes: what was sent so far is written, then a close frame with this code and reason, and
    /// the peer's answer is awaited for as long as the
    /// [`close_timeout`](crate::Config::close_timeout) says.
    ///
    /// Returns how it ended, which may be differently: the peer may have closed first, or be gone.
    /// On a connection that is closing already it waits for that.
    ///
    /// The peer's answer is read by the receiving half: go on receiving there until the end, or
    /// drop it. If nobody receives, the end comes with the timeout.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSend`] for a code that must not be sent or a reason of more than 123
    /// bytes. Nothing has happened then.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: closing has begun when this is first polled, and goes on in any case.
    pub async fn close(&self, code: CloseCode, reason: impl AsRef<str>) -> Result<Closed> {
        self.start_close(code, reason)?;
        Ok(self.wait_closed().await)
    }

    /// Begins to close, as [`close`](Self::close) does, and returns.
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close).
    pub fn start_close(&self, code: CloseCode, reason: impl AsRef<str>) -> Result<()> {
        let frame = close_frame(code, reason.as_ref())?;
        self.shared.close(frame);
        Ok(())
    }

    /// Ends the connection at once: a close frame with this code and reason is sent if that can be
    /// done without waiting, and the transport is closed. WebSocket-Node's default for it is
    /// [`CloseCode::PROTOCOL_ERROR`].
    ///
    /// A code or reason that can't be sent is left out.
    #[doc(alias = "drop")]
    pub fn abort(&self, code: CloseCode, reason: impl AsRef<str>) {
        self.shared.abort(close_frame(code, reason.as_ref()).unwrap_or(CloseFrame::EMPTY));
    }

    /// Waits for the end of the connection, whoever brings it about, and tells how it came.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only waits.
    pub async fn wait_closed(&self) -> Closed {
        let mut wait = Wait::new(&self.shared);
        poll_fn(|cx| self.shared.poll_closed(cx, &mut wait.place)).await
    }

    /// How the connection ended: who began, what was sent and received, and why. `None` while it
    /// has not, or while it is closing and the peer's part is missing.
    #[doc(alias("closeReasonCode", "closeDescription"))]
    pub fn closed(&self) -> Option<Closed> {
        self.shared.lock().session.outcome().cloned()
    }

    /// Whether messages can be sent: no close frame was sent or received, and the transport holds.
    #[doc(alias = "connected")]
    pub fn is_open(&self) -> bool {
        self.shared.lock().session.is_open()
    }

    /// How many bytes are queued and not handed to the operating system yet.
    #[doc(alias = "bytesWaitingToFlush")]
    pub fn queued_bytes(&self) -> usize {
        self.shared.lock().session.outbound().queued_len()
    }

    /// What the handshake agreed on, and who the peer is.
    pub fn info(&self) -> &Info {
        &self.shared.info
    }

    /// The number by which it is known as one that makes frames by hand.
    fn maker(&self) -> NonZeroU64 {
        if let Some(maker) = NonZeroU64::new(self.maker.load(Ordering::Relaxed)) {
            return maker;
        }
        let makers = self.shared.frame_makers.fetch_add(1, Ordering::Relaxed);
        let maker = NonZeroU64::MIN.saturating_add(makers);
        let known =
            self.maker.compare_exchange(0, maker.get(), Ordering::Relaxed, Ordering::Relaxed);
        // Another thread may have been first.
        known.err().and_then(NonZeroU64::new).unwrap_or(maker)
    }

    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.shared.poll_room(cx, &mut self.place).map(Ok)
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.shared.poll_flush(cx, &mut self.place).map(Ok)
    }

    async fn queue(
        &self,
        mut what: impl FnMut(&mut Session) -> std::result::Result<(), SendError<Bytes>>,
    ) -> Result<()> {
        let mut wait = Wait::new(&self.shared);
        let sent = poll_fn(|cx| self.shared.poll_queue(cx, &mut wait.place, &mut what)).await;
        sent.map_err(|error| self.shared.refused(error.why()))
    }

    pub(crate) fn start_send(&self, message: Message) -> Result<()> {
        // Room was made sure of before. If others have taken it since, it was promised still.
        let mut slot = Some(message);
        self.shared.send_beyond_room(&mut slot).map_err(|why| self.shared.unsent(why, slot))
    }
}

/// A message on its way to the queue.
struct Sending<'s> {
    wait: Wait<'s>,
    message: Option<Message>,
}

impl Future for Sending<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Self { wait: Wait { shared, place }, message } = &mut *self;
        let sent = shared.poll_send(cx, place, message);
        sent.map_err(|why| shared.unsent(why, message.take()))
    }
}

/// What is told of messages that are not sent.
impl Shared {
    fn refused(&self, why: Refused) -> Error {
        Error::refused(why, &self.lock().session)
    }

    #[cold]
    fn unsent(&self, why: Refused, message: Option<Message>) -> Error {
        self.refused(why).with_unsent(message)
    }

    #[cold]
    fn full(&self, message: Option<Message>) -> Error {
        let session = &mut self.lock().session;
        let queued = session.outbound().queued_cost();
        Error::queue_full(queued, session.send_high_water_mark()).with_unsent(message)
    }
}

fn close_frame(code: CloseCode, reason: &str) -> Result<CloseFrame> {
    CloseFrame::new(code, reason)
        .map_err(|error: InvalidClose| Error::new(ErrorKind::InvalidSend, error.to_string()))
}

impl Clone for Sender {
    fn clone(&self) -> Self {
        Self::new(self.shared.clone())
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.shared.leave(&mut self.place);
        if let Some(maker) = NonZeroU64::new(*self.maker.get_mut()) {
            self.shared.close_if_unfinished(maker);
        }
        // Release and acquire: who sees zero sees everything that the others did.
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.close_if_abandoned();
        }
    }
}

/// Messages are sent without a flush; flushing waits until the operating system has them. Closing
/// the sink closes the connection with 1000, see [`close`](Self::close).
impl Sink<Message> for Sender {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Self::poll_ready(&mut self, cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<()> {
        Self::start_send(&self, message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Self::poll_flush(&mut self, cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.start_close(CloseCode::NORMAL, "")?;
        let Self { shared, place, .. } = &mut *self;
        shared.poll_closed(cx, place).map(|_| Ok(()))
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("id", &self.info().id).finish_non_exhaustive()
    }
}
