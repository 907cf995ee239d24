//! TLS of the client.

#[cfg(feature = "rustls-0_23")]
mod rustls_0_23;

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::{CertificateDer, ServerName};
use towline_proto::Role;

use crate::error::{Error, ErrorKind, Result};
use crate::tls::asked::NoCertificate;
use crate::tls::explain::explain;
use crate::tls::handshake::{Failure, handshake};
use crate::tls::pem::{self, Identity};
use crate::tls::provider;
use crate::tls::roots;
use crate::tls::session::Session;
use crate::tls::stream::Stream;
use crate::tls::verifier::{Anything, Telling};
use crate::transport::secure::Securing;
use crate::transport::{AnyStream, Duplex as _, Io, SecureClient, TlsStream, Whose};

/// How a client speaks TLS: whom it trusts, who it is. For [`Client::tls`](crate::Client::tls).
///
/// Where a client is given none, `wss://` is as with `Tls::new()`.
///
/// ```no_run
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use towline::{Client, Tls};
///
/// // A certificate authority of one's own, beside those of the system.
/// let tls = Tls::new().add_roots_pem(&std::fs::read("ca.pem")?)?;
/// let client = Client::new().tls(tls);
/// # Ok(()) }
/// ```
///
/// It offers TLS 1.3 and 1.2, and by ALPN (RFC 7301) `http/1.1` and nothing else: a WebSocket over
/// HTTP/1.1 can't be opened where `h2` was agreed on. A server that agrees on nothing is fine.
///
/// Clones share the sessions that can be resumed, so that coming back to a server takes less. What the
/// system trusts is loaded with the first connection, which reads files and takes some milliseconds.
#[derive(Clone, Default)]
#[must_use]
pub struct Tls {
    options: Options,
    /// Made when they are first used, and shared by clones: for the server that the program named, and
    /// for others on the way, who learn nothing of who this end is.
    named: Arc<OnceLock<Arc<ClientConfig>>>,
    others: Arc<OnceLock<Arc<ClientConfig>>>,
}

#[derive(Clone, Default)]
struct Options {
    roots: Vec<CertificateDer<'static>>,
    /// Whether nobody else is trusted.
    is_only_roots: bool,
    identity: Option<Identity>,
    server_name: Option<ServerName<'static>>,
    accepts_anything: bool,
    /// Whether the configuration is one of rustls's; and whether something was set besides.
    is_rustls: bool,
    is_mixed: bool,
}

impl Tls {
    /// TLS that trusts what the system trusts (the feature `platform-verifier`), or else what
    /// Mozilla does (`webpki-roots`).
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the certificates of this PEM text as well, of which there must be one at least. Each
    /// call adds to them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidTls`]: it has no certificate, or no valid one.
    pub fn add_roots_pem(self, pem: &[u8]) -> Result<Self> {
        let roots = pem::certificates(pem)?;
        self.add_roots(roots)
    }

    /// Trusts this certificate as well, given as DER.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidTls`]: it is no valid certificate.
    pub fn add_root_der(self, der: impl Into<Vec<u8>>) -> Result<Self> {
        self.add_roots(vec![CertificateDer::from(der.into())])
    }

    fn add_roots(self, roots: Vec<CertificateDer<'static>>) -> Result<Self> {
        pem::root_store(&roots)?;
        Ok(self.with(|options| options.roots.extend(roots)))
    }

    /// Trusts those that were added and nobody else: neither the system nor Mozilla.
    pub fn only_added_roots(self) -> Self {
        self.with(|options| options.is_only_roots = true)
    }

    /// Shows this certificate to servers that ask for one (mTLS): a PEM text with its chain, its own
    /// first, and one with its private key, in PKCS #8, PKCS #1 or SEC 1. Both may be the same text.
    /// Neither a proxy sees it nor a server of another origin that a redirect leads to.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidTls`]: a part is missing or not valid. That they don't belong together is
    /// told by connecting.
    pub fn identity_pem(self, chain: &[u8], key: &[u8]) -> Result<Self> {
        let identity = Identity::from_pem(chain, key)?;
        Ok(self.with(|options| options.identity = Some(identity)))
    }

