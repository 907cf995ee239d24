//! Carries the bytes of binary messages to a TCP connection or a Unix socket, and back.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split,
};
use tokio::time::timeout;
use towline::{ByteReader, CloseCode, Connection, Request, Result, Sender};

use crate::quantity::counted;
use crate::quantity::in_words;
use crate::say;
use crate::serve::backend::{Backend, Stream};
use crate::serve::hosts::{self, Hosts};
use crate::serve::modes::agreed;
use crate::serve::modes::visit::{Done, Mode};
use crate::serve::tally::Tally;

/// The subprotocol of websockify's clients, such as noVNC.
const PROTOCOL: &str = "binary";

/// The most bytes of a read from the backend, which become a message.
const READ: usize = 16 << 10;

/// How long a backend may take to end after the client has. Dropping a socket with unread bytes would
/// reset it, and take from the backend what it has not read.
const LINGER: Duration = Duration::from_secs(5);

/// State shared by all connections.
pub(crate) struct Proxy {
    backend: Backend,
    protocols: Vec<String>,
    hosts: Arc<Hosts>,
    connect_timeout: Duration,
    verbose: u8,
    /// A message for each connection.
    up: Tally,
    down: Tally,
}

/// Why a direction has ended.
enum End {
    /// The side that is read has sent all it had.
    Finished,
    /// The client is gone, or has broken a rule.
    Client,
    Backend(io::Error),
}

impl Proxy {
    pub(crate) fn new(
        backend: Backend,
        protocols: Vec<String>,
        hosts: Arc<Hosts>,
        connect_timeout: Duration,
        verbose: u8,
    ) -> Self {
        let protocols = if protocols.is_empty() { vec![PROTOCOL.to_owned()] } else { protocols };
        let (up, down) = (Tally::default(), Tally::default());
        Self { backend, protocols, hosts, connect_timeout, verbose, up, down }
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let connecting = timeout(self.connect_timeout, self.backend.connect());
        connecting.await.unwrap_or_else(|_| {
            let limit = self.connect_timeout;
            let why = format!("no answer within {limit:?} (--connect-timeout)");
            Err(io::Error::new(io::ErrorKind::TimedOut, why))
        })
    }

    /// Carries bytes in both directions until one side has ended.
    async fn carry(&self, stream: Box<dyn Stream>, reader: ByteReader, sender: &Sender) -> Carried {
        let (from_backend, to_backend) = split(stream);
        let (mut sent, mut received) = (0, 0);
        let what = {
            let down = down(from_backend, sender, &mut received);
            let up = up(reader, to_backend, &mut sent);
            tokio::pin!(up, down);
            tokio::select! {
            end = &mut up => {
                // A WebSocket closes in both directions: nothing can be sent to the client any more.
                close_for(sender, &end);
                if matches!(end, End::Finished) {
                    // The end of the bytes has been passed on. Until the backend has read them all, its
                    // own are taken and dropped.
                    let _ = timeout(LINGER, &mut down).await;
                }
                end
            }
            end = &mut down => {
                close_for(sender, &end);
                if matches!(end, End::Finished) {
                    // The client may have sent more before it receives the close frame.
                    let _ = timeout(LINGER, &mut up).await;
                }
                end
            }
            }
        };
        Carried { what, sent, received }
    }
}

/// The result of a connection.
struct Carried {
    what: End,
    sent: u64,
    received: u64,
}

/// From the client to the backend.
async fn up(mut reader: ByteReader, mut backend: impl AsyncWrite + Unpin, sent: &mut u64) -> End {
    loop {
        let bytes = match reader.fill_buf().await {
            Ok([]) => break,
            Ok(bytes) => bytes,
            Err(_) => return End::Client,
        };
        let written = match backend.write(bytes).await {
            Ok(0) => return End::Backend(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(error) => return End::Backend(error),
        };
        reader.consume(written);
        *sent += written as u64;
    }
    match backend.shutdown().await {
        Ok(()) => End::Finished,
        Err(error) => End::Backend(error),
    }
}

/// From the backend to the client. Once the client can't receive, bytes are dropped until the end.
async fn down(mut backend: impl AsyncRead + Unpin, sender: &Sender, received: &mut u64) -> End {
    let mut buffer = vec![0; READ];
    loop {
        let count = match backend.read(&mut buffer).await {
            Ok(0) => return End::Finished,
            Ok(count) => count,
            Err(error) => return End::Backend(error),
        };
        if sender.send(&buffer[..count]).await.is_ok() {
            *received += count as u64;
        }
    }
}

/// Closes with the code for this end. It has no effect on a connection that is closing already.
fn close_for(sender: &Sender, end: &End) {
    let (code, reason) = match end {
        End::Finished => (CloseCode::NORMAL, "the backend has closed its connection"),
        End::Client => return,
        End::Backend(_) => (CloseCode::BAD_GATEWAY, "the connection to the backend is lost"),
    };
    // It fails only if the connection is closed.
    let _ = sender.start_close(code, reason);
}

impl Mode for Proxy {
    type Seat = ();

    async fn accept(&self, request: Request) -> Result<Option<(Connection, ())>> {
        if !self.hosts.admits(&request) {
            hosts::refuse(request).await?;
            return Ok(None);
        }
        Ok(Some((agreed::accept(request, &self.protocols).await?, ())))
    }

    async fn attend(&self, connection: Connection, (): (), peer: &str) -> Done {
        // Only now: what a page of another origin asks for must not reach the backend.
        let stream = match self.connect().await {
            Ok(stream) => stream,
            Err(error) => {
                // The client is told less than the log: the address is none of its business.
                say::note(format_args!("{peer} can't be connected to {}: {error}", self.backend));
                let why = match error.kind() {
                    io::ErrorKind::TimedOut => "the backend does not answer",
                    io::ErrorKind::ConnectionRefused => "the backend refuses the connection",
                    _ => "the backend can't be reached",
                };
                let mut connection = connection;
                let closed = connection.close(CloseCode::BAD_GATEWAY, why).await;
                return Done { what: "no backend".to_owned(), error: closed.err() };
            }
        };
        let (sender, receiver) = connection.split();
        let carried = self.carry(stream, receiver.into_byte_reader(), &sender).await;
        let Carried { what, sent, received } = carried;
        self.up.add(usize::try_from(sent).unwrap_or(usize::MAX));
        self.down.add(usize::try_from(received).unwrap_or(usize::MAX));
        if let (End::Backend(error), true) = (&what, self.verbose > 0) {
            say::note(format_args!("{peer} has lost {}: {error}", self.backend));
        }
        let what = format!("{} sent, {} received", in_words(sent), in_words(received));
        Done { what, error: None }
    }

    fn summary(&self) -> String {
        let connections = counted(self.up.messages(), "connection");
        let (up, down) = (self.up.size(), self.down.size());
        format!("{connections} to {}, {up} sent, {down} received", self.backend)
    }
}
