//! TLS of the server.

#[cfg(feature = "rustls-0_23")]
mod rustls_0_23;

use std::fmt;
use std::path::{Path, PathBuf};
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
use crate::tls::handshake::{Failure, handshake, linger};
use crate::tls::pem::{self, Identity};
use crate::tls::provider;
use crate::tls::session::Session;
use crate::tls::stream::Stream;
use crate::transport::secure::Securing;
use crate::transport::{AnyStream, Io, SecureServer, TlsStream};

/// Sessions that are kept to be resumed, where no tickets can be made.
const SESSIONS: usize = 4096;

/// What a client is told that speaks plain HTTP.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain\r\nContent-Length: 62\r\nConnection: close\r\n\r\n\
    This port speaks TLS: use https:// or wss://, not http or ws.\n";

/// How a server speaks TLS: who it is, and whether its clients have to say who they are. For
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
/// It speaks TLS 1.3 and 1.2, and by ALPN (RFC 7301) `http/1.1`, and `h2` as well on a hyper
/// server. A client that offers nothing is fine.
///
/// A clone is a handle to the same: what is [reloaded](Self::reload) holds for handshakes that begin
/// from then on. Connections go on as they are.
#[derive(Clone)]
pub struct TlsServer(Arc<Inner>);

struct Inner {
    /// What handshakes that begin now go by: one snapshot each.
    now: RwLock<Arc<Configs>>,
    files: Option<(PathBuf, PathBuf)>,
    /// Held while something is exchanged, so that one exchange does not undo another. `None` where
    /// the configuration is one of rustls's.
    parts: Option<Mutex<Parts>>,
}

/// What a configuration is made of, to make the next one of.
#[derive(Clone)]
struct Parts {
    identity: Identity,
    clients: Option<(Vec<CertificateDer<'static>>, ClientAuth)>,
    /// These outlive the exchange of a certificate, so that sessions can be resumed. They do not
    /// outlive a change of who may come: a client is not verified once more when it resumes.
    ticketer: Option<Arc<dyn ProducesTickets>>,
    sessions: Arc<dyn StoresServerSessions>,
}

/// The same for each set of protocols.
struct Configs {
    http1: Arc<ServerConfig>,
    http2: Arc<ServerConfig>,
}

/// Whether a client has to show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientAuth {
    /// It may. One that is not valid is refused all the same.
    Optional,
    /// It must.
    Required,
}

impl TlsServer {
    /// TLS with this certificate: a PEM text with its chain, its own first, and one with its private
    /// key, in PKCS #8, PKCS #1 or SEC 1. Both may be the same text.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidTls`]: a part is missing or not valid, or they don't belong together.
    /// [`ErrorKind::TlsUnavailable`]: no provider of cryptography was compiled in.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self> {
        Self::new(Parts::of(Identity::from_pem(chain, key)?), None)
    }

    /// The same, from files, which [`reload`](Self::reload) reads again.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem), and [`ErrorKind::InvalidTls`] if a file can't be read.
    pub fn from_pem_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self> {
        let files = (chain.as_ref().to_owned(), key.as_ref().to_owned());
        let identity = read(&files, false)?;
        Self::new(Parts::of(identity), Some(files.clone())).map_err(|error| of_files(&files, error))
    }

    /// The same, given as DER.
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

    fn new(parts: Parts, files: Option<(PathBuf, PathBuf)>) -> Result<Self> {
        let now = RwLock::new(Arc::new(parts.configs()?));
        Ok(Self(Arc::new(Inner { now, files, parts: Some(Mutex::new(parts)) })))
    }

    /// The same certificate, for clients that show one which any of these roots has signed, given as a
    /// PEM text: their chains are in [`TlsInfo::peer_certificates`](crate::TlsInfo::peer_certificates). Default: clients
    /// are not asked. What there was, and its clones, stay as they are.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidTls`]: it has no certificate, or no valid one; or the configuration is one
    /// of rustls's.
    pub fn client_roots_pem(&self, roots: &[u8], auth: ClientAuth) -> Result<Self> {
        let identity = self.parts()?.identity.clone();
        let clients = Some((pem::certificates(roots)?, auth));
        Self::new(Parts { clients, ..Parts::of(identity) }, self.0.files.clone())
    }

    /// Reads the files again that it was made from, for handshakes that begin from now on. Sessions
    /// of before can be resumed.
    ///
    /// It reads files, which blocks for as long as that takes.
    ///
    /// # Errors
    ///
    /// As [`from_pem_files`](Self::from_pem_files), and [`ErrorKind::InvalidTls`] if it was not made
    /// from files, or if one of them is, behind its links, no regular file: to read a pipe again might
    /// never end. What was there stays then.
    pub fn reload(&self) -> Result<()> {
        let Some(files) = &self.0.files else {
            return Err(pem::invalid("there is nothing to reload: it was not made from files"));
        };
        let identity = read(files, true)?;
        self.exchange(identity).map_err(|error| of_files(files, error))
    }

    /// The same with this certificate in place of the one there is.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem), and [`ErrorKind::InvalidTls`] if the configuration is one of
    /// rustls's. What was there stays then.
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
            None => Err(pem::invalid("the configuration is one of rustls's, and changed there")),
        }
    }

    fn put(&self, configs: Configs) {
        *self.0.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(configs);
    }

    /// Makes a stream secure that a client has opened, to go on with
    /// [`ServerHandle::serve`](crate::ServerHandle::serve), or as a hyper server that speaks
    /// HTTP/1.1.
    ///
    /// A server with [`ServerBuilder::tls`](crate::ServerBuilder::tls) does it of itself for what it
    /// accepts. There is no deadline here.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotTls`]: the client speaks something else. One that speaks plain HTTP was told
    ///   so with a 400.
    /// - [`ErrorKind::ClientCertificate`]: it has shown no certificate, and must.
    /// - [`ErrorKind::CertificateExpired`], [`CertificateUntrusted`](ErrorKind::CertificateUntrusted),
    ///   [`CertificateInvalid`](ErrorKind::CertificateInvalid): the one that it has shown is not
    ///   accepted.
    /// - [`ErrorKind::RequestGone`]: it has gone before it said anything, as one does that only looks
    ///   whether somebody listens.
    /// - [`ErrorKind::Tls`]: the handshake failed in another way.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the stream is dropped.
    pub async fn accept(&self, stream: impl Io) -> Result<TlsStream> {
        let stream = self.handshake(AnyStream::new(stream), |configs| &configs.http1).await?;
        Ok(TlsStream(Arc::new(stream)))
    }

    /// The same with HTTP/2 as well, where the client offers it.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the stream is dropped.
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
            // Whether it is read is the client's affair.
            let _ = stream.write_all(PLAIN_HTTP).await;
            let _ = stream.flush().await;
            let _ = stream.shutdown().await;
            linger(&mut stream).await;
            Error::new(ErrorKind::NotTls, "TLS with a client: it speaks plain HTTP")
        }
        Failure::Ended => Error::new(
            ErrorKind::Tls,
            "TLS with a client: it closed the connection during the TLS handshake",
        ),
        Failure::Gone => Error::new(
            ErrorKind::RequestGone,
            "TLS with a client: it closed the connection before it said anything",
        ),
        Failure::Io(error) => Error::new(
            ErrorKind::Tls,
            format!("TLS with a client: the TLS handshake broke off: {error}"),
        )
        .with_source(error),
    }
}