    /// The same, given as DER.
    ///
    /// # Errors
    ///
    /// As [`identity_pem`](Self::identity_pem).
    pub fn identity_der<C: Into<Vec<u8>>>(
        self,
        chain: impl IntoIterator<Item = C>,
        key: impl Into<Vec<u8>>,
    ) -> Result<Self> {
        let identity = Identity::from_der(chain, key.into())?;
        Ok(self.with(|options| options.identity = Some(identity)))
    }

    /// Asks for this name, and wants the certificate to be for it, in place of the URL's host: for a
    /// server that is reached by its address or through a tunnel. The `Host` header stays the URL's. It
    /// does not hold for a proxy, nor for another origin that a redirect leads to.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidTls`]: it is neither a DNS name nor an IP address.
    pub fn server_name(mut self, name: impl AsRef<str>) -> Result<Self> {
        self.options.server_name = Some(server_name(name.as_ref())?);
        Ok(self)
    }

    /// Accepts every certificate, whoever it is of. Whoever is in between can read and change all
    /// that is sent then. For tests.
    pub fn dangerously_accept_any_certificate(self) -> Self {
        self.with(|options| options.accepts_anything = true)
    }

    /// This, changed: what was made of it before is of no use any more.
    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self.options.is_mixed = self.options.is_rustls;
        (self.named, self.others) = Default::default();
        self
    }

    fn config(&self, whose: Whose) -> Result<Arc<ClientConfig>> {
        let slot = match whose {
            Whose::Named => &self.named,
            Whose::Others if self.options.identity.is_none() => &self.named,
            Whose::Others => &self.others,
        };
        if let Some(config) = slot.get() {
            return Ok(config.clone());
        }
        let made = Arc::new(self.options.config(whose)?);
        Ok(slot.get_or_init(|| made).clone())
    }

    /// Makes a stream secure, with the server of this host: the name that is asked for, and that the
    /// certificate has to be for, unless [`server_name`](Self::server_name) says another.
    ///
    /// [`Client`](crate::Client) does it of itself for `wss://`. This is for streams of your own, to
    /// go on with [`Client::connect_over`](crate::Client::connect_over).
    ///
    /// # Errors
    ///
    /// - The server's certificate is not accepted: [`ErrorKind::CertificateExpired`],
    ///   [`CertificateName`](ErrorKind::CertificateName),
    ///   [`CertificateUntrusted`](ErrorKind::CertificateUntrusted),
    ///   [`CertificateInvalid`](ErrorKind::CertificateInvalid).
    /// - [`ErrorKind::ClientCertificate`]: the server wants a certificate of this end, or does not
    ///   accept the one that it was shown. With TLS 1.3, reading says so later on.
    /// - [`ErrorKind::NotTls`]: the server speaks something else. [`ErrorKind::Tls`]: the handshake
    ///   failed in another way.
    /// - [`ErrorKind::InvalidTls`], [`ErrorKind::TlsUnavailable`]: what was set up can't be used.
    ///
    /// There is no deadline here.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the stream is dropped.
    pub async fn connect(&self, stream: impl Io, host: impl AsRef<str>) -> Result<TlsStream> {
        let stream = AnyStream::new(stream);
        let stream = self.handshake(stream, host.as_ref(), Whose::Named).await?;
        let flush = poll_fn(|cx| stream.poll_flush(cx)).await;
        flush.map_err(|error| failed(host.as_ref(), Failure::Io(error)))?;
        Ok(TlsStream(Arc::new(stream)))
    }

    async fn handshake(&self, stream: AnyStream, host: &str, whose: Whose) -> Result<Stream> {
        let config = self.config(whose)?;
        let name = self.name(host, whose)?;
        let alpn = vec![b"http/1.1".to_vec()];
        let session = UnbufferedClientConnection::new_with_alpn(config, name, alpn)
            .map_err(|error| explain(Role::Client, host, error))?;
        let stream = handshake(stream, Session::Client(session)).await;
        stream.map_err(|failure| failed(host, failure))
    }
}

