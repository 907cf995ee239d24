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
/// Messages of concurrent senders never interleave on the wire. Messages of one sender arrive in
/// the order in which it sent them.
///
/// Sending returns when a message is queued. The message is written at the latest when the sending
/// task next yields to the runtime; no flush is needed. Until then messages are batched, and an
/// `.await` that is ready at once does not yield. Await [`flushed`](Self::flushed) or
/// [`close`](Self::close) before the process exits or the runtime is dropped. While more than
/// [`send_high_water_mark`](crate::Config::send_high_water_mark) bytes are queued, sending waits.
///
/// When the [`Receiver`](crate::Receiver) and all senders have been dropped, the connection is
/// closed in the background with 1001, or with 1011 if a panic dropped the receiver or the last
/// sender.
pub struct Sender {
    pub(crate) shared: Arc<Shared>,
    /// The number from [`maker`](Self::maker), or 0 if this sender has sent no frame by hand yet.
    maker: AtomicU64,
    /// As a `Sink`: the place in a queue of waiters, and the mark to be flushed.
    place: Place,
    mark: Option<Mark>,
}

impl Sender {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.senders.fetch_add(1, Ordering::Relaxed);
        Self { shared, maker: AtomicU64::new(0), place: Place::default(), mark: None }
    }

    /// Queues a message, and returns when it is queued. [`flushed`](Self::flushed) waits until it
    /// has been written. `send` waits while the queue is full.
    ///
    /// It takes text or bytes, owned or borrowed: see [`Outgoing`], which can also turn off
    /// compression for one message.
    ///
    /// Queued messages are written when the transport has room, beginning at the latest when this
    /// task next yields to the runtime. They are lost if the process exits or the runtime is
    /// dropped before: see [`flushed`](Self::flushed) for an example. Only a clean
    /// [`close`](Self::close) or an answer of the peer shows that the peer has received a message.
    /// A message above [`fragmentation_threshold`](crate::Config::fragmentation_threshold) goes out
    /// in fragments.
    ///
    /// Waiting senders get room in the order in which they began to wait. A sender that is not
    /// polled after it was woken does not block the others.
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
    /// [`ErrorKind::Closed`] if the connection is closing or closed. [`Error::into_message`]
    /// returns the message.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the message is queued completely or, if this future is dropped while the queue
    /// is full, not at all.
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

    /// Queues a message if the queue has room now. It can be called on any thread, inside a runtime
    /// or not. As with [`send`](Self::send), [`flushed`](Self::flushed) waits until the message has
    /// been written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::QueueFull`] if [`send`](Self::send) would wait, [`ErrorKind::Closed`] if the
    /// connection is closing or closed. [`Error::into_message`] returns the message.
    pub fn try_send<'m>(&self, message: impl Into<Outgoing<'m>>) -> Result<()> {
        let mut message = message.into();
        match self.shared.try_send(&mut message) {
            Some(sent) => sent.map_err(|why| self.shared.unsent(why, Some(message))),
            None => Err(self.shared.full(message)),
        }
    }

    /// Queues a frame that the program built (RFC 6455, section 5.2).
    ///
    /// A message made of frames belongs to the sender that began it, which has to finish it. Until
    /// then, messages and the first frames of other senders wait. If this sender is dropped before,
    /// the connection is closed with 1011, since nothing can follow an unfinished message. A close
    /// does not wait for the message to be finished. It cuts it off, and messages that wait for it
    /// are lost then: [`Closed::cut_messages`] counts them. A close frame begins to close, as
    /// [`start_close`](Self::start_close) does.
    ///
    /// Frames are sent unchanged and never compressed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSend`] for a frame that is not valid at this point: a control frame of
    /// more than 125 bytes or without `fin`, a continuation frame without a message to continue or
    /// of another sender's message, a first frame while this sender's message is unfinished, or a
    /// data frame with RSV1 on a connection with compression. [`ErrorKind::Closed`] if the
    /// connection is closing or closed.
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

    /// Queues a ping with up to 125 bytes of payload, ahead of queued messages. The pong is
    /// received as [`Event::Pong`](crate::Event::Pong).
    ///
    /// Keepalive pings are sent automatically.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSend`] for a longer payload, [`ErrorKind::Closed`] if the connection is
    /// closing or closed.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn ping(&self, payload: impl Into<Bytes>) -> Result<()> {
        self.control(Control { is_ping: true, payload: payload.into() }).await
    }

    /// Queues an unsolicited pong (RFC 6455, section 5.5.3). Pings are answered automatically.
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

    /// Waits until all messages sent before this call have been handed to the operating system, or
    /// the connection has ended. It does not wait for messages that other senders send meanwhile.
    ///
    /// Messages are written without it as long as the runtime runs. Call it before the process
    /// exits or the runtime is dropped:
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
    /// Messages can still be lost after that: the peer possibly never reads them.
    /// [`close`](Self::close) waits for the peer's close frame, which shows that the peer has
    /// received everything. If the connection has ended, this returns too: check
    /// [`closed`](Self::closed). That includes messages which a close has cut off: they are never
    /// written, so this waits for the end.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: this only waits.
    pub async fn flushed(&self) {
        let mark = self.shared.mark();
        let mut wait = Wait::new(&self.shared);
        if !poll_fn(|cx| self.shared.poll_flush(cx, &mut wait.place, mark)).await {
            // A close has dropped messages, or the transport is lost.
            poll_fn(|cx| self.shared.poll_written(cx, &mut wait.place)).await;
        }
    }

    /// Closes the connection (RFC 6455, section 7.1.2): writes all queued messages, then a close
    /// frame with this code and reason, and waits for the peer's close frame, up to the
    /// [`close_timeout`](crate::Config::close_timeout).
    ///
    /// [`CloseCode::NO_STATUS`] with an empty reason sends a close frame without a code.
    ///
    /// A message that is unfinished, of a [`MessageWriter`](crate::MessageWriter) or made of frames,
    /// is not waited for: it could take for ever. It is cut off, with the messages queued behind it.
    /// The writer gets an error, and [`Closed::cut_messages`] is not zero. Finish it before closing.
    ///
    /// Returns how the connection ended, which can be in another way: for example, the peer closed
    /// first, or the transport was lost. On a connection that is closing already, it waits for the
    /// end.
    ///
    /// The receiving half reads the peer's close frame: keep receiving there until the end, or drop
    /// it. If it is kept and does not receive, the connection ends with the timeout.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSend`] for a code that must not be sent or a reason of more than 123
    /// bytes. The connection stays open.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the first poll begins the close, which completes even if this future is dropped
    /// later.
    pub async fn close(&self, code: CloseCode, reason: impl AsRef<str>) -> Result<Closed> {
        // An error means that the connection is closing already. Its end is awaited as well.
        let _ = self.shared.close(close_frame(code, reason.as_ref())?);
        Ok(self.wait_closed().await)
    }

    /// Begins to close, as [`close`](Self::close) does, and returns.
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close), and [`ErrorKind::Closed`] if either end is closing already. The
    /// call has no effect then.
    pub fn start_close(&self, code: CloseCode, reason: impl AsRef<str>) -> Result<()> {
        let frame = close_frame(code, reason.as_ref())?;
        self.shared.close(frame).map_err(|why| self.shared.refused(why))
    }

    /// Ends the connection without waiting for the peer: sends a close frame with this code and
    /// reason if the transport takes it without waiting, and closes the transport. WebSocket-Node's
    /// default code is [`CloseCode::PROTOCOL_ERROR`].
    ///
    /// If the code or the reason is not valid, the close frame is sent without either.
    #[doc(alias = "drop")]
    pub fn abort(&self, code: CloseCode, reason: impl AsRef<str>) {
        self.shared.abort(close_frame(code, reason.as_ref()).unwrap_or(CloseFrame::EMPTY));
    }

    /// Waits until the connection has ended, and returns how. It does not begin to close.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: this only waits.
    pub async fn wait_closed(&self) -> Closed {
        let mut wait = Wait::new(&self.shared);
        poll_fn(|cx| self.shared.poll_closed(cx, &mut wait.place)).await
    }

    /// Returns how the connection ended: which side began, the close frames that were sent and
    /// received, and the cause. `None` while it is open, or while the peer's close frame is still
    /// missing.
    #[doc(alias("closeReasonCode", "closeDescription"))]
    pub fn closed(&self) -> Option<Closed> {
        self.shared.lock().session.outcome().cloned()
    }

    /// Returns whether messages can be sent: no close frame was sent or received, and the transport
    /// is intact.
    #[doc(alias = "connected")]
    pub fn is_open(&self) -> bool {
        self.shared.lock().session.is_open()
    }

    /// Takes the messages that were queued when the connection was lost and of which no byte was written,
    /// in the order in which they were sent. Each is returned once, to whoever asks first: to send them
    /// again on another connection, or to report them.
    ///
    /// The peer has received none of them. The reverse does not hold: a message that is not returned was
    /// handed to the operating system (or to TLS, or to a stream of the program) in whole or in part, and
    /// nothing tells whether the peer has received it. Compressed messages are not returned, nor are
    /// messages made of frames that are unfinished.
    ///
    /// Empty while the connection is open, and without
    /// [`Config::keep_unsent`](crate::Config::keep_unsent()), which
    /// [`Client::reconnecting`](crate::Client::reconnecting) turns on. A `send` that fails returns its own
    /// message: see [`Error::into_message`].
    pub fn take_unsent(&self) -> Vec<Message> {
        self.shared.take_unsent()
    }

    /// Returns the number of queued bytes that were not handed to the operating system yet.
    #[doc(alias = "bytesWaitingToFlush")]
    pub fn queued_bytes(&self) -> usize {
        self.shared.lock().session.outbound().queued_len()
    }

    /// Returns the result of the opening handshake and the peer's addresses.
    pub fn info(&self) -> &Info {
        &self.shared.info
    }

    /// Returns the number that identifies this sender as one that sends frames by hand.
    pub(crate) fn maker(&self) -> NonZeroU64 {
        if let Some(maker) = NonZeroU64::new(self.maker.load(Ordering::Relaxed)) {
            return maker;
        }
        let makers = self.shared.frame_makers.fetch_add(1, Ordering::Relaxed);
        let maker = NonZeroU64::MIN.saturating_add(makers);
        let known =
            self.maker.compare_exchange(0, maker.get(), Ordering::Relaxed, Ordering::Relaxed);
        // Another thread can have set it first.
        known.err().and_then(NonZeroU64::new).unwrap_or(maker)
    }

    async fn control(&self, mut control: Control) -> Result<()> {
        let mut wait = Wait::new(&self.shared);
        poll_fn(|cx| self.shared.poll_send(cx, &mut wait.place, &mut control))
            .await
            .map_err(|why| self.shared.refused(why))
    }
}

