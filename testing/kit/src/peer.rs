//! A mock peer, which sends raw bytes to one connection and reads its answer.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Buf;
use towline_proto::{
    CloseFrame, Closed, Config, Connection, Fault, Input, Negotiated, Role, Session, TransportFate,
};

use crate::clock::start;
use crate::event::{Event, received};
use crate::frame::FrameBytes;
use crate::heard::Heard;

/// The other end of one connection, which sends whatever bytes the test passes.
///
/// The connection decodes them at once, and the events are kept for [`events`](Self::events). The
/// connection's output stays in it, as on a transport without room, until the peer
/// [`hears`](Self::hears) it.
#[derive(Debug)]
pub struct Peer {
    connection: Connection,
    role: Role,
    now: Instant,
    events: VecDeque<Event>,
    written: Vec<u8>,
}

impl Peer {
    /// Creates a peer of a connection with this role and this configuration.
    pub fn new(role: Role, config: &Config) -> Self {
        let now = start();
        Self {
            connection: Connection::new(role, config, now),
            role,
            now,
            events: VecDeque::new(),
            written: Vec::new(),
        }
    }

    /// Creates the same, with the compression that the handshake negotiated for the connection.
    #[must_use]
    pub fn with_compression(self, compression: Option<&Negotiated>) -> Self {
        Self { connection: self.connection.with_compression(compression), ..self }
    }

    /// Creates a client, the peer of a server with the default configuration.
    pub fn of_server() -> Self {
        Self::new(Role::Server, &Config::server())
    }

    /// Creates a server, the peer of a client with the default configuration.
    pub fn of_client() -> Self {
        Self::new(Role::Client, &Config::client())
    }

    /// Returns the role of the peer.
    pub fn role(&self) -> Role {
        match self.role {
            Role::Server => Role::Client,
            Role::Client => Role::Server,
        }
    }

    /// Returns the connection's session.
    pub fn session(&mut self) -> &mut Session {
        self.connection.session()
    }

    /// Returns the current virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Advances time in one step, and handles the deadlines that are due.
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.connection.session().handle_timeout(self.now);
    }

    /// Advances time to the next deadline of the connection, and handles it. Returns the time passed,
    /// or `None` if there is no deadline.
    pub fn pass_to_deadline(&mut self) -> Option<Duration> {
        let deadline = self.connection.session().poll_timeout()?;
        let time = deadline.saturating_duration_since(self.now);
        self.pass(time);
        Some(time)
    }

    /// Sends a frame, masked as the role of this peer requires.
    pub fn says(&mut self, frame: FrameBytes) {
        let role = self.role();
        self.says_bytes(&frame.by(role).bytes());
    }

    /// Sends frames, all in one read.
    pub fn says_all(&mut self, frames: impl IntoIterator<Item = FrameBytes>) {
        let role = self.role();
        let frames = frames.into_iter().map(|frame| frame.by(role));
        self.says_bytes(&crate::frame::join(frames));
    }

    /// Sends these bytes as they are.
    pub fn says_bytes(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        self.events.extend(received(&mut self.connection, self.now, Input::new(&mut bytes)));
    }

    /// Sends these bytes one by one, each in a separate read.
    pub fn says_bytewise(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.says_bytes(&[*byte]);
        }
    }

    /// Returns the events that the connection has received since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    /// Reads all output of the connection, and returns its frames.
    ///
    /// # Panics
    ///
    /// Panics if the output is not frames, or is masked by a server or unmasked by a client.
    pub fn hears(&mut self) -> Vec<Heard> {
        self.takes(usize::MAX);
        self.heard()
    }

    /// Reads at most this many bytes of the connection's output. Returns how many it read.
    pub fn takes(&mut self, most: usize) -> usize {
        let mut left = most;
        while left > 0
            && let Some(out) = self.connection.session().poll_transmit()
        {
            let part = out.chunk().len().min(left);
            self.written.extend_from_slice(&out.chunk()[..part]);
            out.advance(part);
            out.handle_flushed();
            left -= part;
        }
        most - left
    }

    /// Returns the frames that were read completely and not returned yet.
    ///
    /// # Panics
    ///
    /// As [`hears`](Self::hears).
    pub fn heard(&mut self) -> Vec<Heard> {
        let mut all = Vec::new();
        let mut at = 0;
        while let Some((heard, len)) = Heard::first_of(&self.written[at..]) {
            assert_eq!(heard.header.mask.is_some(), self.role.masks(), "{heard:?}");
            all.push(heard);
            at += len;
        }
        self.written.drain(..at);
        all
    }

    /// Reads a close frame and nothing else, and returns its code and reason.
    ///
    /// # Panics
    ///
    /// Panics if the output is anything else.
    pub fn hears_close(&mut self) -> CloseFrame {
        let heard = self.hears();
        let [frame] = heard.as_slice() else { panic!("a close frame alone, not {heard:?}") };
        frame.close()
    }

    /// Ends the transport.
    pub fn ends(&mut self) {
        self.connection.session().handle_transport_end();
    }

    /// Returns what the connection wants to do with the transport.
    pub fn transport(&mut self) -> TransportFate {
        self.connection.session().poll_transport()
    }

    /// Returns the peer's fault, if the connection has found one.
    pub fn fault(&mut self) -> Option<Fault> {
        use towline_proto::CloseCause::{LimitExceeded, Violation};
        match self.connection.session().outcome()?.cause() {
            Violation(violation) => Some(violation.into()),
            LimitExceeded(limit) => Some(limit.into()),
            _ => None,
        }
    }

    /// Returns how the connection ended.
    ///
    /// # Panics
    ///
    /// Panics if it has not ended.
    pub fn closed(&mut self) -> Closed {
        self.connection.session().closed().expect("the connection is over").clone()
    }
}
