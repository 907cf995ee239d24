//! TLS for clients.

#[cfg(feature = "rustls-0_23")]
mod rustls_0_23;

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, OnceLock};

use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, ClientConfig};
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
use crate::transport::{Alpn, AnyStream, Duplex as _, HTTP_1, Io, SecureClient, TlsStream, Whose};

/// TLS options of a client: trusted roots, and the client's certificate. For
/// [`Client::tls`](crate::Client::tls).
///
/// By default, a client uses `Tls::new()` for `wss://`.
///
/// ```no_run
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use towline::{Client, Tls};
///
/// // A private certificate authority, in addition to those of the system.
/// let tls = Tls::new().add_roots_pem(&std::fs::read("ca.pem")?)?;
/// let client = Client::new().tls(tls);
/// # Ok(()) }
/// ```
///
/// It offers TLS 1.3 and 1.2, and by ALPN (RFC 7301) only the versions of HTTP that the client is set
/// up for: `http/1.1`, unless the feature `http2` is in use. A server without ALPN is accepted.
///
/// Clones share the sessions that can be resumed, which makes later handshakes with a server
/// cheaper. The system's roots are loaded at the first connection, which reads files and takes some
/// milliseconds.
#[derive(Clone, Default)]
#[must_use]
pub struct Tls {
    options: Options,
    /// Created at the first use, and shared by clones: for the server that the program named, and
    /// for other servers on the way, which do not get this end's certificate.
    named: Arc<OnceLock<Arc<ClientConfig>>>,
    others: Arc<OnceLock<Arc<ClientConfig>>>,
}

#[derive(Clone, Default)]
struct Options {
    roots: Vec<CertificateDer<'static>>,
    /// Whether only the added roots are trusted.
    is_only_roots: bool,
    identity: Option<Identity>,
    server_name: Option<ServerName<'static>>,
    accepts_anything: bool,
    /// Whether this was made from a configuration of rustls, and whether an option was set in
    /// addition.
    is_rustls: bool,
    is_mixed: bool,
}

impl Tls {
    /// Creates TLS that trusts the system's roots (feature `platform-verifier`), or otherwise
    /// Mozilla's (feature `webpki-roots`).
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the certificates of this PEM text as well. It must contain at least one. Each call
    /// adds more.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidTls`] if the text contains no certificate or an invalid one.
    pub fn add_roots_pem(self, pem: &[u8]) -> Result<Self> {
        let roots = pem::certificates(pem)?;
        self.add_roots(roots)
    }

    /// Trusts this DER certificate as well.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidTls`] if the certificate is not valid.
    pub fn add_root_der(self, der: impl Into<Vec<u8>>) -> Result<Self> {
        self.add_roots(vec![CertificateDer::from(der.into())])
    }

    fn add_roots(self, roots: Vec<CertificateDer<'static>>) -> Result<Self> {
        pem::root_store(&roots)?;
        Ok(self.with(|options| options.roots.extend(roots)))
    }

    /// Trusts only the roots that were added, and not those of the system or of Mozilla.
    pub fn only_added_roots(self) -> Self {
        self.with(|options| options.is_only_roots = true)
    }

    /// Sets the client's certificate, for servers that ask for one (mTLS): a PEM text with the
    /// certificate chain, the client's own first, and one with the private key in PKCS #8, PKCS #1
    /// or SEC 1. Both can be the same text. The certificate is not sent to proxies, nor to servers
    /// of another origin after a redirect.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidTls`] if a part is missing or not valid. If the certificate and the key
    /// don't match, connecting fails.
    pub fn identity_pem(self, chain: &[u8], key: &[u8]) -> Result<Self> {
        let identity = Identity::from_pem(chain, key)?;
        Ok(self.with(|options| options.identity = Some(identity)))
    }

    /// Sets the client's certificate from DER, see [`identity_pem`](Self::identity_pem).
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

    /// Sets the name to send as SNI and to expect in the certificate. Default: the URL's host. Use
    /// it for a server that is reached by its IP address or through a tunnel. The `Host` header
    /// stays the URL's. It does not apply to proxies, nor to other origins after a redirect.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidTls`] if the name is neither a DNS name nor an IP address.
    pub fn server_name(mut self, name: impl AsRef<str>) -> Result<Self> {
        self.options.server_name = Some(server_name(name.as_ref())?);
        Ok(self)
    }

    /// Accepts every certificate. An attacker in the network can then read and change all data. For
    /// tests only.
    pub fn dangerously_accept_any_certificate(self) -> Self {
        self.with(|options| options.accepts_anything = true)
    }

