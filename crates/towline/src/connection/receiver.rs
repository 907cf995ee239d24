//! The receiving half.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use towline_proto::{CloseCode, CloseFrame, Closed, Counts, Fault, Incoming, Message, MessageRef};

use crate::connection::driver::{Arrived, Reader, Wanted};
use crate::connection::event::Event;
use crate::connection::info::Info;
use crate::connection::shared::Shared;
use crate::connection::throttle::Throttle;
use crate::connection::waiting::Place;
use crate::error::Result;

/// The receiving half of a connection.
///
/// Receiving also answers pings and completes a close. Receive until the end, or drop the receiver:
/// a task in the background does it then. While the program does not receive, nothing is read, so a
/// fast peer has to wait. Its pings are still [answered](crate::Connection) within ten seconds.
pub struct Receiver {
    shared: Arc<Shared>,
    /// `None` once nothing can be received any more.
    reader: Option<Box<Reader>>,
    place: Place,
    /// Whether the [`Stream`] has returned its last item.
    is_exhausted: bool,
}

impl Receiver {
    pub(crate) fn new(shared: Arc<Shared>, reader: Reader) -> Self {
        let (place, is_exhausted) = (Place::default(), false);
        Self { shared, reader: Some(Box::new(reader)), place, is_exhausted }
    }

    /// Receives a message, or `None` after a clean close.
    ///
    /// Pings and pongs are handled internally.
    ///
    /// # Errors
    ///
    /// Returns the cause if the connection did not end with a clean close: the peer broke the
    /// protocol, exceeded a limit or did not respond, or the transport was lost. Every later call
    /// returns the same error.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no received message is lost.
    pub fn recv(&mut self) -> impl Future<Output = Result<Option<Message>>> {
        Receiving { receiver: self, wanted: PhantomData }
    }

