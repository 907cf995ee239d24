//! A client and an echo server on blocking sockets of the standard library: a complete host.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "a host has a clock")]

use std::io::{self, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Instant;

use towline_proto::handshake::*;
use towline_proto::{Config, Connection, Incoming, ReadBuffer, Role, TransportFate};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

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
        encode_request(opening.request(), &mut head);
        stream.write_all(&head)?;
        opening.verify(&read_head(&mut stream, &mut buffer, &limits, parse_response)?)?;
        let connection = Connection::new(Role::Client, &Config::client(), Instant::now());
        Ok(Self { connection, stream, buffer })
    }

    /// Accepts a connected client.
    pub(crate) fn accept(mut stream: TcpStream) -> Result<Self> {
        let (mut buffer, mut head, limits) = (ReadBuffer::new(), Vec::new(), HeadLimits::default());
        let request = read_head(&mut stream, &mut buffer, &limits, parse_request)?;
        let offer = Offer::from_request(&request)?;
        encode_response(&offer.accept(&Accept::new(), &OriginPolicy::SameOrigin)?.0, &mut head);
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

    fn write_and_read(&mut self) -> io::Result<()> {
        match self.connection.write_to(Instant::now(), &mut self.stream)? {
            TransportFate::Open => {}
            TransportFate::ShutDown => self.stream.shutdown(Shutdown::Write).unwrap_or(()),
            _ => {
                self.connection.session().handle_transport_end();
                return self.stream.shutdown(Shutdown::Both).or(Ok(()));
            }
        }
        self.stream.set_read_timeout(self.connection.read_timeout(Instant::now()))?;
        if self.connection.read_from(&mut self.stream, &mut self.buffer).is_err() {
            self.connection.session().handle_timeout(Instant::now());
        }
        Ok(())
    }
}

/// Echoes the messages of a client.
pub(crate) fn echo(mut socket: Socket) -> Result<Socket> {
    while let Some(incoming) = socket.receive()? {
        if let Some(message) = incoming.into_message() {
            socket.connection.session().send(message)?;
        }
    }
    Ok(socket)
}

fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || echo(Socket::accept(listener.accept()?.0)?));
    let mut client = Socket::connect(&address)?;
    client.connection.session().send("ship ahoy")?;
    println!("{:?}", client.receive()?);
    Ok(())
}
