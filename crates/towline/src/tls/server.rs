//! TLS for servers.

#[cfg(feature = "rustls-0_23")]
mod rustls_0_23;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ProducesTickets, ServerSessionMemoryCache, StoresServerSessions, UnbufferedServerConnection,
    WebPkiClientVerifier,
};
use tokio::io::AsyncWriteExt as _;
use towline_proto::Role;

use crate::error::{Error, ErrorKind, Result};
use crate::tls::explain::explain;
use crate::tls::files::Files;
use crate::tls::handshake::{Failure, handshake, linger};
use crate::tls::pem::{self, Identity};
use crate::tls::provider;
use crate::tls::session::Session;
use crate::tls::stream::Stream;
use crate::transport::secure::Securing;
use crate::transport::{AnyStream, Io, SecureServer, TlsStream};

/// How many sessions are kept for resumption, if tickets are not available.
const SESSIONS: usize = 4096;

/// The answer to a client that speaks plain HTTP.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain\r\nContent-Length: 62\r\nConnection: close\r\n\r\n\
    This port speaks TLS: use https:// or wss://, not http or ws.\n";

/// TLS options of a server: its certificate, and whether clients need one. For
/// [`ServerBuilder::tls`](crate::ServerBuilder::tls).
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use towline::{Server, TlsServer};
///
/// let tls = TlsServer::from_pem_files("chain.pem", "key.pem")?;
/// let server = Server::builder().tls(tls.clone()).bind("0.0.0.0:443").await?;
/// // Later, when the files have been renewed:
/// tls.reload()?;
/// # Ok(()) }
/// ```
///
/// It supports TLS 1.3 and 1.2. By ALPN (RFC 7301), it selects `http/1.1`, or also `h2` on a hyper
/// server. A client without ALPN is accepted.
///
/// Clones share the same configuration. [Reloading](Self::reload) affects new handshakes only, not
/// established connections.
#[derive(Clone)]
pub struct TlsServer(Arc<Inner>);

struct Inner {
    /// The configuration of new handshakes. Each takes a snapshot.
    now: RwLock<Arc<Configs>>,
    files: Option<Files>,
    /// Locked during a reload, so that concurrent reloads do not undo each other. `None` for a
    /// configuration of rustls.
    parts: Option<Mutex<Parts>>,
}

/// The parts of a configuration, from which a reload creates the next one.
#[derive(Clone)]
struct Parts {
    identity: Identity,
    clients: Option<(Vec<CertificateDer<'static>>, ClientAuth)>,
    /// These are kept when the certificate is reloaded, so that sessions can be resumed. They are
    /// replaced when the accepted clients change: a client is not verified again when it resumes.
    ticketer: Option<Arc<dyn ProducesTickets>>,
    sessions: Arc<dyn StoresServerSessions>,
}

/// One configuration for each set of ALPN protocols.
struct Configs {
    http1: Arc<ServerConfig>,
    http2: Arc<ServerConfig>,
}

/// Whether a client has to send a certificate.
///
/// [`TlsServer`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientAuth {
    /// A certificate is optional. One that is not valid is still refused.
    Optional,
    /// A certificate is required.
    Required,
}

