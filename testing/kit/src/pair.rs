//! Both ends of a connection, on a simulated transport and virtual time.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use bytes::Buf;
use towline_proto::{Closed, Config, Connection, Input, Negotiated, Role, Session, TransportFate};

use crate::clock::start;
use crate::event::{Event, received};
use crate::negotiate::negotiate;

/// The capacity of the transport in each direction, in bytes.
const CAPACITY: usize = 64 << 10;

/// A client and a server, and the transport between them.
///
/// [`run`](Self::run) moves bytes until none can be moved, and [`pass`](Self::pass) advances time.
/// Nothing else does.
///
/// ```
/// use towline_kit::{Pair, event};
/// use towline_proto::{Message, Role};
///
/// let mut pair = Pair::default();
/// pair.session(Role::Client).send(Message::text("ahoy")).unwrap();
/// pair.run();
/// assert_eq!(pair.events(Role::Server), [event::text("ahoy")]);
/// ```
#[derive(Debug)]
pub struct Pair {
    client: End,
    server: End,
    now: Instant,
    chunks: Vec<usize>,
    next_chunk: usize,
}

/// One end, with the transport's direction towards it.
#[derive(Debug)]
struct End {
    connection: Connection,
    events: Vec<Event>,
    /// Bytes written by the other end, and not yet read by this one.
    unread: VecDeque<u8>,
    reads: bool,
    /// Whether the other end has shut down its write side.
    is_last: bool,
    /// Whether this end has read that, or has dropped the transport.
    is_over: bool,
}

impl End {
    fn new(role: Role, config: &Config, compression: Option<&Negotiated>, now: Instant) -> Self {
        Self {
            connection: Connection::new(role, config, now).with_compression(compression),
            events: Vec::new(),
            unread: VecDeque::new(),
            reads: true,
            is_last: false,
            is_over: false,
        }
    }

    /// Reads at most `count` bytes. Returns whether there was anything to read.
    fn read(&mut self, now: Instant, count: usize) -> bool {
        if self.is_over || !self.reads {
            return false;
        }
        let mut bytes: Vec<u8> = self.unread.drain(..count.min(self.unread.len())).collect();
        let came = !bytes.is_empty();
        self.events.extend(received(&mut self.connection, now, Input::new(&mut bytes)));
        if !came && self.is_last {
            self.is_over = true;
            self.connection.session().handle_transport_end();
        }
        came || self.is_over
    }

    /// Applies a command to the transport. Returns whether this end writes no more.
    fn follow_transport(&mut self) -> bool {
        match self.connection.session().poll_transport() {
            TransportFate::ShutDown => true,
            TransportFate::Close => {
                if !self.is_over {
                    self.is_over = true;
                    self.connection.session().handle_transport_end();
                }
                true
            }
            _ => false,
        }
    }
}

/// Writes pending bytes, as far as the transport has room.
fn write(from: &mut End, to: &mut End, mut chunk: impl FnMut() -> usize) -> bool {
    let mut wrote = false;
    while to.unread.len() < CAPACITY
        && let Some(out) = from.connection.session().poll_transmit()
    {
        let part = out.chunk().len().min(chunk()).min(CAPACITY - to.unread.len());
        // Bytes written to a dropped transport are lost.
        if !to.is_over && !to.is_last {
            to.unread.extend(&out.chunk()[..part]);
        }
        out.advance(part);
        wrote = true;
    }
    from.connection.session().outbound().reclaim_buffer();
    wrote
}

impl Default for Pair {
    fn default() -> Self {
        Self::new(&Config::client(), &Config::server())
    }
}

impl Pair {
    /// Creates a client and a server with these configurations, after the opening handshake,
    /// including the compression that it negotiates.
    pub fn new(client: &Config, server: &Config) -> Self {
        let now = start();
        let [at_client, at_server] = negotiate(client, server);
        Self {
            client: End::new(Role::Client, client, at_client.as_ref(), now),
            server: End::new(Role::Server, server, at_server.as_ref(), now),
            now,
            chunks: vec![usize::MAX],
            next_chunk: 0,
        }
    }

