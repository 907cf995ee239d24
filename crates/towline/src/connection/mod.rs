//! An established connection: one type for both ends.
//!
//! [`Connection`] is a [`Sender`] and a [`Receiver`] in one. What they share is in `shared`; what
//! moves bytes is in `driver`.

mod buffers;

mod event;

mod when_full;

mod info;

mod sync;

mod work;

mod timekeeper;

mod unsent;

mod waiting;

mod writer;

mod shared;

mod driver;

mod sender;

mod receiver;

mod futures;

use std::fmt;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::Uri;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::time::Instant;
use towline_proto::handshake::{Extension, Version};
use towline_proto::{
    CloseCode, Closed, Config, Frame, Inbound, Message, Outgoing, Role, Session, Text,
};

pub use event::Event;
pub use info::Info;
pub(crate) use info::Requested;
pub use receiver::Receiver;
pub use sender::Sender;
pub use when_full::WhenFull;

use crate::connection::driver::Reader;
use crate::connection::shared::Wait;
use crate::connection::writer::Receiving;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::transport::{AnyStream, Io, TlsInfo};

pub(crate) use driver::Delivered;
pub(crate) use sender::close_frame;
pub(crate) use shared::{Observer, Shared};
pub(crate) use timekeeper::Timekeeper;
pub(crate) use work::Work;

/// An established connection, of a server or of a client: after the handshake, the two are the
/// same.
///
/// - Receive with [`recv`](Self::recv), send with [`send`](Self::send), end with
///   [`close`](Self::close). Pings are answered and keepalive runs without being asked for.
/// - [`split`](Self::split) makes a [`Sender`], which many tasks can share, and a [`Receiver`].
/// - It is a `Stream` of messages and a `Sink` for them as well, for those who live in `futures`.
///
/// All of its futures can be dropped at any time without anything being lost.
///
/// The program may take minutes between receiving and sending. Keepalive pings go on, and the peer's
/// pings are answered within ten seconds though nobody receives, unless they lie behind more than
/// 16 KiB, or behind more than four messages of a burst that was read in one go. A close frame of the
/// peer's, and its messages, wait until the program receives.
///
/// Dropped without a close, it is closed with 1001 in the background; dropped by a panic, with 1011.
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
    // First to be dropped: what abandons the connection is the receiver's drop.
    sender: Sender,
    receiver: Receiver,
    response: Option<Box<Answered>>,
}

/// What only a client's connection has of the handshake.
pub(crate) struct Answered {
    /// Where it was made, without user and password.
    pub(crate) url: Option<Uri>,
    /// The proxy that it goes through, without user and password.
    pub(crate) proxy: Option<String>,
    pub(crate) response: http::Response<()>,
}

/// What a connection is made of once the handshake is done.
pub(crate) struct Established {
    pub(crate) stream: AnyStream,
    /// What came behind the handshake, in the same packet.
    pub(crate) early: Vec<u8>,
    pub(crate) info: Info,
    pub(crate) response: Option<Box<Answered>>,
}