impl TlsServer {
    /// Creates TLS from a PEM text with the certificate chain, the server's own first, and one with
    /// the private key in PKCS #8, PKCS #1 or SEC 1. Both can be the same text.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidTls`] if a part is missing or not valid, or if the certificate and the
    /// key don't match. [`ErrorKind::TlsUnavailable`] if there is no provider of cryptography.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self> {
        Self::new(Parts::of(Identity::from_pem(chain, key)?), None)
    }

    /// Creates TLS from PEM files, see [`from_pem`](Self::from_pem). [`reload`](Self::reload) reads
    /// them again. Blocks while it reads.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem), and [`ErrorKind::InvalidTls`] if a file can't be read.
    pub fn from_pem_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self> {
        let files = Files { chain: chain.as_ref().to_owned(), key: key.as_ref().to_owned() };
        let parts = Parts::of(files.read(false)?);
        Self::new(parts, Some(files.clone())).map_err(|error| files.named_in(error))
    }

    /// Creates TLS from DER, see [`from_pem`](Self::from_pem).
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem).
    pub fn from_der<C: Into<Vec<u8>>>(
        chain: impl IntoIterator<Item = C>,
        key: impl Into<Vec<u8>>,
    ) -> Result<Self> {
        Self::new(Parts::of(Identity::from_der(chain, key.into())?), None)
    }

    fn new(parts: Parts, files: Option<Files>) -> Result<Self> {
        let now = RwLock::new(Arc::new(parts.configs()?));
        Ok(Self(Arc::new(Inner { now, files, parts: Some(Mutex::new(parts)) })))
    }

    /// Returns TLS with the same certificate that verifies client certificates against these roots,
    /// given as a PEM text. A client's chain is in
    /// [`TlsInfo::peer_certificates`](crate::TlsInfo::peer_certificates). Default: clients are not
    /// asked for a certificate. `self` and its clones do not change.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidTls`] if the text contains no certificate or an invalid one, or if
    /// `self` was made from a configuration of rustls.
    pub fn client_roots_pem(&self, roots: &[u8], auth: ClientAuth) -> Result<Self> {
        let identity = self.parts()?.identity.clone();
        let clients = Some((pem::certificates(roots)?, auth));
        Self::new(Parts { clients, ..Parts::of(identity) }, self.0.files.clone())
    }

    /// Reads the files again, for new handshakes. Earlier sessions can still be resumed.
    ///
    /// Blocks while it reads the files.
    ///
    /// # Errors
    ///
    /// As [`from_pem_files`](Self::from_pem_files), and [`ErrorKind::InvalidTls`] if `self` was not
    /// made from files, or if one of them, after following links, is not a regular file: reading a
    /// pipe again could block forever. After an error, the configuration does not change.
    pub fn reload(&self) -> Result<()> {
        let Some(files) = &self.0.files else {
            return Err(pem::invalid(
                "there is nothing to reload: the certificate was not read from files",
            ));
        };
        self.exchange(files.read(true)?).map_err(|error| files.named_in(error))
    }

    /// Replaces the certificate for new handshakes, see [`from_pem`](Self::from_pem).
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem), and [`ErrorKind::InvalidTls`] if `self` was made from a
    /// configuration of rustls. After an error, the configuration does not change.
    pub fn reload_pem(&self, chain: &[u8], key: &[u8]) -> Result<()> {
        self.exchange(Identity::from_pem(chain, key)?)
    }

    fn exchange(&self, identity: Identity) -> Result<()> {
        let mut parts = self.parts()?;
        let changed = Parts { identity, ..parts.clone() };
        let configs = changed.configs()?;
        *parts = changed;
        self.put(configs);
        Ok(())
    }

    fn parts(&self) -> Result<MutexGuard<'_, Parts>> {
        match &self.0.parts {
            Some(parts) => Ok(parts.lock().unwrap_or_else(PoisonError::into_inner)),
            None => Err(pem::invalid("a configuration of rustls can only be changed there")),
        }
    }

    fn put(&self, configs: Configs) {
        *self.0.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(configs);
    }

    /// Performs a TLS handshake on a stream of a client. Continue with
    /// [`ServerHandle::serve`](crate::ServerHandle::serve), or with a hyper server for HTTP/1.1.
    ///
    /// A server with [`ServerBuilder::tls`](crate::ServerBuilder::tls) does this for the
    /// connections that it accepts. This has no timeout.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotTls`]: the client does not speak TLS. If it speaks plain HTTP, it was sent
    ///   a 400 response.
    /// - [`ErrorKind::ClientCertificate`]: the client sent no certificate, but one is required.
    /// - [`ErrorKind::CertificateExpired`],
    ///   [`CertificateUntrusted`](ErrorKind::CertificateUntrusted),
    ///   [`CertificateInvalid`](ErrorKind::CertificateInvalid): the client's certificate is not
    ///   accepted.
    /// - [`ErrorKind::RequestGone`]: the client disconnected before it sent anything, as a port
    ///   scan or a health check does.
    /// - [`ErrorKind::ConnectionLost`]: the stream ended or failed in the middle of the handshake.
    /// - [`ErrorKind::NoApplicationProtocol`]: the client offers no protocol of this server by ALPN.
    ///   [`ErrorKind::Tls`]: the handshake failed in another way.
    ///
    /// # Cancel safety
    ///
    /// If this future is dropped, the stream is dropped with it.
    pub async fn accept(&self, stream: impl Io) -> Result<TlsStream> {
        let stream = self.handshake(AnyStream::new(stream), |configs| &configs.http1).await?;
        Ok(TlsStream(Arc::new(stream)))
    }

    /// As [`accept`](Self::accept), but also selects `h2` by ALPN if the client offers it.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Cancel safety
    ///
    /// If this future is dropped, the stream is dropped with it.
    pub async fn accept_http2(&self, stream: impl Io) -> Result<TlsStream> {
        let stream = self.handshake(AnyStream::new(stream), |configs| &configs.http2).await?;
        Ok(TlsStream(Arc::new(stream)))
    }

    async fn handshake(
        &self,
        stream: AnyStream,
        choose: fn(&Configs) -> &Arc<ServerConfig>,
    ) -> Result<Stream> {
        let configs = self.0.now.read().unwrap_or_else(PoisonError::into_inner).clone();
        let session = UnbufferedServerConnection::new(choose(&configs).clone())
            .map_err(|error| explain(Role::Server, "a client", error))?;
        drop(configs);
        match handshake(stream, Session::Server(session)).await {
            Ok(stream) => Ok(stream),
            Err(failure) => Err(failed(failure).await),
        }
    }
}