    /// Applies a change, and drops the configurations that were created before.
    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self.options.is_mixed = self.options.is_rustls;
        (self.named, self.others) = Default::default();
        self
    }

    fn config(&self, whose: Whose) -> Result<Arc<ClientConfig>> {
        let named = match self.named.get() {
            Some(named) => named,
            None => {
                let made = Arc::new(self.options.config()?);
                self.named.get_or_init(|| made)
            }
        };
        let config = match whose {
            Whose::Others if named.client_auth_cert_resolver.has_certs() => {
                self.others.get_or_init(|| Arc::new(without_identity(named)))
            }
            _ => named,
        };
        Ok(config.clone())
    }

    /// Performs a TLS handshake on a stream to this host. The certificate has to be for the host,
    /// or for the [`server_name`](Self::server_name) if one is set.
    ///
    /// [`Client`](crate::Client) does this for `wss://`. Call it for your own streams, and continue
    /// with [`Client::connect_over`](crate::Client::connect_over).
    ///
    /// # Errors
    ///
    /// - The server's certificate is not accepted: [`ErrorKind::CertificateExpired`],
    ///   [`CertificateName`](ErrorKind::CertificateName),
    ///   [`CertificateUntrusted`](ErrorKind::CertificateUntrusted),
    ///   [`CertificateInvalid`](ErrorKind::CertificateInvalid).
    /// - [`ErrorKind::ClientCertificate`]: the server requires a client certificate, or does not
    ///   accept the one that was sent. With TLS 1.3, the error is returned by a later read.
    /// - [`ErrorKind::NotTls`]: the server does not speak TLS. [`ErrorKind::Tls`]: the handshake
    ///   failed in another way.
    /// - [`ErrorKind::InvalidTls`], [`ErrorKind::TlsUnavailable`]: the options can't be used.
    ///
    /// This has no timeout.
    ///
    /// # Cancel safety
    ///
    /// If this future is dropped, the stream is dropped with it.
    pub async fn connect(&self, stream: impl Io, host: impl AsRef<str>) -> Result<TlsStream> {
        let stream = AnyStream::new(stream);
        let stream = self.handshake(stream, host.as_ref(), Whose::Named, HTTP_1).await?;
        let flush = poll_fn(|cx| stream.poll_flush(cx)).await;
        flush.map_err(|error| failed(host.as_ref(), HTTP_1, Failure::Io(error)))?;
        Ok(TlsStream(Arc::new(stream)))
    }

    async fn handshake(
        &self,
        stream: AnyStream,
        host: &str,
        whose: Whose,
        alpn: Alpn,
    ) -> Result<Stream> {
        let config = self.config(whose)?;
        let name = self.name(host, whose)?;
        let offered = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let session = UnbufferedClientConnection::new_with_alpn(config, name, offered)
            .map_err(|error| explain(Role::Client, host, error))?;
        let stream = handshake(stream, Session::Client(session)).await;
        stream.map_err(|failure| failed(host, alpn, failure))
    }
}

impl SecureClient for Tls {
    fn check(&self, host: &str, whose: Whose) -> Result<()> {
        self.name(host, whose)?;
        self.config(whose).map(drop)
    }

    fn secure<'a>(
        &'a self,
        stream: AnyStream,
        host: &'a str,
        whose: Whose,
        alpn: Alpn,
    ) -> Securing<'a> {
        Box::pin(async move {
            let stream = self.handshake(stream, host, whose, alpn).await?;
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

fn failed(host: &str, alpn: Alpn, failure: Failure) -> Error {
    match failure {
        Failure::Tls(error)
            if error == rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) =>
        {
            let offered = alpn.join(", ");
            let message = format!(
                "TLS with {host}: the peer has no protocol in common with this end (ALPN {offered})"
            );
            Error::new(ErrorKind::NoApplicationProtocol, message).with_source(error)
        }
        Failure::Tls(error) => explain(Role::Client, host, error),
        Failure::NothingToShow(error) => Error::new(
            ErrorKind::Tls,
            format!(
                "TLS with {host}: the peer sent a fatal alert (HandshakeFailure), perhaps because it \
                 asked for a certificate of this end and got none"
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
    fn config(&self) -> Result<ClientConfig> {
        if self.is_mixed {
            return Err(pem::invalid(
                "roots and an identity can't be added to a configuration of rustls: set them there",
            ));
        }
        let provider = provider::choose()?;
        let verifier = if self.accepts_anything {
            Arc::new(Anything(provider.clone()))
        } else if self.is_only_roots {
            let roots = pem::root_store(&self.roots)?;
            if roots.is_empty() {
                return Err(pem::invalid(
                    "no certificate is trusted: only_added_roots is set, and no root was added",
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
                    format!(
                        "the provider of cryptography does not support TLS 1.2 and 1.3: {error}"
                    ),
                )
                .with_source(error)
            })?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Telling {
                verifier,
                added: self.roots.clone(),
            }));
        let Some(Identity { chain, key }) = self.identity.clone() else {
            return Ok(config.with_client_cert_resolver(Arc::new(NoCertificate)));
        };
        pem::check_key(&key, config.crypto_provider())?;
        config.with_client_auth_cert(chain, key).map_err(|error| {
            pem::invalid(format!("the client's certificate can't be used: {error}"))
                .with_source(error)
        })
    }
}

/// The configuration for servers that do not get the certificate of this end. Its sessions are not those in
/// which the certificate was shown, and none are kept, since a program can have turned that off.
fn without_identity(config: &ClientConfig) -> ClientConfig {
    let mut config = config.clone();
    config.client_auth_cert_resolver = Arc::new(NoCertificate);
    config.resumption = Resumption::disabled();
    config
}

fn server_name(name: &str) -> Result<ServerName<'static>> {
    // A URL has brackets around an IPv6 address. A certificate's name has no dot at the end.
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    ServerName::try_from(bare.to_owned()).map_err(|error| {
        pem::invalid(format!("{name:?} is neither a DNS name nor an IP address: {error}"))
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