impl SecureClient for Tls {
    fn check(&self, host: &str, whose: Whose) -> Result<()> {
        self.name(host, whose)?;
        self.config(whose).map(drop)
    }

    fn secure<'a>(&'a self, stream: AnyStream, host: &'a str, whose: Whose) -> Securing<'a> {
        Box::pin(async move {
            let stream = self.handshake(stream, host, whose).await?;
            Ok(AnyStream::Duplex(Arc::new(stream)))
        })
    }
}

impl Tls {
    fn name(&self, host: &str, whose: Whose) -> Result<ServerName<'static>> {
        match &self.options.server_name {
            Some(name) if whose == Whose::Named => Ok(name.clone()),
            _ => server_name(host),
        }
    }
}

fn failed(host: &str, failure: Failure) -> Error {
    match failure {
        Failure::Tls(error) => explain(Role::Client, host, error),
        Failure::NothingToShow(error) => Error::new(
            ErrorKind::Tls,
            format!(
                "TLS with {host}: the peer has given up (HandshakeFailure), perhaps since it asked \
                 for a certificate of this end and was shown none"
            ),
        )
        .with_source(error),
        Failure::Http(_) => Error::new(
            ErrorKind::NotTls,
            format!(
                "TLS with {host}: the server speaks plain HTTP there; is it ws:// and not wss://?"
            ),
        ),
        Failure::Ended | Failure::Gone => Error::new(
            ErrorKind::Tls,
            format!("TLS with {host}: the server closed the connection during the TLS handshake"),
        ),
        Failure::Io(error) => Error::new(
            ErrorKind::Tls,
            format!("TLS with {host}: the TLS handshake broke off: {error}"),
        )
        .with_source(error),
    }
}

impl Options {
    fn config(&self, whose: Whose) -> Result<ClientConfig> {
        if self.is_mixed {
            return Err(pem::invalid(
                "the configuration is one of rustls's: whom to trust and who this end is are set there",
            ));
        }
        let provider = provider::choose()?;
        let verifier = if self.accepts_anything {
            Arc::new(Anything(provider.clone()))
        } else if self.is_only_roots {
            let roots = pem::root_store(&self.roots)?;
            if roots.is_empty() {
                return Err(pem::invalid(
                    "no certificate is trusted: only_added_roots, and no root was added",
                ));
            }
            pem::verifier_of(roots, provider.clone())?
        } else {
            roots::verifier(&self.roots, provider.clone())?
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| {
                Error::new(
                    ErrorKind::TlsUnavailable,
                    format!("the provider of cryptography has no use for TLS 1.2 and 1.3: {error}"),
                )
                .with_source(error)
            })?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Telling {
                verifier,
                added: self.roots.clone(),
            }));
        let Some(Identity { chain, key }) = self.identity.clone().filter(|_| whose == Whose::Named)
        else {
            return Ok(config.with_client_cert_resolver(Arc::new(NoCertificate)));
        };
        pem::check_key(&key, config.crypto_provider())?;
        config.with_client_auth_cert(chain, key).map_err(|error| {
            pem::invalid(format!("the client's certificate can't be used: {error}"))
                .with_source(error)
        })
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>> {
    // An IPv6 address stands in brackets in a URL. A dot at the end is no part of a certificate's
    // name.
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    ServerName::try_from(bare.to_owned()).map_err(|error| {
        pem::invalid(format!("{name:?} is no name that a certificate can be for: {error}"))
            .with_source(error)
    })
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("roots", &self.options.roots.len())
            .field("only_added_roots", &self.options.is_only_roots)
            .field("identity", &self.options.identity.is_some())
            .field("server_name", &self.options.server_name)
            .field("accepts_any_certificate", &self.options.accepts_anything)
            .finish_non_exhaustive()
    }
}