impl SecureServer for TlsServer {
    fn secure(&self, stream: AnyStream) -> Securing<'_> {
        Box::pin(async move {
            let stream = self.handshake(stream, |configs| &configs.http1).await?;
            Ok(AnyStream::Duplex(Arc::new(stream)))
        })
    }
}

async fn failed(failure: Failure) -> Error {
    match failure {
        Failure::Tls(error) | Failure::NothingToShow(error) => {
            explain(Role::Server, "a client", error)
        }
        Failure::Http(mut stream) => {
            // Errors are ignored: the handshake has failed anyway.
            let _ = stream.write_all(PLAIN_HTTP).await;
            let _ = stream.flush().await;
            let _ = stream.shutdown().await;
            linger(&mut stream).await;
            Error::new(ErrorKind::NotTls, "TLS with a client: it speaks plain HTTP")
        }
        Failure::Ended => Error::new(
            ErrorKind::ConnectionLost,
            "TLS with a client: it closed the connection during the TLS handshake",
        ),
        Failure::Gone => Error::new(
            ErrorKind::RequestGone,
            "TLS with a client: it closed the connection before it sent anything",
        ),
        Failure::Io(error) => Error::new(
            ErrorKind::ConnectionLost,
            format!("TLS with a client: the TLS handshake broke off: {error}"),
        )
        .with_source(error),
    }
}

impl Parts {
    /// The parts for this certificate, without client certificates.
    fn of(identity: Identity) -> Self {
        let sessions = ServerSessionMemoryCache::new(SESSIONS);
        Self { identity, clients: None, ticketer: provider::ticketer(), sessions }
    }

    fn configs(&self) -> Result<Configs> {
        let Identity { chain, key } = self.identity.clone();
        let provider = provider::choose()?;
        pem::check_key(&key, &provider)?;
        let clients = self.client_verifier()?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| {
                Error::new(
                    ErrorKind::TlsUnavailable,
                    format!(
                        "the provider of cryptography does not support TLS 1.2 and 1.3: {error}"
                    ),
                )
                .with_source(error)
            })?
            .with_client_cert_verifier(clients);
        let mut config = config.with_single_cert(chain, key).map_err(|error| {
            let why = match &error {
                rustls::Error::InconsistentKeys(_) => {
                    "the certificate and the private key don't match".to_owned()
                }
                error => format!("the certificate can't be used: {error}"),
            };
            pem::invalid(why).with_source(error)
        })?;
        if let Some(ticketer) = &self.ticketer {
            config.ticketer = ticketer.clone();
        }
        config.session_storage = self.sessions.clone();
        Ok(Configs::of(&config))
    }

    fn client_verifier(&self) -> Result<Arc<dyn ClientCertVerifier>> {
        let Some((roots, auth)) = &self.clients else {
            return Ok(WebPkiClientVerifier::no_client_auth());
        };
        let roots = Arc::new(pem::root_store(roots)?);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider::choose()?);
        let builder = match auth {
            ClientAuth::Optional => builder.allow_unauthenticated(),
            ClientAuth::Required => builder,
        };
        builder.build().map_err(|error| {
            pem::invalid(format!("the roots for client certificates can't be used: {error}"))
                .with_source(error)
        })
    }
}

impl Configs {
    fn of(config: &ServerConfig) -> Self {
        let with = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            // An attacker can replay data that is sent before the handshake is done.
            config.max_early_data_size = 0;
            config.send_half_rtt_data = false;
            Arc::new(config)
        };
        Self { http1: with(&[b"http/1.1"]), http2: with(&[b"h2", b"http/1.1"]) }
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer").field("files", &self.0.files).finish_non_exhaustive()
    }
}
