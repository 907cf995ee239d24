//! One client: its socket, and how far it is.

use std::io::{self, ErrorKind, Write as _};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use towline_proto::handshake::{
    Accept, HeadLimits, Mechanism, Offer, OriginPolicy, encode_response, parse_request,
};
use towline_proto::{Config, Connection, Incoming, ReadBuffer, Role, TransportFate};

/// How long a client may take until its request is complete, and its answer taken.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a client is read in one turn. Then it is the others' turn.
const READS: usize = 16;

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buffer: ReadBuffer,
    state: State,
}

enum State {
    /// The request is incomplete.
    Requesting {
        until: Instant,
    },
    /// The answer is being written. Then follows the connection, or the end if there is none.
    Answering {
        until: Instant,
        answer: Vec<u8>,
        written: usize,
        then: Option<Box<Connection>>,
    },
    Connected(Box<Connection>),
}

/// What to do with a client after its turn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Wait for its socket, or for the deadline.
    Wait,
    /// It can go on at once, after the others.
    Again,
    /// It has ended.
    Drop,
}

impl Client {
    pub(crate) fn new(stream: TcpStream, now: Instant) -> Self {
        let state = State::Requesting { until: now + HANDSHAKE_TIMEOUT };
        Self { stream, buffer: ReadBuffer::new(), state }
    }

    /// When the client has its turn even if its socket is silent.
    pub(crate) fn deadline(&mut self) -> Option<Instant> {
        match &mut self.state {
            State::Requesting { until } | State::Answering { until, .. } => Some(*until),
            State::Connected(connection) => connection.session().poll_timeout(),
        }
    }

    /// Does what can be done now, and never waits. An error ends this client, and no other.
    pub(crate) fn advance(&mut self, now: Instant) -> io::Result<Next> {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            match &mut self.state {
                State::Connected(connection) => {
                    if !self.buffer.is_empty() {
                        // A peer whose bytes are not read yet is not silent.
                        connection.session().handle_unread(now);
                    }
                    connection.session().handle_timeout(now);
                }
                _ => return Ok(Next::Drop),
            }
        }
        if matches!(self.state, State::Requesting { .. }) && !self.request(now)? {
            return Ok(Next::Wait);
        }
        if matches!(self.state, State::Answering { .. }) {
            match self.answer()? {
                Next::Again => {}
                next => return Ok(next),
            }
        }
        self.converse(now)
    }

    /// Reads the request, and decides on it. Returns whether it was complete.
    fn request(&mut self, now: Instant) -> io::Result<bool> {
        let limits = HeadLimits::default();
        let request = loop {
            match parse_request(self.buffer.unread(), &limits).map_err(io::Error::other)? {
                Some((request, length)) => {
                    self.buffer.consume(length);
                    break request;
                }
                None => match self.buffer.read_from(&mut self.stream) {
                    Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                    Err(error) => return Err(error),
                },
            }
        };
        let accepted = Offer::from_request(&request).and_then(|offer| {
            let accepted = offer.accept(&Accept::new(), &OriginPolicy::SameOrigin);
            accepted.map_err(|error| error.rejection())
        });
        let mut answer = Vec::new();
        let then = match accepted {
            Ok((response, _agreed)) => {
                encode_response(&response, &mut answer);
                Some(Box::new(Connection::new(Role::Server, &Config::server(), now)))
            }
            Err(rejection) => {
                let response = rejection.response(Mechanism::Http1Upgrade);
                encode_response(&response, &mut answer);
                answer.extend_from_slice(response.body());
                None
            }
        };
        let until = now + HANDSHAKE_TIMEOUT;
        self.state = State::Answering { until, answer, written: 0, then };
        Ok(true)
    }

    /// Writes the answer, and returns [`Next::Again`] when the connection stands.
    fn answer(&mut self) -> io::Result<Next> {
        let State::Answering { answer, written, then, .. } = &mut self.state else {
            return Ok(Next::Again);
        };
        while *written < answer.len() {
            match self.stream.write(&answer[*written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => *written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Next::Wait),
                Err(error) => return Err(error),
            }
        }
        let Some(connection) = then.take() else { return Ok(Next::Drop) };
        self.state = State::Connected(connection);
        Ok(Next::Again)
    }

    /// Handles what was received, writes, reads, and again, until the socket has no more or the turn is
    /// over.
    fn converse(&mut self, now: Instant) -> io::Result<Next> {
        let State::Connected(connection) = &mut self.state else { return Ok(Next::Wait) };
        for _ in 0..READS {
            let wants_more = echo(connection, now, &mut self.buffer);

            // Everything that these messages are answered with leaves together.
            let is_written = match connection.write_to(now, &mut self.stream) {
                Ok(TransportFate::Open) => true,
                Ok(TransportFate::ShutDown) => {
                    // All is said. What the peer still sends is read, and dropped.
                    let _ = self.stream.shutdown(Shutdown::Write);
                    true
                }
                // `Close`: the connection has ended.
                Ok(_) => return Ok(Next::Drop),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => {
                    // The peer does not read. From now on the time runs until it is given up.
                    connection.session().handle_full(now);
                    false
                }
            };
            if !wants_more {
                // The queue was full. If it is written, go on with what was received. Otherwise wait, and
                // read nothing: a client that does not read its echoes can't fill the memory.
                if is_written { continue } else { return Ok(Next::Wait) }
            }
            match connection.read_from(&mut self.stream, &mut self.buffer) {
                // The end as well: the session knows of it, and says in the next round what to do.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    // Nothing more for now. The beginning of a frame moves from the buffer to the decoder.
                    self.buffer.settle();
                    echo(connection, now, &mut self.buffer);
                    if self.buffer.is_empty() {
                        // A client that is silent keeps no buffer.
                        drop(self.buffer.take());
                    }
                    return Ok(Next::Wait);
                }
            }
        }
        Ok(Next::Again)
    }
}

/// The program: every message is sent back. Returns `false` if it stopped because the queue is full.
fn echo(connection: &mut Connection, now: Instant, buffer: &mut ReadBuffer) -> bool {
    let mut input = buffer.input();
    loop {
        if connection.session().is_full() {
            return false;
        }
        match connection.poll(now, &mut input) {
            // A close frame or a fault is answered by the session. Then there is only the end.
            Incoming::More | Incoming::End => return true,
            incoming => {
                if let Some(message) = incoming.into_message() {
                    // Refused once the connection is closing.
                    let _ = connection.session().send(message);
                }
            }
        }
    }
}
