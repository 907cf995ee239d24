//! An established connection, of a client or of a server.
//!
//! [`Connection`] combines a [`Sender`] and a [`Receiver`]. Their shared data is in `shared`; the
//! code that moves bytes is in `driver`.

mod alone;

mod buffers;

mod event;

mod when_full;

mod info;

mod spans;

pub(crate) mod sync;

mod work;

mod rate;

mod throttle;

mod observer;

mod timekeeper;

mod unsent;

mod waiting;

mod writer;

mod heard;

mod groups;

mod shared;

mod driver;

mod sender;

mod receiver;

mod stats;

mod rest;

mod message_reader;

mod message_writer;

mod byte_stream;

mod futures;

mod watch;

mod agreed;

mod about;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::time::Instant;
use towline_proto::handshake::Agreed;
use towline_proto::{
    CloseCode, Closed, Config, Frame, Inbound, Message, Outgoing, Role, Session, Text,
};

pub use byte_stream::{ByteReader, ByteStream, ByteWriter};
pub use event::Event;
pub use info::Info;
pub(crate) use info::{Answered, Requested};
pub use message_reader::MessageReader;
pub use message_writer::MessageWriter;
pub use rate::Rate;
pub use receiver::Receiver;
pub use sender::Sender;
pub use throttle::WhenTooFast;
pub use when_full::WhenFull;

use crate::connection::driver::Reader;
use crate::connection::shared::Wait;
use crate::connection::writer::Receiving;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::transport::{AnyStream, Io};

pub(crate) use alone::alone;
pub(crate) use driver::Delivered;
pub(crate) use groups::{Group, GroupKey, Offer, Prepared, Run};
pub(crate) use observer::Observer;
pub(crate) use rate::Meter;
pub(crate) use sender::close_frame;
pub(crate) use shared::Shared;
pub(crate) use spans::{answered, handshake};
pub(crate) use sync::Runtime;
pub(crate) use throttle::{Throttle, Throttling, TooFast};
pub(crate) use timekeeper::{Moment, Timekeeper};
pub(crate) use watch::{Closer, Watch};
pub(crate) use work::Work;

/// An established connection, of a server or of a client.
///
/// - Receive with [`recv`](Self::recv), send with [`send`](Self::send), end with
///   [`close`](Self::close). Pings are answered and keepalive runs automatically.
/// - [`split`](Self::split) returns a [`Sender`], which many tasks can share, and a [`Receiver`].
/// - It implements `Stream` and `Sink` of the `futures` crates.
///
/// All of its futures are cancel safe: dropping one loses no message.
///
/// The program may take minutes between receiving and sending. Meanwhile, keepalive pings are sent,
/// and the peer's pings are answered within ten seconds, unless a ping is behind more than 16 KiB
/// of unread data, or behind more than four messages that were read in one call. The peer's
/// messages and its close frame wait until the program receives.
///
/// A connection that is dropped without a close is closed in the background with 1001, or with 1011
/// if a panic dropped it.
///
/// ```
/// # async fn example(mut connection: towline::Connection) -> towline::Result<()> {
/// while let Some(message) = connection.recv().await? {
///     connection.send(message).await?;
/// }
/// println!("{:?}", connection.closed());
/// # Ok(())
/// # }
/// ```
#[doc(alias = "WebSocketConnection")]
pub struct Connection {
    // Dropped first, so that dropping the receiver abandons the connection.
    sender: Sender,
    receiver: Receiver,
    response: Option<Box<Answered>>,
}

/// The parts of a connection whose handshake is done.
pub(crate) struct Established {
    pub(crate) stream: AnyStream,
    /// Bytes that were read after the end of the handshake.
    pub(crate) early: Vec<u8>,
    pub(crate) info: Info,
    pub(crate) response: Option<Box<Answered>>,
}

