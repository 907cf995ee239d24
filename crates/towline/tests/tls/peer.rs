//! A peer that is rustls's own, with its buffered interface: it has nothing in common with what is
//! tested here but the cryptography.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use rustls::{RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use towline::{Io, Role};

use crate::certificates::{Authority, Signed};

/// A session of the peer's.
pub(crate) struct Peer {
    pub(crate) session: Connection,
    /// Whether it has heard a close_notify.
    pub(crate) is_closed: bool,
}

/// Both versions of TLS.
pub(crate) static VERSIONS: [&[&SupportedProtocolVersion]; 2] =
    [&[&rustls::version::TLS12], &[&rustls::version::TLS13]];

pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// What a server of rustls's own goes by.
pub(crate) fn server_config(
    signed: &Signed,
    versions: &[&'static SupportedProtocolVersion],
) -> ServerConfig {
    server_config_for(WebPkiClientVerifier::no_client_auth(), signed, versions)
}

/// The same, for clients that this accepts.
pub(crate) fn server_config_for(
    clients: Arc<dyn ClientCertVerifier>,
    signed: &Signed,
    versions: &[&'static SupportedProtocolVersion],
) -> ServerConfig {
    let chain = CertificateDer::pem_slice_iter(signed.chain.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap();
    ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap()
}

/// The first certificate of a PEM text.
pub(crate) fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

/// A store of this root alone.
pub(crate) fn roots(authority: &Authority) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(der(&authority.pem).into()).unwrap();
    roots
}

/// What a client of rustls's own goes by.
pub(crate) fn client_config(
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots(authority))
        .with_no_client_auth()
}

impl Peer {
    pub(crate) fn server(config: ServerConfig) -> Self {
        Self::new(ServerConnection::new(Arc::new(config)).unwrap())
    }

    pub(crate) fn client(config: ClientConfig) -> Self {
        let name = "localhost".try_into().unwrap();
        Self::new(ClientConnection::new(Arc::new(config), name).unwrap())
    }

    fn new(session: impl Into<Connection>) -> Self {
        let mut session = session.into();
        session.set_buffer_limit(None);
        Self { session, is_closed: false }
    }

    /// The role that it plays.
    pub(crate) fn role(&self) -> Role {
        match self.session {
            Connection::Client(_) => Role::Client,
            Connection::Server(_) => Role::Server,
        }
    }

    /// Takes this in, and gives what was in it.
    pub(crate) fn hears(&mut self, mut ciphertext: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let mut plaintext = Vec::new();
        loop {
            let count = self.session.read_tls(&mut ciphertext).unwrap();
            self.is_closed |= self.session.process_new_packets()?.peer_has_closed();
            // It says "not yet" where the rest has not come.
            let _ = self.session.reader().read_to_end(&mut plaintext);
            if count == 0 || ciphertext.is_empty() {
                return Ok(plaintext);
            }
        }
    }

    /// What it has to say, this included.
    pub(crate) fn says(&mut self, plaintext: &[u8]) -> Vec<u8> {
        self.session.writer().write_all(plaintext).unwrap();
        let mut ciphertext = Vec::new();
        while self.session.wants_write() {
            self.session.write_tls(&mut ciphertext).unwrap();
        }
        ciphertext
    }

    /// The end of what it has to say.
    pub(crate) fn ends(&mut self) -> Vec<u8> {
        self.session.send_close_notify();
        self.says(&[])
    }
}

/// Plays the peer's part on a stream: says this, piece by piece, with fresh keys for each where
/// `updates`, and gives what it has heard until both ends have said that nothing more comes.
pub(crate) async fn plays(
    mut peer: Peer,
    stream: impl Io,
    pieces: Vec<Vec<u8>>,
    updates: bool,
) -> Vec<u8> {
    let (mut read, mut write) = tokio::io::split(stream);
    let (mut heard, mut pieces, mut has_ended) = (Vec::new(), pieces.into_iter(), false);
    let mut says = Vec::new();
    let mut room = [0; 4096];
    loop {
        if says.is_empty() && !peer.session.is_handshaking() && !has_ended {
            match pieces.next() {
                Some(piece) => {
                    if updates {
                        peer.session.refresh_traffic_keys().unwrap();
                    }
                    says = peer.says(&piece);
                }
                None => {
                    says = peer.ends();
                    has_ended = true;
                }
            }
        }
        says.extend(peer.says(&[]));
        if says.is_empty() && has_ended && peer.is_closed {
            write.shutdown().await.unwrap();
            return heard;
        }
        tokio::select! {
            count = read.read(&mut room), if !peer.is_closed => {
                let count = count.unwrap();
                assert!(count > 0, "the end, and no close_notify");
                heard.extend(peer.hears(&room[..count]).unwrap());
            }
            count = write.write(&says), if !says.is_empty() => {
                says.drain(..count.unwrap());
            }
        }
    }
}
