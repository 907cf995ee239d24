//! The receiving half.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use towline_proto::{CloseCause, Closed, Message};

use crate::connection::driver::{Reader, Wanted};
use crate::connection::event::Event;
use crate::connection::info::Info;
use crate::connection::shared::Shared;
use crate::connection::waiting::Place;
use crate::error::{Error, Result};

/// The receiving half of a connection.
///
/// Receiving is also what answers pings and completes a close: receive until the end, or drop the
/// receiver, and it is done in the background. While nobody receives, nothing is read, and so a
/// peer that sends more than is received waits.
pub struct Receiver {
    shared: Arc<Shared>,
    /// `None` once nothing can be received any more.
    reader: Option<Reader>,
    place: Place,
    /// Whether the end was handed out as an item of the [`Stream`].
    is_exhausted: bool,
}

impl Receiver {
    pub(crate) fn new(shared: Arc<Shared>, reader: Reader) -> Self {
        let (place, is_exhausted) = (Place::default(), false);
        Self { shared, reader: Some(reader), place, is_exhausted }
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
    pub async fn recv(&mut self) -> Result<Option<Message>> {
        poll_fn(|cx| self.poll_recv(cx)).await
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
    pub async fn next_event(&mut self) -> Result<Option<Event>> {
        poll_fn(|cx| self.poll_event(cx)).await
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
        Poll::Ready(match ready!(self.poll_wanted(cx, Wanted::Messages)) {
            Ok(Some(Event::Message(message))) => Ok(Some(message)),
            Ok(_) => Ok(None),
            Err(error) => Err(error),
        })
    }

    pub(crate) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>>> {
        self.poll_wanted(cx, Wanted::Everything)
    }

    #[inline]
    fn poll_wanted(&mut self, cx: &mut Context<'_>, wanted: Wanted) -> Poll<Result<Option<Event>>> {
        if let Some(reader) = &mut self.reader
            && let Some(event) = ready!(reader.poll_next(&self.shared, cx, wanted))
        {
            return Poll::Ready(Ok(Some(event)));
        }
        self.retire();
        // Our close frame may still be on its way out. Whether it gets there is part of the end.
        ready!(self.shared.poll_outcome(cx, &mut self.place));
        Poll::Ready(self.end())
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

    /// What the end is to who receives.
    fn end(&self) -> Result<Option<Event>> {
        let state = self.shared.lock();
        match state.session.outcome() {
            // The peer's close frame is the end of the stream, whatever became of ours; and what
            // this end's program aborted is no surprise to it.
            Some(closed) if closed.received().is_some() => Ok(None),
            Some(closed) if closed.cause() == CloseCause::Aborted => Ok(None),
            Some(closed) => Err(Error::from_closed(closed)),
            None => Ok(None),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.retire();
        self.shared.leave(&mut self.place);
        self.shared.lock().receiver_is_gone = true;
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
