//! The byte stream of a connection: a TCP socket, or TLS on it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};

use crate::session::{Session, Tls};

/// A blocking connection, with small reads and writes. A conversation does not use it.
pub(crate) struct Link {
    stream: TcpStream,
    secure: Option<Box<Secure>>,
}

struct Secure {
    session: Session,
    /// Decrypted bytes that are not read yet.
    ahead: Vec<u8>,
}

impl Link {
    pub(crate) fn plain(stream: TcpStream) -> Self {
        Self { stream, secure: None }
    }

    /// Sends the first message of the TLS handshake.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub(crate) fn begin(stream: TcpStream, tls: &Tls) -> Result<Self> {
        let secure = Secure { session: tls.begin()?, ahead: Vec::new() };
        let mut link = Self { stream, secure: Some(Box::new(secure)) };
        link.write_outgoing().context("cannot begin with TLS")?;
        Ok(link)
    }

    /// Waits until the TLS handshake is done, with TLS. Its last message may be sent with the next write.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub(crate) fn secure(&mut self) -> Result<()> {
        while self.secure.as_ref().is_some_and(|secure| secure.session.is_handshaking()) {
            self.write_outgoing().context("cannot go on with TLS")?;
            self.receive().context("no TLS")?;
        }
        Ok(())
    }

    /// Returns whether the TLS session was resumed.
    pub(crate) fn is_resumed(&self) -> bool {
        self.secure.as_ref().is_some_and(|secure| secure.session.is_resumed())
    }

    /// Returns whether received bytes are unread.
    pub(crate) fn has_unread(&self) -> bool {
        self.secure.as_ref().is_some_and(|secure| !secure.ahead.is_empty())
    }

    /// Returns the socket, and the TLS session if any, for non-blocking use.
    ///
    /// # Errors
    ///
    /// If received bytes are unread.
    pub(crate) fn take_apart(self) -> Result<(TcpStream, Option<Session>)> {
        ensure!(!self.has_unread(), "the server sent something unasked");
        Ok((self.stream, self.secure.map(|secure| secure.session)))
    }

    fn write_outgoing(&mut self) -> io::Result<()> {
        let Some(secure) = &mut self.secure else { return Ok(()) };
        let outgoing = secure.session.outgoing();
        self.stream.write_all(outgoing)?;
        let count = outgoing.len();
        secure.session.wrote(count);
        Ok(())
    }

    /// Reads once.
    fn receive(&mut self) -> io::Result<()> {
        let Some(secure) = &mut self.secure else { return Ok(()) };
        let Secure { session, ahead } = &mut **secure;
        let mut buffer = [0; 32 << 10];
        let kept = session.kept();
        let read = self.stream.read(&mut buffer[kept..])?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let received = session.receive(&mut buffer[..kept + read], |plaintext| {
            ahead.extend_from_slice(plaintext);
            Ok(())
        });
        received.map_err(|error| io::Error::other(format!("{error:#}")))
    }
}

impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.secure.is_none() {
            return self.stream.read(buffer);
        }
        loop {
            if let Some(Secure { ahead, .. }) = self.secure.as_deref_mut()
                && !ahead.is_empty()
            {
                let count = ahead.len().min(buffer.len());
                buffer[..count].copy_from_slice(&ahead[..count]);
                ahead.drain(..count);
                return Ok(count);
            }
            self.receive()?;
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(secure) = &mut self.secure else { return self.stream.write(bytes) };
        secure.session.send(bytes).map_err(|error| io::Error::other(format!("{error:#}")))?;
        self.write_outgoing()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::thread;

    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use rustls::crypto::ring;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::*;

    /// Echoes one message on each of two connections.
    fn serve(listener: &TcpListener, size: usize) -> Result<()> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".into()])?;
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).map_err(io::Error::other)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)?;
        config.ticketer = ring::Ticketer::new()?;
        let config = Arc::new(config);
        for _ in 0..2 {
            let connection = ServerConnection::new(config.clone())?;
            let mut stream = StreamOwned::new(connection, listener.accept()?.0);
            let mut message = vec![0; size];
            stream.read_exact(&mut message)?;
            stream.write_all(&message)?;
            stream.flush()?;
        }
        Ok(())
    }

    #[test]
    fn a_session_is_new_until_tickets_are_used() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        // Several records, the last one incomplete.
        let message: Vec<u8> = (0..100_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let size = message.len();
        let server = thread::spawn(move || serve(&listener, size));
        let tls = Tls::new().expect("a provider");
        for is_resumed in [false, true] {
            let stream = TcpStream::connect(address).expect("a server");
            let mut link = Link::begin(stream, &tls).expect("a first message");
            link.secure().expect("a session");
            link.write_all(&message).expect("a server");
            let mut reply = vec![0; size];
            link.read_exact(&mut reply).expect("a reply");
            assert!(reply == message, "a reply differs");
            assert_eq!(link.is_resumed(), is_resumed);
            assert!(!link.has_unread());
            tls.resume();
        }
        server.join().expect("no panic").expect("two echoes");
    }
}
