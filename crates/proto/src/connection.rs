//! One end of a connection, whole: decoder and session together.

use std::time::Instant;

use crate::compression::Negotiated;
use crate::config::Config;
use crate::inbound::Inbound;
use crate::incoming::{Incoming, Input};
use crate::role::Role;
use crate::session::Session;

/// One end of a connection, without I/O.
///
/// It is for a host that owns a connection alone. Received bytes go in, with the time; what they
/// mean comes out, and what is to be written, and when to come back:
///
/// ```
/// use std::time::Instant;
/// use bytes::Buf;
/// use towline_proto::{Config, Connection, Incoming, Input, Role, TransportFate};
///
/// /// What a host does whenever bytes have come: here, it echoes text.
/// fn on_bytes(connection: &mut Connection, bytes: &mut [u8], socket: &mut Vec<u8>, now: Instant) {
///     let mut input = Input::new(bytes);
///     while let Some(incoming) = connection.poll_incoming(now, &mut input) {
///         if let Incoming::Text(text) = incoming {
///             connection.session().send(text).ok();
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
}

impl Connection {
    /// A connection whose opening handshake is done.
    pub fn new(role: Role, config: &Config, now: Instant) -> Self {
        Self { inbound: Inbound::new(role, config), session: Session::new(role, config, now) }
    }

    /// The same, with compression as the handshake agreed on it.
    #[must_use]
    pub fn with_compression(self, compression: Option<&Negotiated>) -> Self {
        let Self { inbound, session } = self;
        Self {
            inbound: inbound.with_compression(compression),
            session: session.with_compression(compression),
        }
    }

    /// What comes next in `input`; `None` when all of it has been consumed.
    ///
    /// A fault of the peer is no error here: it ends what comes in, queues the close frame, and
    /// is told by [`Session::outcome`].
    pub fn poll_incoming<'b>(
        &mut self,
        now: Instant,
        input: &mut Input<'b>,
    ) -> Option<Incoming<'b>> {
        if !input.is_empty() {
            self.session.handle_received(now);
        }
        if !self.session.is_receiving() {
            input.take(usize::MAX);
            return None;
        }
        let decoded = self.inbound.decode(input);
        let incoming = match decoded {
            Ok(incoming) => incoming?,
            Err(fault) => {
                self.session.handle_fault(now, fault);
                input.take(usize::MAX);
                return None;
            }
        };
        match self.session.handle_incoming(now, &incoming) {
            Ok(()) => Some(incoming),
            Err(_) => {
                input.take(usize::MAX);
                None
            }
        }
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
