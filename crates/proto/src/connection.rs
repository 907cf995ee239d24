//! One end of a connection: decoder and session together.

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
use crate::stats::Stats;

/// How many slices are written at once, at most.
const SLICES: usize = 64;

/// One end of a connection, without I/O.
///
/// For a host that owns both directions of a connection. Received bytes go in, with the time.
/// Messages, bytes to write and the next deadline come out. On a blocking stream, use
/// [`read_from`](Self::read_from) and [`write_to`](Self::write_to). Otherwise:
///
/// ```
/// use std::time::Instant;
/// use bytes::Buf;
/// use towline_proto::{Config, Connection, Incoming, Input, Role, TransportFate};
///
/// /// Handles received bytes: here, echoes the messages.
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
    /// Whether bytes were read that the session does not know of.
    has_read: bool,
}

impl Connection {
    /// Creates a connection after the opening handshake.
    pub fn new(role: Role, config: &Config, now: Instant) -> Self {
        let (inbound, session) = (Inbound::new(role, config), Session::new(role, config, now));
        Self { inbound, session, has_read: false }
    }

    /// Sets the compression that the handshake negotiated.
    #[must_use]
    pub fn with_compression(self, compression: Option<&Negotiated>) -> Self {
        Self {
            inbound: self.inbound.with_compression(compression),
            session: self.session.with_compression(compression),
            has_read: self.has_read,
        }
    }

    /// Returns the next item in `input`, already handled: pings and close frames are answered, and
    /// a fault of the peer closes the connection.
    ///
    /// After a close frame or a fault, returns only [`Incoming::End`]: go on writing and reading
    /// until [`Session::closed`] returns the end.
    pub fn poll<'b>(&mut self, now: Instant, input: &mut Input<'b>) -> Incoming<'b> {
        // The beginning of a frame may be old.
        let before = input.len();
        if std::mem::take(&mut self.has_read) {
            self.session.handle_received(now);
        }
        if !self.session.is_receiving() {
            input.discard();
            return Incoming::End;
        }
        let incoming = self.inbound.poll(input);
        if !matches!(incoming, Incoming::Text(_) | Incoming::Binary(_)) {
            self.session.handle_counts(self.inbound.take_counts());
        }
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

    /// Reads once from a blocking stream. Returns whether bytes were read. The session is told of
    /// the end of the stream and of errors.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`] or [`TimedOut`] if the stream has no bytes yet, and [`Interrupted`] if the
    /// read must be repeated.
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
            Ok(count) => {
                self.inbound.handle_read(count);
                self.has_read = true;
                return Ok(true);
            }
            Err(error) if is_passing(&error) => return Err(error),
            Err(error) => self.session.handle_transport_error(error.kind()),
        }
        Ok(false)
    }

    /// Returns how long a read may wait: until the next deadline, when [`Session::handle_timeout`]
    /// must be called. Never zero, which sockets reject.
    pub fn read_timeout(&self, now: Instant) -> Option<Duration> {
        let deadline = self.session.poll_timeout()?;
        Some(deadline.saturating_duration_since(now).max(Duration::from_millis(1)))
    }

    /// Writes the queued bytes to a blocking stream, and returns what to do with the stream. The
    /// session is told of errors. Streams that can write several slices at once, as sockets can, are given
    /// headers and payloads together.
    ///
    /// # Errors
    ///
    /// See [`read_from`](Self::read_from). Bytes that have been written are not written again.
    pub fn write_to(
        &mut self,
        now: Instant,
        stream: &mut impl io::Write,
    ) -> io::Result<TransportFate> {
        while let Some(out) = self.session.poll_transmit() {
            let mut slices = [io::IoSlice::new(&[]); SLICES];
            let used = out.chunks_vectored(&mut slices);
            match stream.write_vectored(&slices[..used]) {
                Ok(0) => self.session.handle_write_error(now, io::ErrorKind::WriteZero),
                Ok(count) => out.advance(count),
                Err(error) if is_passing(&error) => return Err(error),
                Err(error) => self.session.handle_write_error(now, error.kind()),
            }
        }
        self.session.outbound().reclaim_buffer();
        Ok(self.session.poll_transport())
    }

    /// Counts bytes that were not read by [`read_from`](Self::read_from), for
    /// [`stats`](Self::stats).
    pub fn handle_read(&mut self, count: usize) {
        self.inbound.handle_read(count);
    }

    /// Returns what was sent and received until `now`.
    pub fn stats(&mut self, now: Instant) -> Stats {
        self.session.handle_counts(self.inbound.take_counts());
        self.session.stats(now)
    }

    /// Returns the session, for sending, closing and keepalive.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Splits the connection, for a host that receives and sends independently.
    pub fn into_parts(self) -> (Inbound, Session) {
        (self.inbound, self.session)
    }
}

/// Returns whether the stream can still be used after this error.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}