/// A number that no other connection of this process has.
pub(crate) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Connection {
    /// A connection on a stream whose opening handshake was done elsewhere, without extensions.
    ///
    /// `early` is what was read behind the handshake, and belongs to the connection: leave none
    /// out.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without time.
    pub fn from_stream(stream: impl Io, role: Role, config: &Config, early: Bytes) -> Self {
        let stream = AnyStream::new(stream);
        let peer_addr = stream.peer_addr();
        let info = Info {
            id: next_id(),
            role,
            protocol: None,
            compression: None,
            version: Version::default(),
            remote_address: peer_addr.map(|address| address.ip()),
            peer_addr,
            tls: stream.tls(),
            request: None,
        };
        let established = Established { stream, early: early.into(), info, response: None };
        Self::establish(established, config, None)
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

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.sender.shared
    }

    /// Receives a message; `None` is the end after a clean close.
    ///
    /// Pings and pongs are dealt with and passed over. Where
    /// [`assemble_fragments`](Config::assemble_fragments) is off, so are frames: use
    /// [`next_event`](Self::next_event).
    ///
    /// # Errors
    ///
    /// What ended the connection, if it was no clean close: a violation or an excess of the peer,
    /// its silence, the loss of the transport. It is the same ever after.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing that was received is lost.
    #[doc(alias("message", "onmessage"))]
    pub fn recv(&mut self) -> impl Future<Output = Result<Option<Message>>> {
        self.receiver.recv()
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
    #[doc(alias = "frame")]
    pub fn next_event(&mut self) -> impl Future<Output = Result<Option<Event>>> {
        self.receiver.next_event()
    }

    /// Queues a message, and returns when it is queued: [`flushed`](Self::flushed) makes sure that
    /// it has left. It waits while there is no room. See [`Sender::send`].
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a message is queued whole or, if this is dropped while it waits for room, not
    /// at all.
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

    /// Queues a message if there is room for it now, and returns: [`flushed`](Self::flushed) makes
    /// sure that it has left. See [`Sender::try_send`].
    ///
    /// # Errors
    ///
    /// As [`Sender::try_send`].
    pub fn try_send<'m>(&self, message: impl Into<Outgoing<'m>>) -> Result<()> {
        self.sender.try_send(message)
    }

    /// Sends a frame made by hand, see [`Sender::send_frame`].
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

    /// Sends a pong that answers no ping, see [`Sender::pong`].
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

    /// Closes: what was sent so far is written, then a close frame with this code and reason, and
    /// the peer's answer is awaited for as long as the
    /// [`close_timeout`](Config::close_timeout) says.
    ///
    /// [`CloseCode::NO_STATUS`] and an empty reason make a close frame without a code.
    ///
    /// Returns how it ended, which may be differently: the peer may have closed first, or be gone.
    /// Messages that come before the peer's close frame are dropped; to have them, use
    /// [`start_close`](Self::start_close) and receive until the end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSend`] for a code that must not be sent
    /// or a reason of more than 123 bytes. Nothing has happened then.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: closing has begun when this is first polled, and ends at the latest with the
    /// close timeout, whatever becomes of this future.
    pub async fn close(&mut self, code: CloseCode, reason: impl AsRef<str>) -> Result<Closed> {
        // One that is closing already ends as it will.
        let frame = close_frame(code, reason.as_ref())?;
        let _ = self.shared().close(frame);
        Ok(self.wait_closed().await)
    }

    /// Begins to close, as [`close`](Self::close) does, and returns. Go on receiving until the
    /// end.
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close), and [`ErrorKind::Closed`] if the connection is closing already.
    pub fn start_close(&self, code: CloseCode, reason: impl AsRef<str>) -> Result<()> {
        self.sender.start_close(code, reason)
    }

    /// Ends the connection at once, see [`Sender::abort`]. WebSocket-Node's default for the code
    /// is [`CloseCode::PROTOCOL_ERROR`].
    #[doc(alias = "drop")]
    pub fn abort(&self, code: CloseCode, reason: impl AsRef<str>) {
        self.sender.abort(code, reason);
    }

    /// How the connection ended: who began, what was sent and received, and why. `None` while it
    /// has not.
    #[doc(alias("closeReasonCode", "closeDescription"))]
    pub fn closed(&self) -> Option<Closed> {
        self.sender.closed()
    }

    /// Whether messages can be sent: no close frame was sent or received, and the transport holds.
    #[doc(alias = "connected")]
    pub fn is_open(&self) -> bool {
        self.sender.is_open()
    }

    /// How many bytes are queued and not handed to the operating system yet.
    #[doc(alias = "bytesWaitingToFlush")]
    pub fn queued_bytes(&self) -> usize {
        self.sender.queued_bytes()
    }

    /// Waits until everything that was sent so far has been handed to the operating system, so that
    /// the process may end. See [`Sender::flushed`].
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
    /// Cancel safe: it only waits.
    pub async fn flushed(&self) {
        self.sender.flushed().await;
    }

    /// The two halves. The connection lives as long as either.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// A sender beside this connection, for another task.
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// What the handshake agreed on, and who the peer is.
    pub fn info(&self) -> &Info {
        self.sender.info()
    }

    /// Which connection this is: no two of this process have the same number.
    pub fn id(&self) -> u64 {
        self.info().id
    }

    /// Which end this is.
    pub fn role(&self) -> Role {
        self.info().role
    }

    /// What the request asked for: the path and the query, `/chat?room=7`, on both ends. Empty where
    /// the handshake was [done elsewhere](Self::from_stream).
    #[doc(alias = "resource_name")]
    pub fn resource(&self) -> &str {
        self.info().resource()
    }

    /// The path of what was asked for: `/chat`.
    pub fn path(&self) -> &str {
        self.info().path()
    }

    /// The query of what was asked for, without the question mark: `room=7`.
    pub fn query(&self) -> Option<&str> {
        self.info().query()
    }

    /// The program's own data, by type: who the user is, say. Each part of the connection has it, in
    /// its `info().data()`; so do the server's [events](crate::ServerEvent).
    ///
    /// A server puts it into the request, see [`Request::data_mut`](crate::Request::data_mut), and a
    /// client into the extensions of what it gives to
    /// [`connect_request`](crate::Client::connect_request). From then on it can't be replaced: what is
    /// to change goes there as an `Arc<Mutex<_>>` or its like. A connection without data takes no
    /// memory for it.
    ///
    /// These are not the [extensions](Self::extensions) of the protocol.
    pub fn data(&self) -> &http::Extensions {
        self.info().data()
    }

    /// The subprotocol that was agreed on, in the client's spelling. WebSocket-Node has it in lower
    /// case; here, compare it with [`eq_ignore_ascii_case`](str::eq_ignore_ascii_case).
    pub fn protocol(&self) -> Option<&str> {
        self.info().protocol.as_deref()
    }

    /// The extensions that were agreed on, as the server's answer says it: with compression, one;
    /// else none.
    pub fn extensions(&self) -> Vec<Extension> {
        self.info().extensions()
    }

    /// The version of the protocol.
    #[doc(alias("webSocketVersion", "websocketVersion"))]
    pub fn version(&self) -> Version {
        self.info().version
    }

    /// The peer's address. Of a client behind proxies that are trusted, it is what those say; the
    /// other end of the transport is [`peer_addr`](Self::peer_addr).
    #[doc(alias = "remoteAddress")]
    pub fn remote_address(&self) -> Option<IpAddr> {
        self.info().remote_address
    }

    /// The address at the other end of the transport.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.info().peer_addr
    }

    /// The TCP socket, if the connection is on one, with TLS of this library's or without, and
    /// something can still be received. It is for its options: what is read from it or written to it
    /// breaks the connection.
    #[doc(alias = "socket")]
    pub fn tcp_stream(&self) -> Option<&TcpStream> {
        self.receiver.tcp_stream()
    }

    /// The Unix socket, if the connection is on one and something can still be received.
    #[cfg(unix)]
    #[doc(alias = "socket")]
    pub fn unix_stream(&self) -> Option<&UnixStream> {
        self.receiver.unix_stream()
    }

    /// Whether the connection is over TLS of this library's. A TLS stream of another's is a stream
    /// like any.
    pub fn is_secure(&self) -> bool {
        self.tls().is_some()
    }

    /// What the TLS handshake agreed on, and the peer's certificates, if the connection
    /// [is secure](Self::is_secure).
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.info().tls.as_deref()
    }

    /// What the server answered to the handshake, on a client's connection.
    pub fn response(&self) -> Option<&http::Response<()>> {
        self.response.as_deref().map(|answered| &answered.response)
    }

    /// The URL that a client's connection was made to: the one that was asked for, or where
    /// [redirects](crate::Client::follow_redirects) led. Its scheme is `ws` or `wss`; a user and a
    /// password are left out.
    pub fn url(&self) -> Option<&Uri> {
        self.response.as_deref().and_then(|answered| answered.url.as_ref())
    }

    /// The proxy that a client's connection goes through, as its URL: `http://proxy.example:3128`. A
    /// user and a password are left out.
    pub fn proxy(&self) -> Option<&str> {
        self.response.as_deref().and_then(|answered| answered.proxy.as_deref())
    }

    /// Receives and drops until the end of the connection, whoever brings it about, and tells how
    /// it came. It is what [`close`](Self::close) does, without closing.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what has been dropped by then is gone, the connection is as it was.
    pub async fn wait_closed(&mut self) -> Closed {
        let mut wait = Wait::new(&self.sender.shared);
        poll_fn(|cx| self.receiver.poll_closed(cx, &mut wait.place)).await
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
