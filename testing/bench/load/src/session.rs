//! The client's end of TLS without I/O. It takes and returns ciphertext in pieces of any size.

use std::mem;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
};
use rustls::{ClientConfig, DigitallySignedStruct, Error, HandshakeKind, SignatureScheme};

use crate::tickets::Tickets;

/// The TLS configuration for a server.
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    tickets: Arc<Tickets>,
}

/// One session, from its first message.
pub(crate) struct Session {
    connection: UnbufferedClientConnection,
    /// The bytes of an incomplete record.
    kept: Vec<u8>,
    /// The bytes to write: encrypted data and handshake messages.
    outgoing: Outgoing,
}

/// Ciphertext to write.
#[derive(Default)]
struct Outgoing {
    buffer: Vec<u8>,
    /// The filled length. The content behind it is arbitrary.
    filled: usize,
    written: usize,
}

impl Tls {
    /// Creates a configuration that accepts any certificate.
    ///
    /// # Errors
    ///
    /// If the provider has no protocol in common with itself.
    pub(crate) fn new() -> Result<Self> {
        let tickets = Arc::new(Tickets::default());
        let provider = Arc::new(ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::store(tickets.clone());
        Ok(Self { config: Arc::new(config), tickets })
    }

    /// Makes later sessions resume earlier ones. Before this call each session is new.
    pub(crate) fn resume(&self) {
        self.tickets.open();
    }

    /// # Errors
    ///
    /// If rustls produces no first message.
    pub(crate) fn begin(&self) -> Result<Session> {
        let name = ServerName::try_from("localhost")?;
        let connection = UnbufferedClientConnection::new(self.config.clone(), name)?;
        let mut session = Session { connection, kept: Vec::new(), outgoing: Outgoing::default() };
        session.go_on(&mut [], &mut |_| Ok(()), None)?;
        Ok(session)
    }
}

impl Session {
    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    pub(crate) fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Returns the version and the cipher suite.
    pub(crate) fn about(&self) -> String {
        let version = self.connection.protocol_version();
        let suite = self.connection.negotiated_cipher_suite().map(|suite| suite.suite());
        let name = |known: Option<String>| known.unwrap_or_default();
        format!(
            "{} {}",
            name(version.map(|version| format!("{version:?}"))),
            name(suite.map(|suite| format!("{suite:?}")))
        )
    }

    /// Returns the length of the incomplete record. The next read goes behind it.
    pub(crate) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Takes the bytes read, and passes the decrypted data to `received`. The buffer has room for the
    /// [kept](Self::kept) bytes before them.
    ///
    /// # Errors
    ///
    /// If the bytes are not TLS, or `received` fails.
    pub(crate) fn receive(
        &mut self,
        incoming: &mut [u8],
        mut received: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        incoming[..self.kept.len()].copy_from_slice(&self.kept);
        let taken = self.go_on(incoming, &mut received, None)?;
        self.kept.clear();
        self.kept.extend_from_slice(&incoming[taken..]);
        Ok(())
    }

    /// Encrypts these bytes.
    ///
    /// # Errors
    ///
    /// If the handshake is not done.
    pub(crate) fn send(&mut self, plaintext: &[u8]) -> Result<()> {
        let mut kept = mem::take(&mut self.kept);
        self.go_on(&mut kept, &mut |_| Ok(()), Some(plaintext))?;
        self.kept = kept;
        Ok(())
    }

    /// Returns the bytes to write.
    pub(crate) fn outgoing(&self) -> &[u8] {
        &self.outgoing.buffer[self.outgoing.written..self.outgoing.filled]
    }

    /// Records that this many bytes were written.
    pub(crate) fn wrote(&mut self, count: usize) {
        self.outgoing.written += count;
        if self.outgoing.written == self.outgoing.filled {
            (self.outgoing.written, self.outgoing.filled) = (0, 0);
        }
    }

    /// Runs until the session waits for the server, or has sent the data. Returns how many of the received
    /// bytes are done.
    fn go_on(
        &mut self,
        incoming: &mut [u8],
        received: &mut impl FnMut(&[u8]) -> Result<()>,
        plaintext: Option<&[u8]>,
    ) -> Result<usize> {
        let Self { connection, outgoing, .. } = self;
        let mut taken = 0;
        loop {
            let UnbufferedStatus { mut discard, state } =
                connection.process_tls_records(&mut incoming[taken..]);
            let mut rests = false;
            match state.context("the server speaks no TLS that can be understood")? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        received(record.payload)?;
                    }
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    outgoing.put(|room| match data.encode(room) {
                        Err(EncodeError::InsufficientSize(size)) => Put::TooSmall(size),
                        Err(EncodeError::AlreadyEncoded) => Put::Filled(0),
                        Ok(count) => Put::Filled(count),
                    })?;
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::WriteTraffic(mut traffic) => {
                    if let Some(plaintext) = plaintext {
                        outgoing.put(|room| match traffic.encrypt(plaintext, room) {
                            Err(EncryptError::InsufficientSize(size)) => Put::TooSmall(size),
                            Err(EncryptError::EncryptExhausted) => Put::Exhausted,
                            Ok(count) => Put::Filled(count),
                        })?;
                    }
                    rests = true;
                }
                ConnectionState::BlockedHandshake if plaintext.is_none() => rests = true,
                state => bail!("the session has ended: {state:?}"),
            }
            taken += discard;
            if rests {
                return Ok(taken);
            }
        }
    }
}

enum Put {
    Filled(usize),
    TooSmall(InsufficientSizeError),
    Exhausted,
}

impl Outgoing {
    /// Lets `put` fill the free space, and makes room first if there is too little.
    fn put(&mut self, mut put: impl FnMut(&mut [u8]) -> Put) -> Result<()> {
        loop {
            match put(&mut self.buffer[self.filled..]) {
                Put::Filled(count) => {
                    self.filled += count;
                    return Ok(());
                }
                Put::TooSmall(InsufficientSizeError { required_size }) => {
                    self.buffer.resize(self.filled + required_size, 0);
                }
                Put::Exhausted => bail!("the keys are exhausted"),
            }
        }
    }
}

/// Accepts any certificate, since the benchmark measures cost and has just started the server itself.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