/// The future of `send`.
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

/// Errors for messages that were not sent.
impl Shared {
    pub(crate) fn refused(&self, why: Refused) -> Error {
        let core = self.lock();
        Error::refused(why, &core.session).with_failure(core.failure())
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

/// Creates a close frame, if the code and the reason are valid.
pub(crate) fn close_frame(code: CloseCode, reason: &str) -> Result<CloseFrame> {
    if code == CloseCode::NO_STATUS && reason.is_empty() {
        return Ok(CloseFrame::EMPTY);
    }
    CloseFrame::new(code, reason)
        .map_err(|error: InvalidClose| Error::new(ErrorKind::InvalidSend, error.to_string()))
}

impl AsRef<Self> for Sender {
    fn as_ref(&self) -> &Self {
        self
    }
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
        // Release and acquire: the last sender has to see everything that the others did.
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.close_if_abandoned();
        }
    }
}

/// `start_send` queues a message, as [`send`](Self::send) does. It is written without a flush when
/// the task yields. Flushing waits until the operating system has all messages sent before, as
/// [`flushed`](Self::flushed) does: `SinkExt::send` and `send_all` flush, `SinkExt::feed` does not.
/// Flushing fails if some of those messages were dropped instead, also by a close of this end.
/// A flush whose future was dropped is continued by the next one, which waits for what `start_send` has
/// queued since, but not for what [`send`](Self::send) has: use [`flushed`](Self::flushed) for that.
/// Closing the sink begins to close the connection with 1000, and completes when the close frame
/// has been written. The receiving half gets the peer's last messages and the end.
impl Sink<Message> for Sender {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Self { shared, place, .. } = &mut *self;
        shared.poll_room(cx, place).map(Ok)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<()> {
        // `poll_ready` has promised room, even if other senders have taken it since.
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
        // The close frame has to be flushed as well.
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
