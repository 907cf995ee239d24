//! A mock peer: raw bytes to one connection, and a look at what that says.

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

/// The other end of one connection, which says whatever the test makes it say.
///
/// What it says is decoded at once, and the events are kept for [`events`](Self::events). What
/// the connection has to write stays there, as on a transport that takes nothing, until the peer
/// [`hears`](Self::hears).
#[derive(Debug)]
pub struct Peer {
    connection: Connection,
    role: Role,
    now: Instant,
    events: VecDeque<Event>,
    written: Vec<u8>,
}

impl Peer {
    /// A peer of a connection of this role, with this configuration.
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

    /// The same, with compression as the handshake agreed on it for the connection.
    #[must_use]
    pub fn with_compression(self, compression: Option<&Negotiated>) -> Self {
        Self { connection: self.connection.with_compression(compression), ..self }
    }

    /// A peer of a server with the default configuration: a client.
    pub fn of_server() -> Self {
        Self::new(Role::Server, &Config::server())
    }

    /// A peer of a client with the default configuration: a server.
    pub fn of_client() -> Self {
        Self::new(Role::Client, &Config::client())
    }

    /// The role that the peer plays.
    pub fn role(&self) -> Role {
        match self.role {
            Role::Server => Role::Client,
            Role::Client => Role::Server,
        }
    }

    /// The connection's session.
    pub fn session(&mut self) -> &mut Session {
        self.connection.session()
    }

    /// What time it is.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Lets time pass, in one step. What is due is done.
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.connection.session().handle_timeout(self.now);
    }

    /// Lets time pass until the connection has something to do, and has it done. Returns how long
    /// that was, or `None` where the connection waits for nothing.
    pub fn pass_to_deadline(&mut self) -> Option<Duration> {
        let deadline = self.connection.session().poll_timeout()?;
        let time = deadline.saturating_duration_since(self.now);
        self.pass(time);
        Some(time)
    }

    /// Says a frame, masked as this peer's frames are to be.
    pub fn says(&mut self, frame: FrameBytes) {
        let role = self.role();
        self.says_bytes(&frame.by(role).bytes());
    }

    /// Says frames, all in one read.
    pub fn says_all(&mut self, frames: impl IntoIterator<Item = FrameBytes>) {
        let role = self.role();
        let frames = frames.into_iter().map(|frame| frame.by(role));
        self.says_bytes(&crate::frame::join(frames));
    }

    /// Says these bytes as they are.
    pub fn says_bytes(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        self.events.extend(received(&mut self.connection, self.now, Input::new(&mut bytes)));
    }

    /// Says these bytes one by one, each in a read of its own.
    pub fn says_bytewise(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.says_bytes(&[*byte]);
        }
    }

    /// What the connection has received since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    /// All frames that the connection writes, now that it can.
    ///
    /// # Panics
    ///
    /// Where it writes what is no frame, or one that is masked where it must not be, or the other
    /// way about.
    pub fn hears(&mut self) -> Vec<Heard> {
        self.takes(usize::MAX);
        self.heard()
    }

    /// Takes at most so many bytes of what the connection has to write. Returns how many it took.
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

    /// The frames that were taken whole and have not been asked for yet.
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

    /// Hears a close frame and nothing else.
    ///
    /// # Panics
    ///
    /// Where it is something else.
    pub fn hears_close(&mut self) -> CloseFrame {
        let heard = self.hears();
        let [frame] = heard.as_slice() else { panic!("a close frame alone, not {heard:?}") };
        frame.close()
    }

    /// Ends the transport.
    pub fn ends(&mut self) {
        self.connection.session().handle_transport_end();
    }

    /// What the connection wants to become of the transport.
    pub fn transport(&mut self) -> TransportFate {
        self.connection.session().poll_transport()
    }

    /// What the connection holds the peer's fault to be, if it has found one.
    pub fn fault(&mut self) -> Option<Fault> {
        use towline_proto::CloseCause::{LimitExceeded, Violation};
        match self.connection.session().outcome()?.cause() {
            Violation(violation) => Some(violation.into()),
            LimitExceeded(limit) => Some(limit.into()),
            _ => None,
        }
    }

    /// How the connection ended.
    ///
    /// # Panics
    ///
    /// Where it has not.
    pub fn closed(&mut self) -> Closed {
        self.connection.session().closed().expect("the connection is over").clone()
    }
}