    /// Receives a message and borrows it from the receive buffer without a copy, or returns `None`
    /// after a clean close.
    ///
    /// Use it if the message is not needed afterwards, or is sent on with [`Sender::send`]. Until
    /// the next call that receives, the connection keeps a receive buffer of 128 KiB, which
    /// [`recv`](Self::recv) releases with the last message in it, and a ping right after the
    /// message is not answered.
    ///
    /// ```
    /// # async fn example(connection: towline::Connection) -> towline::Result<()> {
    /// let (sender, mut receiver) = connection.split();
    /// while let Some(message) = receiver.recv_ref().await? {
    ///     sender.send(message).await?;
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
    /// As [`recv`](Self::recv).
    ///
    /// [`Sender::send`]: crate::Sender::send
    pub async fn recv_ref(&mut self) -> Result<Option<MessageRef<'_>>> {
        if !poll_fn(|cx| self.poll_lendable(cx)).await? {
            return Ok(None);
        }
        let Self { shared, reader: Some(reader), .. } = self else { return Ok(None) };
        match reader.lend(shared) {
            None => shared.end_of_receiving().map(|()| None),
            message => Ok(message),
        }
    }

    /// Receives a message, a frame, a ping or a pong, or `None` after a clean close.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// As [`recv`](Self::recv).
    pub fn next_event(&mut self) -> impl Future<Output = Result<Option<Event>>> {
        Receiving { receiver: self, wanted: PhantomData }
    }

    /// Returns how the connection ended, see [`Sender::closed`](crate::Sender::closed).
    #[doc(alias("closeReasonCode", "closeDescription"))]
    pub fn closed(&self) -> Option<Closed> {
        self.shared.lock().session.outcome().cloned()
    }

    /// Returns the result of the opening handshake and the peer's addresses.
    pub fn info(&self) -> &Info {
        &self.shared.info
    }

    /// Returns the TCP socket, if the connection is on one and can still receive.
    #[doc(alias = "socket")]
    pub fn tcp_stream(&self) -> Option<&TcpStream> {
        self.reader.as_ref()?.half.tcp_stream()
    }

    /// Returns the Unix socket, if the connection is on one and can still receive.
    #[cfg(unix)]
    #[doc(alias = "socket")]
    pub fn unix_stream(&self) -> Option<&UnixStream> {
        self.reader.as_ref()?.half.unix_stream()
    }

    #[inline]
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>>> {
        self.poll_wanted(cx)
    }

    pub(crate) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>>> {
        self.poll_wanted(cx)
    }

    #[inline(always)]
    fn poll_wanted<W: Wanted>(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<W>>> {
        if let Some(reader) = &mut self.reader
            && let Some(item) = ready!(reader.poll_next(&self.shared, cx))
        {
            return Poll::Ready(Ok(Some(item)));
        }
        self.poll_end(cx).map(|end| end.map(|()| None))
    }

    /// Waits until there is a message to lend. Returns `false` after a clean close.
    #[inline]
    fn poll_lendable(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool>> {
        if let Some(reader) = &mut self.reader
            && ready!(reader.poll_lendable(&self.shared, cx))
        {
            return Poll::Ready(Ok(true));
        }
        self.poll_end(cx).map(|end| end.map(|()| false))
    }

    /// Receives the next piece of a message, or `None` after a clean close. Call it when the piece
    /// before has been taken.
    pub(crate) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Arrived>>> {
        if let Some(reader) = &mut self.reader
            && let Some(piece) = ready!(reader.poll_piece(&self.shared, cx))
        {
            return Poll::Ready(Ok(Some(piece)));
        }
        self.poll_end(cx).map(|end| end.map(|()| None))
    }

    /// Returns the last bytes of the piece that is in the receive buffer.
    pub(crate) fn piece(&self, len: usize) -> &[u8] {
        self.reader.as_ref().map_or(&[], |reader| reader.piece(len))
    }

    /// The piece has been taken.
    pub(crate) fn release_piece(&mut self) {
        if let Some(reader) = &mut self.reader {
            reader.release_piece();
        }
    }

    /// Drops the rest of a message that was received in pieces.
    pub(crate) fn skip_message(&mut self) {
        if let Some(reader) = &mut self.reader
            && !reader.skip_message(&self.shared)
        {
            self.retire();
        }
    }

    /// Ends the connection because of the peer. Later calls return that error.
    pub(crate) fn fail(&mut self, fault: Fault) {
        self.shared.handle_incoming(Incoming::Fault(fault), Counts::default());
        self.retire();
    }

    /// Begins to close, and receives no more.
    pub(crate) fn refuse(&mut self, code: CloseCode, reason: &'static str) {
        let frame = CloseFrame::new(code, reason).unwrap_or(CloseFrame::EMPTY);
        // An error means that the connection is closing already.
        let _ = self.shared.close(frame);
        self.retire();
    }

    #[cold]
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.retire();
        // This end's close frame is possibly not written yet, and the outcome depends on it.
        ready!(self.shared.poll_outcome(cx, &mut self.place));
        Poll::Ready(self.shared.end_of_receiving())
    }

    /// Receives and drops until the transport has ended, which is later than the last message.
    pub(crate) fn poll_closed(&mut self, cx: &mut Context<'_>, place: &mut Place) -> Poll<Closed> {
        while let Poll::Ready(Ok(Some(_))) = self.poll_event(cx) {}
        self.shared.poll_closed(cx, place)
    }

    pub(crate) fn throttle(&mut self, throttle: Box<Throttle>) {
        if let Some(reader) = &mut self.reader {
            reader.throttle = Some(throttle);
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// What was received and is not in the shared counts yet.
    pub(crate) fn counts(&self) -> Option<Counts> {
        self.reader.as_ref().map(|reader| reader.counts())
    }

    /// Moves the reader to a task that reads until the end of the transport.
    fn retire(&mut self) {
        if let Some(reader) = self.reader.take() {
            self.shared.spawn_drain(reader);
        }
    }
}

/// The future of `recv` and `next_event`.
struct Receiving<'r, W> {
    receiver: &'r mut Receiver,
    wanted: PhantomData<fn() -> W>,
}

impl<W: Wanted> Future for Receiving<'_, W> {
    type Output = Result<Option<W>>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.receiver.poll_wanted(cx)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.retire();
        self.shared.leave(&mut self.place);
        self.shared.lose_receiver();
        self.shared.close_if_abandoned();
    }
}

/// The stream yields messages. If the connection does not end with a clean close, the last item is
/// the error.
impl Stream for Receiver {
    type Item = Result<Message>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_exhausted {
            return Poll::Ready(None);
        }
        let item = ready!(self.poll_recv(cx)).transpose();
        self.is_exhausted = !matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("id", &self.info().id).finish_non_exhaustive()
    }
}