/// What is in these files. One that is read `again` has to be a regular one, behind its links: to read
/// another might never end.
fn read((chain, key): &(PathBuf, PathBuf), again: bool) -> Result<Identity> {
    let of_chain = content(chain, again)?;
    // A pipe can be read once.
    let of_key = if chain == key { of_chain.clone() } else { content(key, again)? };
    let chain = pem::certificates(&of_chain).map_err(|error| of_file(chain, error))?;
    let key = pem::private_key(&of_key).map_err(|error| of_file(key, error))?;
    Ok(Identity { chain, key })
}

fn content(path: &Path, again: bool) -> Result<Vec<u8>> {
    let unable = |why: String| pem::invalid(format!("can't read {}: {why}", path.display()));
    let failed = |error: std::io::Error| unable(error.to_string()).with_source(error);
    if again && !std::fs::metadata(path).map_err(failed)?.is_file() {
        let why = "it is no regular file (a pipe or a device, say), and can't be read again";
        return Err(unable(why.to_owned()));
    }
    std::fs::read(path).map_err(failed)
}

/// An error that comes of what is in this file: advice names it.
fn of_file(path: &Path, error: Error) -> Error {
    let path = path.display().to_string();
    let advice = error.to_string().replace("-in FILE", &format!("-in {path}"));
    let advice = advice.replace("-f FILE", &format!("-f {path}"));
    Error::new(error.kind(), format!("{path}: {advice}")).with_source(error)
}

/// An error that comes of what is in these files.
fn of_files((chain, key): &(PathBuf, PathBuf), error: Error) -> Error {
    let message = format!("{} and {}: {error}", chain.display(), key.display());
    Error::new(error.kind(), message).with_source(error)
}

impl Parts {
    /// Those of a server with this certificate, to which anybody may come.
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
                    format!("the provider of cryptography has no use for TLS 1.2 and 1.3: {error}"),
                )
                .with_source(error)
            })?
            .with_client_cert_verifier(clients);
        let mut config = config.with_single_cert(chain, key).map_err(|error| {
            let why = match &error {
                rustls::Error::InconsistentKeys(_) => {
                    "the certificate and the private key don't belong together".to_owned()
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
            pem::invalid(format!("these roots of clients can't be trusted: {error}"))
                .with_source(error)
        })
    }
}

impl Configs {
    fn of(config: &ServerConfig) -> Self {
        let with = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            // What is sent before the handshake is done can be sent again by whoever is in between.
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
