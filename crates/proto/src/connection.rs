//! One end of a connection, whole: decoder and session together.

use std::io;
use std::time::{Duration, Instant};

use bytes::Buf as _;

use crate::closing::TransportFate;
use crate::compression::Negotiated;
use crate::config::Config;
use crate::inbound::Inbound;
use crate::incoming::{Incoming, Input};
use crate::read_buffer::{ReadBuffer, read};
use crate::role::Role;
use crate::session::Session;

/// One end of a connection, without I/O.
///
/// It is for a host that owns a connection alone. Received bytes go in, with the time; what they
/// mean comes out, and what is to be written, and when to come back. On a stream that blocks,
/// [`read_from`](Self::read_from) and [`write_to`](Self::write_to) are the rest. Elsewhere:
///
/// ```
/// use std::time::Instant;
/// use bytes::Buf;
/// use towline_proto::{Config, Connection, Incoming, Input, Role, TransportFate};
///
/// /// What a host does whenever bytes have come: here, it echoes.
/// fn on_bytes(connection: &mut Connection, bytes: &mut [u8], socket: &mut Vec<u8>, now: Instant) {
///     let mut input = Input::new(bytes);
///     loop {
///         let incoming = connection.poll(now, &mut input);
///         if let Some(message) = incoming.as_message() {
///             connection.session().send(message).ok();
///         } else if matches!(incoming, Incoming::More | Incoming::End) {
///             break;
///         }
///     }
///     while let Some(out) = connection.session().poll_transmit() {
///         let written = out.chunk().len();
///         socket.extend_from_slice(out.chunk());
///         out.advance(written);
///     }
///     if connection.session().poll_transport() == TransportFate::Close {
///         // close the socket, then: connection.session().handle_transport_end()
///     }
///     // and at connection.session().poll_timeout(): connection.session().handle_timeout(then)
/// }
/// # let now = Instant::now();
/// # let mut connection = Connection::new(Role::Client, &Config::client(), now);
/// # let mut socket = Vec::new();
/// # on_bytes(&mut connection, &mut [0x81, 2, b'h', b'i'], &mut socket, now);
/// # assert_eq!(socket.len(), 8);
/// ```
#[derive(Debug)]
pub struct Connection {
    inbound: Inbound,
    session: Session,
    /// Whether something was read that the session does not know of.
    has_read: bool,
}

impl Connection {
    /// A connection whose opening handshake is done.
    pub fn new(role: Role, config: &Config, now: Instant) -> Self {
        let (inbound, session) = (Inbound::new(role, config), Session::new(role, config, now));
        Self { inbound, session, has_read: false }
    }

    /// The same, with compression as the handshake agreed on it.
    #[must_use]
    pub fn with_compression(self, compression: Option<&Negotiated>) -> Self {
        Self {
            inbound: self.inbound.with_compression(compression),
            session: self.session.with_compression(compression),
            has_read: self.has_read,
        }
    }

    /// What comes next in `input`. What there is to be done about it has been: a ping is answered,
    /// a close frame too, and a fault of the peer closes the connection.
    ///
    /// After a close frame or a fault, [`Incoming::End`] is all that comes: go on writing and
    /// reading until [`Session::closed`] says that it is over.
    pub fn poll<'b>(&mut self, now: Instant, input: &mut Input<'b>) -> Incoming<'b> {
        // The beginning of a frame may have lain there for long.
        let before = input.len();
        if std::mem::take(&mut self.has_read) {
            self.session.handle_received(now);
        }
        if !self.session.is_receiving() {
            input.discard();
            return Incoming::End;
        }
        let incoming = self.inbound.poll(input);
        if input.len() < before {
            self.session.handle_received(now);
        }
        match self.session.handle_incoming(now, &incoming) {
            Ok(()) => incoming,
            Err(fault) => {
                input.discard();
                Incoming::Fault(fault)
            }
        }
    }

    /// Reads once from a blocking stream, to where the next of the input belongs. Returns whether
    /// something was read; the end of the stream, or its failure, has been told to the session.
    ///
    /// # Errors
    ///
    /// Where the stream has nothing yet ([`WouldBlock`], [`TimedOut`]) or the read is to be done
    /// again ([`Interrupted`]).
    ///
    /// [`WouldBlock`]: io::ErrorKind::WouldBlock
    /// [`TimedOut`]: io::ErrorKind::TimedOut
    /// [`Interrupted`]: io::ErrorKind::Interrupted
    pub fn read_from(
        &mut self,
        stream: &mut impl io::Read,
        buffer: &mut ReadBuffer,
    ) -> io::Result<bool> {
        let result = match self.inbound.payload_room() {
            Some(mut room) => read(stream, &mut room),
            None => buffer.read_from(stream),
        };
        match result {
            Ok(0) => self.session.handle_transport_end(),
            Ok(_) => self.has_read = true,
            Err(error) if is_passing(&error) => return Err(error),
            Err(error) => self.session.handle_transport_error(error.kind()),
        }
        Ok(self.has_read)
    }

    /// How long a read may wait: until the next deadline, of which
    /// [`Session::handle_timeout`] is to be told. It is never zero, which sockets refuse.
    pub fn read_timeout(&self, now: Instant) -> Option<Duration> {
        let deadline = self.session.poll_timeout()?;
        Some(deadline.saturating_duration_since(now).max(Duration::from_millis(1)))
    }

    /// Writes to a blocking stream what there is to be written, and says what becomes of the stream
    /// then. A failure to write is told to the session.
    ///
    /// # Errors
    ///
    /// As those of [`read_from`](Self::read_from). What has been written is not written again.
    pub fn write_to(
        &mut self,
        now: Instant,
        stream: &mut impl io::Write,
    ) -> io::Result<TransportFate> {
        while let Some(out) = self.session.poll_transmit() {
            match stream.write(out.chunk()) {
                Ok(0) => self.session.handle_write_error(now, io::ErrorKind::WriteZero),
                Ok(count) => out.advance(count),
                Err(error) if is_passing(&error) => return Err(error),
                Err(error) => self.session.handle_write_error(now, error.kind()),
            }
        }
        self.session.outbound().reclaim_buffer();
        Ok(self.session.poll_transport())
    }

    /// Sending, closing and keepalive.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// The two apart, for a host whose receiving half is independent of the sending ones.
    pub fn into_parts(self) -> (Inbound, Session) {
        (self.inbound, self.session)
    }
}

/// Whether a stream that said this is as good as before.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}
