//! The sending half.

use std::fmt;
use std::future::poll_fn;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_sink::Sink;
use towline_proto::{
    CloseCode, CloseFrame, Closed, Frame, InvalidClose, Mark, Message, Outgoing, Refused, Text,
};

use crate::connection::driver::{ByHand, Control};
use crate::connection::info::Info;
use crate::connection::shared::{Shared, Wait};
use crate::connection::sync::{AtomicU64, Ordering};
use crate::connection::waiting::Place;
use crate::error::{Error, ErrorKind, Result};

/// The sending half of a connection. Any number of tasks may each have a clone.
///
/// Messages of concurrent senders never interleave on the wire. What one sender sends arrives in
/// that order.
///
/// Sending returns when a message is queued. It leaves at the latest when the sending task next
/// yields to the runtime; there is nothing to flush. Until then it is batched, and an `.await` that
/// does not have to wait does not yield. So a program that ends its process, or drops its runtime,
/// awaits [`flushed`](Self::flushed) or [`close`](Self::close) first. While more than
/// [`send_high_water_mark`](crate::Config::send_high_water_mark) bytes wait for the peer to take
/// them, sending waits.
///
/// A connection whose [`Receiver`](crate::Receiver) and senders have all been dropped is closed
/// with 1001, in the background; with 1011 if it was a panic that dropped the receiver, or the last
/// sender.
pub struct Sender {
    pub(crate) shared: Arc<Shared>,
    /// What it is [known by](Self::maker), if it has ever made a frame by hand.
    maker: AtomicU64,
    /// Where it waits as a `Sink`, and what it waits to have flushed.
    place: Place,
    mark: Option<Mark>,
}

impl Sender {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.senders.fetch_add(1, Ordering::Relaxed);
        Self { shared, maker: AtomicU64::new(0), place: Place::default(), mark: None }
    }

    /// Queues a message, and returns when it is queued: [`flushed`](Self::flushed) makes sure that
    /// it has left. It waits while there is no room for the message.
    ///
    /// It takes everything that is text or bytes, owned or lent: see [`Outgoing`], by which one also
    /// says that a message is not to be compressed.
    ///
    /// What is queued is written without further ado as soon as the transport takes it, and at the
    /// latest when this task next yields to the runtime. A process that exits before, or a runtime
    /// that is dropped, loses it: see [`flushed`](Self::flushed) for an example. That the peer has
    /// received it is known from a clean [`close`](Self::close), or from the peer's answer. A message
    /// above
    /// [`fragmentation_threshold`](crate::Config::fragmentation_threshold) goes out in fragments.
    ///
    /// Those who wait for room have it in the order in which they came, if they come for it when
    /// they are woken: one that does not holds up nobody.
    ///
    /// ```
    /// # async fn example(sender: towline::Sender) -> towline::Result<()> {
    /// use towline::{Compress, Outgoing};
    ///
    /// sender.send("ship ahoy").await?;
    /// sender.send(vec![1, 2, 3]).await?;
    /// sender.send(Outgoing::from("secret").compress(Compress::Never)).await?;
    /// # Ok(())
    /// # }
    /// ```
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
    #[inline]
    pub fn send<'m>(&self, message: impl Into<Outgoing<'m>>) -> impl Future<Output = Result<()>> {
        Sending { wait: Wait::new(&self.shared), message: Some(message.into()) }
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
        self.send(text.into())
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
        self.send(bytes.into())
    }

    /// Queues a message if there is room for it now, and returns. For any thread, inside a runtime
    /// or not. As with [`send`](Self::send), it is [`flushed`](Self::flushed) that makes sure that
    /// it has left.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::QueueFull`] where [`send`](Self::send) would wait, [`ErrorKind::Closed`] once
    /// the connection is closing; either [gives the message back](Error::into_message).
    pub fn try_send<'m>(&self, message: impl Into<Outgoing<'m>>) -> Result<()> {
        let mut message = message.into();
        match self.shared.try_send(&mut message) {
            Some(sent) => sent.map_err(|why| self.shared.unsent(why, Some(message))),
            None => Err(self.shared.full(message)),
        }
    }

    /// Sends a frame made by hand.
    ///
    /// A message made of frames belongs to the sender that began it. Messages that are sent before it
    /// is finished wait for that, whoever sends them, and so does another sender's first frame:
    /// finish it. If this sender is dropped before, the connection is closed with 1011,
    /// for nothing could ever be sent after it; and a close, by whomever, is not kept waiting by it,
    /// and what waits behind it is lost then. A close frame does what [`close`](Self::close) does,
    /// without waiting for the end.
    ///
    /// Frames made by hand are sent as they are, compression or not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSend`] for a frame that can't stand here: a control frame of more than
    /// 125 bytes or with `fin` off, a continuation with nothing to continue or of another sender's
    /// message, a first frame while this sender's message is unfinished, one with data and RSV1 where
    /// compression was agreed on. [`ErrorKind::Closed`] once the connection is closing.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    #[doc(alias = "sendFrame")]
    pub async fn send_frame(&self, frame: Frame) -> Result<()> {
        let mut by_hand = ByHand { frame, maker: self.maker() };
        let mut wait = Wait::new(&self.shared);
        poll_fn(|cx| self.shared.poll_send(cx, &mut wait.place, &mut by_hand))
            .await
            .map_err(|why| self.shared.refused(why))
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
        self.control(Control { is_ping: true, payload: payload.into() }).await
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
        self.control(Control { is_ping: false, payload: payload.into() }).await
    }

    /// Waits until everything that was sent before this was called has been handed to the operating
    /// system, or never will be. What others send meanwhile is not waited for.
    ///
    /// Nothing needs this in order to be sent, as long as the runtime goes on. It is for a program
    /// that is about to end its process or to drop its runtime:
    ///
    /// ```
    /// # async fn example(sender: towline::Sender) -> towline::Result<()> {
    /// for number in 0..10 {
    ///     sender.send(format!("line {number}")).await?; // queued
    /// }
    /// sender.flushed().await; // handed to the operating system
    /// std::process::exit(0);
    /// # }
    /// ```
    ///
    /// The operating system may still lose what it has, and the peer may never read it.
    /// [`close`](Self::close) waits for the peer's answer to the close frame, before which the peer
    /// has received everything. If the connection has ended meanwhile, this returns as well:
    /// [`closed`](Self::closed) tells.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only waits.
    pub async fn flushed(&self) {
        let mark = self.shared.mark();
        let mut wait = Wait::new(&self.shared);
        poll_fn(|cx| self.shared.poll_flush(cx, &mut wait.place, mark)).await;
    }

    /// Closes: what was sent so far is written, then a close frame with this code and reason, and
    /// the peer's answer is awaited for as long as the
    /// [`close_timeout`](crate::Config::close_timeout) says.
    ///
    /// [`CloseCode::NO_STATUS`] and an empty reason make a close frame without a code.
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
        // One that is closing already ends as it will.
        let _ = self.shared.close(close_frame(code, reason.as_ref())?);
        Ok(self.wait_closed().await)
    }

    /// Begins to close, as [`close`](Self::close) does, and returns.
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close), and [`ErrorKind::Closed`] if the connection is closing already,
    /// whoever began: nothing has happened then.
    pub fn start_close(&self, code: CloseCode, reason: impl AsRef<str>) -> Result<()> {
        let frame = close_frame(code, reason.as_ref())?;
        self.shared.close(frame).map_err(|why| self.shared.refused(why))
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

    async fn control(&self, mut control: Control) -> Result<()> {
        let mut wait = Wait::new(&self.shared);
        poll_fn(|cx| self.shared.poll_send(cx, &mut wait.place, &mut control))
            .await
            .map_err(|why| self.shared.refused(why))
    }
}