    /// Sets the sizes of the pieces in which bytes move, used in turn.
    ///
    /// # Panics
    ///
    /// Panics if there is none, or one of them is zero.
    #[must_use]
    pub fn in_chunks(mut self, sizes: impl Into<Vec<usize>>) -> Self {
        self.chunks = sizes.into();
        assert!(!self.chunks.is_empty() && !self.chunks.contains(&0), "{:?}", self.chunks);
        self
    }

    /// Returns the session of one end.
    pub fn session(&mut self, role: Role) -> &mut Session {
        self.end(role).connection.session()
    }

    /// Returns the current virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Returns the events that an end has received since the last call.
    pub fn events(&mut self, role: Role) -> Vec<Event> {
        std::mem::take(&mut self.end(role).events)
    }

    /// Returns how an end's connection ended.
    ///
    /// # Panics
    ///
    /// Panics if it has not ended.
    pub fn closed(&mut self, role: Role) -> Closed {
        self.session(role).closed().expect("the connection is over").clone()
    }

    /// Returns whether both connections have ended.
    pub fn is_over(&mut self) -> bool {
        [Role::Client, Role::Server].iter().all(|role| self.session(*role).closed().is_some())
    }

    /// Moves bytes until none can be moved.
    pub fn run(&mut self) {
        while self.step() {}
    }

    /// Stops reading at one end. The transport holds up to 64 KiB more towards it.
    pub fn stop_reading(&mut self, role: Role) {
        self.end(role).reads = false;
    }

    /// Resumes reading at one end.
    pub fn resume_reading(&mut self, role: Role) {
        self.end(role).reads = true;
    }

    /// Closes the transport at both ends. Bytes in transit are lost.
    pub fn cut(&mut self) {
        self.drop_transport(|session| session.handle_transport_end());
    }

    /// Makes the transport fail at both ends. Bytes in transit are lost.
    pub fn fail(&mut self, kind: io::ErrorKind) {
        self.drop_transport(|session| session.handle_transport_error(kind));
    }

    /// Advances time, and handles every deadline on the way at its time.
    ///
    /// # Panics
    ///
    /// Panics if a deadline recurs forever without time advancing.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.run();
        let mut standing_still = 0;
        while let Some(deadline) = self.deadline().filter(|deadline| *deadline <= end) {
            standing_still = if deadline > self.now { 0 } else { standing_still + 1 };
            assert!(standing_still < 1_000, "something is due over and over");
            self.now = self.now.max(deadline);
            let now = self.now;
            for role in [Role::Client, Role::Server] {
                let session = self.session(role);
                if session.poll_timeout().is_some_and(|deadline| deadline <= now) {
                    session.handle_timeout(now);
                }
            }
            self.run();
        }
        self.now = end;
    }

    /// Advances time to the next deadline of either end, and handles it. Returns the time passed, or
    /// `None` if there is no deadline.
    pub fn pass_to_deadline(&mut self) -> Option<Duration> {
        let time = self.deadline()?.saturating_duration_since(self.now);
        self.pass(time);
        Some(time)
    }

    fn deadline(&mut self) -> Option<Instant> {
        let client = self.client.connection.session().poll_timeout();
        let server = self.server.connection.session().poll_timeout();
        client.into_iter().chain(server).min()
    }

    fn end(&mut self, role: Role) -> &mut End {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    fn step(&mut self) -> bool {
        let (sizes, next) = (&self.chunks, &mut self.next_chunk);
        let mut chunk = || {
            *next = (*next + 1) % sizes.len();
            sizes[*next]
        };
        let (client, server) = (&mut self.client, &mut self.server);
        let mut moved = write(client, server, &mut chunk) | write(server, client, &mut chunk);
        server.is_last |= client.follow_transport();
        client.is_last |= server.follow_transport();
        moved |= server.read(self.now, chunk());
        moved |= client.read(self.now, chunk());
        moved
    }

    fn drop_transport(&mut self, tell: impl Fn(&mut Session)) {
        for end in [&mut self.client, &mut self.server] {
            end.unread.clear();
            end.is_over = true;
            end.is_last = true;
            tell(end.connection.session());
        }
    }
}