/// A number that is unique in this process.
pub(crate) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Connection {
    /// Creates a connection on a stream whose opening handshake is done already, without
    /// extensions. [`from_agreed`](Self::from_agreed) is with them.
    ///
    /// `early` holds the bytes that were read after the end of the handshake, or none. They are the
    /// first bytes of the connection.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or if the runtime's time driver is not enabled.
    pub fn from_stream(stream: impl Io, role: Role, config: &Config, early: Bytes) -> Self {
        Self::from_handshake(AnyStream::new(stream), role, Agreed::default(), config, early)
    }

    pub(crate) fn establish(
        established: Established,
        config: &Config,
        observer: Option<Arc<dyn Observer>>,
    ) -> Self {
        let Established { stream, early, info, response } = established;
        let now = Instant::now();
        let (half, writer) = stream.split();
        let compression = info.compression.as_ref();
        let inbound = Inbound::new(info.role, config).with_compression(compression);
        let session = Session::new(info.role, config, now.into_std()).with_compression(compression);
        let shared = Shared::new(Arc::new(info), session, writer, observer);
        if !early.is_empty() {
            shared.heard.set_position(Receiving::HasMore);
        }
        shared.begin_to_look_out(now);
        let reader = Reader::new(half, inbound, &early);
        Self {
            sender: Sender::new(shared.clone()),
            receiver: Receiver::new(shared, reader),
            response,
        }
    }

    /// Limits how fast the peer can send.
    pub(crate) fn throttle(&mut self, throttle: Box<Throttle>) {
        self.receiver.throttle(throttle);
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.sender.shared
    }

    /// Receives a message, or `None` after a clean close.
    ///
    /// Pings and pongs are handled internally. If
    /// [`assemble_fragments`](Config::assemble_fragments) is off, frames are skipped too: use
    /// [`next_event`](Self::next_event).
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
    #[doc(alias("message", "onmessage"))]
    pub fn recv(&mut self) -> impl Future<Output = Result<Option<Message>>> {
        self.receiver.recv()
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
    #[doc(alias = "frame")]
    pub fn next_event(&mut self) -> impl Future<Output = Result<Option<Event>>> {
        self.receiver.next_event()
    }

    /// Queues a message, and returns when it is queued. [`flushed`](Self::flushed) waits until it
    /// has been written. `send` waits while the queue is full. See [`Sender::send`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the message is queued completely or, if this future is dropped while the queue
    /// is full, not at all.
    #[inline]
    pub fn send<'m>(&self, message: impl Into<Outgoing<'m>>) -> impl Future<Output = Result<()>> {
        self.sender.send(message)
    }

    /// Sends a text message, see [`Sender::send`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    #[doc(alias = "sendUTF")]
    pub fn send_text(&self, text: impl Into<Text>) -> impl Future<Output = Result<()>> {
        self.sender.send_text(text)
    }

    /// Sends a binary message, see [`Sender::send`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    #[doc(alias = "sendBytes")]
    pub fn send_binary(&self, bytes: impl Into<Bytes>) -> impl Future<Output = Result<()>> {
        self.sender.send_binary(bytes)
    }

    /// Queues a message if the queue has room now. [`flushed`](Self::flushed) waits until it has
    /// been written. See [`Sender::try_send`].
    ///
    /// # Errors
    ///
    /// As [`Sender::try_send`].
    pub fn try_send<'m>(&self, message: impl Into<Outgoing<'m>>) -> Result<()> {
        self.sender.try_send(message)
    }

    /// Sends a frame that the program built, see [`Sender::send_frame`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send_frame`].
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    #[doc(alias = "sendFrame")]
    pub async fn send_frame(&self, frame: Frame) -> Result<()> {
        self.sender.send_frame(frame).await
    }

    /// Sends a ping with up to 125 bytes of payload, see [`Sender::ping`].
    ///
    /// # Errors
    ///
    /// As [`Sender::ping`].
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn ping(&self, payload: impl Into<Bytes>) -> Result<()> {
        self.sender.ping(payload).await
    }

    /// Sends an unsolicited pong, see [`Sender::pong`].
    ///
    /// # Errors
    ///
    /// As [`Sender::pong`].
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub async fn pong(&self, payload: impl Into<Bytes>) -> Result<()> {
        self.sender.pong(payload).await
    }

    /// Closes the connection (RFC 6455, section 7.1.2): writes all queued messages, then a close
    /// frame with this code and reason, and waits for the peer's close frame, up to the
    /// [`close_timeout`](Config::close_timeout).
    ///
    /// [`CloseCode::NO_STATUS`] with an empty reason sends a close frame without a code.
    ///
    /// A message that is unfinished, of a [`MessageWriter`](crate::MessageWriter) or made of frames,
    /// is not waited for: it could take for ever. It is cut off, with the messages queued behind it.
    /// The writer gets an error, and [`Closed::cut_messages`] is not zero. Finish it before closing.
    ///
    /// Returns how the connection ended, which can be in another way: for example, the peer closed
    /// first, or the transport was lost. Messages that arrive before the peer's close frame are
    /// dropped. To receive them, use [`start_close`](Self::start_close) and receive until the end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSend`] for a code that must not be sent or a reason of more than 123
    /// bytes. The connection stays open.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the first poll begins the close. If this future is dropped later, the close
    /// still completes, at the latest with the close timeout.
    pub async fn close(&mut self, code: CloseCode, reason: impl AsRef<str>) -> Result<Closed> {
        // An error means that the connection is closing already. Its end is awaited as well.
        let frame = close_frame(code, reason.as_ref())?;
        let _ = self.shared().close(frame);
        Ok(self.wait_closed().await)
    }

    /// Begins to close, as [`close`](Self::close) does, and returns. Keep receiving until the end.
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close), and [`ErrorKind::Closed`] if the connection is closing already.
    pub fn start_close(&self, code: CloseCode, reason: impl AsRef<str>) -> Result<()> {
        self.sender.start_close(code, reason)
    }

    /// Ends the connection without waiting for the peer, see [`Sender::abort`]. WebSocket-Node's
    /// default code is [`CloseCode::PROTOCOL_ERROR`].
    #[doc(alias = "drop")]
    pub fn abort(&self, code: CloseCode, reason: impl AsRef<str>) {
        self.sender.abort(code, reason);
    }

    /// Returns how the connection ended: which side began, the close frames that were sent and
    /// received, and the cause. `None` while it has not ended.
    #[doc(alias("closeReasonCode", "closeDescription"))]
    pub fn closed(&self) -> Option<Closed> {
        self.sender.closed()
    }

    /// Returns whether messages can be sent: no close frame was sent or received, and the transport
    /// is intact.
    #[doc(alias = "connected")]
    pub fn is_open(&self) -> bool {
        self.sender.is_open()
    }

    /// Returns the number of queued bytes that were not handed to the operating system yet.
    #[doc(alias = "bytesWaitingToFlush")]
    pub fn queued_bytes(&self) -> usize {
        self.sender.queued_bytes()
    }

    /// Takes the messages that were queued when the connection was lost and of which no byte was written.
    /// See [`Sender::take_unsent`].
    pub fn take_unsent(&self) -> Vec<Message> {
        self.sender.take_unsent()
    }

    /// Waits until all messages sent so far have been handed to the operating system, so that the
    /// process may exit. See [`Sender::flushed`].
    ///
    /// ```
    /// # async fn example(connection: towline::Connection) -> towline::Result<()> {
    /// connection.send("the last word").await?; // queued
    /// connection.flushed().await; // handed to the operating system
    /// std::process::exit(0);
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: this only waits.
    pub async fn flushed(&self) {
        self.sender.flushed().await;
    }

    /// Splits the connection into its two halves. It stays open as long as either half exists.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// Returns another sender for this connection, for use in another task.
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Receives and drops messages until the connection has ended, and returns how. Unlike
    /// [`close`](Self::close), it does not begin to close.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: messages dropped so far are lost, and the connection stays as it was.
    pub async fn wait_closed(&mut self) -> Closed {
        let mut wait = Wait::new(&self.sender.shared);
        poll_fn(|cx| self.receiver.poll_closed(cx, &mut wait.place)).await
    }
}

/// The connection's own sender, for functions that take either, such as
/// [`Topic::join`](crate::topics::Topic::join).
impl AsRef<Sender> for Connection {
    fn as_ref(&self) -> &Sender {
        &self.sender
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("info", self.info()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn what_is_refused_leaves_no_buffer_behind() {
        let (near, _far) = tokio::io::duplex(1000);
        let connection =
            Connection::from_stream(near, Role::Server, &Config::server(), Bytes::new());
        connection.ping(vec![0; 126]).await.unwrap_err();
        assert!(!connection.shared().lock().session.outbound().has_buffer());
    }
}
