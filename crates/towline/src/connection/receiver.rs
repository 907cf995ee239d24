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
use towline_proto::{Closed, Message, MessageRef};

use crate::connection::driver::{Reader, Wanted};
use crate::connection::event::Event;
use crate::connection::info::Info;
use crate::connection::shared::Shared;
use crate::connection::waiting::Place;
use crate::error::Result;

/// The receiving half of a connection.
///
/// Receiving is also what answers pings and completes a close: receive until the end, or drop the
/// receiver, and it is done in the background. While nobody receives, nothing is read, and so a
/// peer that sends more than is received waits; but its pings are
/// [answered](crate::Connection) within ten seconds.
pub struct Receiver {
    shared: Arc<Shared>,
    /// `None` once nothing can be received any more.
    reader: Option<Box<Reader>>,
    place: Place,
    /// Whether the end was handed out as an item of the [`Stream`].
    is_exhausted: bool,
}

impl Receiver {
    pub(crate) fn new(shared: Arc<Shared>, reader: Reader) -> Self {
        let (place, is_exhausted) = (Place::default(), false);
        Self { shared, reader: Some(Box::new(reader)), place, is_exhausted }
    }

    /// Receives a message; `None` is the end after a clean close.
    ///
    /// Pings and pongs are dealt with and passed over.
    ///
    /// # Errors
    ///
    /// What ended the connection, if it was no clean close: a violation or an excess of the peer,
    /// its silence, the loss of the transport. It is the same ever after.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing that was received is lost.
    pub fn recv(&mut self) -> impl Future<Output = Result<Option<Message>>> {
        Receiving { receiver: self, wanted: PhantomData }
    }

    /// Receives a message and lends it where it was received, without a copy of its own; `None` is
    /// the end after a clean close.
    ///
    /// For programs that read a message and are done with it, or send it on with
    /// [`Sender::send`]. Until this or another method receives again, a buffer of 128 KiB of the
    /// thread's is held, which [`recv`](Self::recv) gives back with the last message in it; and a ping
    /// that came right behind the message is not answered.
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

    /// Receives a message, a frame, a ping or a pong; `None` is the end after a clean close.
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

    /// How the connection ended, see [`Sender::closed`](crate::Sender::closed).
    #[doc(alias("closeReasonCode", "closeDescription"))]
    pub fn closed(&self) -> Option<Closed> {
        self.shared.lock().session.outcome().cloned()
    }

    /// What the handshake agreed on, and who the peer is.
    pub fn info(&self) -> &Info {
        &self.shared.info
    }

    /// The TCP socket, if the connection is on one and something can still be received.
    #[doc(alias = "socket")]
    pub fn tcp_stream(&self) -> Option<&TcpStream> {
        self.reader.as_ref()?.half.tcp_stream()
    }

    /// The Unix socket, if the connection is on one and something can still be received.
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

    /// Waits until there is a message to lend. `false` is the end after a clean close.
    #[inline]
    fn poll_lendable(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool>> {
        if let Some(reader) = &mut self.reader
            && ready!(reader.poll_lendable(&self.shared, cx))
        {
            return Poll::Ready(Ok(true));
        }
        self.poll_end(cx).map(|end| end.map(|()| false))
    }

    #[cold]
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.retire();
        // Our close frame may still be on its way out. Whether it gets there is part of the end.
        ready!(self.shared.poll_outcome(cx, &mut self.place));
        Poll::Ready(self.shared.end_of_receiving())
    }

    /// Receives and drops, until the end: not where receiving ends, but where the transport does.
    pub(crate) fn poll_closed(&mut self, cx: &mut Context<'_>, place: &mut Place) -> Poll<Closed> {
        while let Poll::Ready(Ok(Some(_))) = self.poll_event(cx) {}
        self.shared.poll_closed(cx, place)
    }

    /// Leaves the rest of the reading, which only the transport's end is waited for with, to a
    /// task of its own.
    fn retire(&mut self) {
        if let Some(reader) = self.reader.take() {
            self.shared.spawn_drain(reader);
        }
    }
}

/// Waits for what comes next of what is wanted.
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

/// Messages, and what ended them if it was no clean close, once.
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
