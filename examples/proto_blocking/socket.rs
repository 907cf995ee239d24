//! A host: what `towline-proto` needs around it on a blocking socket. There is a clock, a socket and a
//! buffer, and nothing about the protocol.

use std::io::{self, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use towline_proto::handshake::{
    Accept, Connect, HeadLimits, Mechanism, Offer, OriginPolicy, encode_request, encode_response,
    parse_request, parse_response, read_head,
};
use towline_proto::{Config, Connection, Incoming, ReadBuffer, Role, TransportFate};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How long a read or a write of the handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// One end of a connection: the protocol, the socket, and its read buffer.
pub(crate) struct Socket {
    pub(crate) connection: Connection,
    stream: TcpStream,
    buffer: ReadBuffer,
}

impl Socket {
    /// Opens a connection to `ws://address/`.
    pub(crate) fn connect(address: &str) -> Result<Self> {
        let opening = Connect::new().open(&format!("ws://{address}/").parse()?)?;
        let (mut stream, mut buffer) = (TcpStream::connect(address)?, ReadBuffer::new());
        let (mut head, limits) = (Vec::new(), HeadLimits::default());
        set_timeouts(&stream)?;
        encode_request(opening.request(), &mut head);
        stream.write_all(&head)?;
        opening.verify(&read_head(&mut stream, &mut buffer, &limits, parse_response)?)?;
        let connection = Connection::new(Role::Client, &Config::client(), Instant::now());
        Ok(Self { connection, stream, buffer })
    }

    /// Accepts a connected client.
    pub(crate) fn accept(mut stream: TcpStream) -> Result<Self> {
        let (mut buffer, mut head, limits) = (ReadBuffer::new(), Vec::new(), HeadLimits::default());
        set_timeouts(&stream)?;
        let request = read_head(&mut stream, &mut buffer, &limits, parse_request)?;
        let answer = Offer::from_request(&request).and_then(|offer| {
            let accepted = offer.accept(&Accept::new(), &OriginPolicy::SameOrigin);
            accepted.map_err(|error| error.rejection())
        });
        match answer {
            Ok((response, _agreed)) => encode_response(&response, &mut head),
            Err(rejection) => {
                let response = rejection.response(Mechanism::Http1Upgrade);
                encode_response(&response, &mut head);
                head.extend_from_slice(response.body());
                stream.write_all(&head)?;
                return Err(rejection.into());
            }
        }
        stream.write_all(&head)?;
        let connection = Connection::new(Role::Server, &Config::server(), Instant::now());
        Ok(Self { connection, stream, buffer })
    }

    /// Receives the next message, or `None` at the end. Writes queued messages before it waits.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Incoming<'static>>> {
        while self.connection.session().closed().is_none() {
            match self.connection.poll(Instant::now(), &mut self.buffer.input()) {
                Incoming::More | Incoming::Fault(_) | Incoming::End => self.write_and_read()?,
                incoming => return Ok(Some(incoming.into_owned())),
            }
        }
        Ok(None)
    }

    /// One turn of the loop: write what is queued, then read, at most until the next deadline.
    fn write_and_read(&mut self) -> io::Result<()> {
        match self.connection.write_to(Instant::now(), &mut self.stream)? {
            TransportFate::Open => {}
            // All is said. What the peer still sends is read, or its last bytes and ours could be lost.
            TransportFate::ShutDown => self.stream.shutdown(Shutdown::Write).unwrap_or(()),
            _ => {
                self.connection.session().handle_transport_end();
                return self.stream.shutdown(Shutdown::Both).or(Ok(()));
            }
        }
        self.stream.set_read_timeout(self.connection.read_timeout(Instant::now()))?;
        if self.connection.read_from(&mut self.stream, &mut self.buffer).is_err() {
            // Nothing came until the deadline: time to send a ping, or to give the peer up.
            self.connection.session().handle_timeout(Instant::now());
        }
        Ok(())
    }
}

/// A peer that does not read or write must not hold the thread for ever.
fn set_timeouts(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(HANDSHAKE_TIMEOUT))?;
    stream.set_write_timeout(Some(HANDSHAKE_TIMEOUT))
}