/// A message on its way to the queue.
struct Sending<'s, 'm> {
    wait: Wait<'s>,
    /// `None` once it was sent or refused.
    message: Option<Outgoing<'m>>,
}

impl Future for Sending<'_, '_> {
    type Output = Result<()>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Self { wait: Wait { shared, place }, message: slot } = &mut *self;
        let Some(message) = slot else { return Poll::Ready(Ok(())) };
        match ready!(shared.poll_send(cx, place, message)) {
            Ok(()) => {
                *slot = None;
                Poll::Ready(Ok(()))
            }
            Err(why) => Poll::Ready(Err(shared.unsent(why, slot.take()))),
        }
    }
}

/// What is told of messages that are not sent.
impl Shared {
    fn refused(&self, why: Refused) -> Error {
        let core = self.lock();
        Error::refused(why, &core.session).with_failure(core.receiver.failure())
    }

    #[cold]
    fn unsent(&self, why: Refused, message: Option<Outgoing<'_>>) -> Error {
        self.refused(why).with_unsent(message.map(Outgoing::into_message))
    }

    #[cold]
    fn full(&self, message: Outgoing<'_>) -> Error {
        let session = &mut self.lock().session;
        let queued = session.outbound().queued_cost();
        let error = Error::queue_full(queued, session.send_high_water_mark());
        error.with_unsent(Some(message.into_message()))
    }
}

/// A close frame that can be sent.
pub(crate) fn close_frame(code: CloseCode, reason: &str) -> Result<CloseFrame> {
    if code == CloseCode::NO_STATUS && reason.is_empty() {
        return Ok(CloseFrame::EMPTY);
    }
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

/// `start_send` queues a message, as [`send`](Self::send) does; it is sent without a flush as soon as
/// the task yields. Flushing waits until the operating system has what was sent before, as
/// [`flushed`](Self::flushed) does: `SinkExt::send` and `send_all` flush, `SinkExt::feed` does not. Closing the sink begins to close the connection with 1000, and is done when the close
/// frame has been written: the end, and what the peer says until then, is for whoever receives.
impl Sink<Message> for Sender {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Self { shared, place, .. } = &mut *self;
        shared.poll_room(cx, place).map(Ok)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<()> {
        // Room was made sure of before. If others have taken it since, it was promised still.
        self.mark = None;
        let mut message = Outgoing::from(message);
        let sent = self.shared.send_beyond_room(&mut message);
        sent.map_err(|why| self.shared.unsent(why, Some(message)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Self { shared, place, mark, .. } = &mut *self;
        let behind = *mark.get_or_insert_with(|| shared.mark());
        let is_flushed = ready!(shared.poll_flush(cx, place, behind));
        *mark = None;
        if is_flushed {
            Poll::Ready(Ok(()))
        } else {
            Poll::Ready(Err(shared.refused(Refused::Closing)))
        }
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        // What was waited for until now is not all there is to wait for.
        if self.shared.close(close_frame(CloseCode::NORMAL, "")?).is_ok() {
            self.mark = None;
        }
        self.poll_flush(cx)
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("id", &self.info().id).finish_non_exhaustive()
    }
}
