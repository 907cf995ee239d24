//! The proxy that a client connects through: which one, and its protocol.

mod hop;

mod exceptions;

mod environment;

mod http_connect;
mod socks;

use std::fmt;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use towline_proto::handshake::{Credentials, HeadLimits, HeaderError, Target};

use crate::client::proxy::environment::Environment;
use crate::client::proxy::exceptions::Exceptions;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::AnyStream;

pub(crate) use hop::{Hop, Scheme};
pub(crate) use socks::Destination;

/// The proxy that a client connects through, for [`Client::proxy`](crate::Client::proxy).
///
/// An HTTP proxy is asked for a tunnel with CONNECT, for `ws://` and `wss://` alike. A SOCKS proxy
/// is spoken to in version 5 of the protocol (RFC 1928), with a user and password if given (RFC
/// 1929). The server sees nothing of what the proxy is sent. Neither `Debug` nor errors show a user
/// or password.
///
/// | URL | what it is | default port |
/// | --- | --- | --- |
/// | `http://proxy` | CONNECT over TCP | 80 |
/// | `https://proxy` | CONNECT over TLS | 443 |
/// | `socks5://proxy` | SOCKS, names are looked up here, by the [resolver](crate::Client::resolver) | 1080 |
/// | `socks5h://proxy` | SOCKS, names are looked up by the proxy | 1080 |
///
/// ```
/// # fn example() -> towline::Result<()> {
/// use towline::{Client, Proxy};
///
/// let proxy = Proxy::new("http://proxy.example:3128")?
///     .credentials("deckhand", "s3cret")
///     .no_proxy("localhost, .internal.example, 10.0.0.0/8");
/// let client = Client::new().proxy(proxy);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Proxy {
    source: Source,
    exceptions: Exceptions,
    credentials: Option<Credentials>,
    headers: HeaderMap,
    invalid: Option<HeaderError>,
}

#[derive(Clone)]
enum Source {
    None,
    Environment,
    Url(Hop),
}

impl Default for Proxy {
    /// As [`Proxy::from_env`].
    fn default() -> Self {
        Self::from_env()
    }
}

impl Proxy {
    /// Uses no proxy. The environment is ignored.
    pub fn none() -> Self {
        Self::of(Source::None)
    }

    /// Uses the proxy that the environment names, read each time a connection is made, or none.
    /// This is a client's default.
    ///
    /// For `wss://` the first of these variables that is set counts: `wss_proxy`, `socks_proxy`,
    /// `all_proxy` if it is a SOCKS proxy, `https_proxy`, `all_proxy`. For `ws://` it is
    /// `ws_proxy`, `socks_proxy`, `all_proxy` if it is a SOCKS proxy, `https_proxy`, `http_proxy`,
    /// `all_proxy`. A value without a scheme is an HTTP proxy, and a SOCKS proxy in `socks_proxy`.
    /// `no_proxy` lists the hosts to connect to without a proxy, in the format of
    /// [`no_proxy`](Self::no_proxy). Names in lower case take precedence over those in upper case.
    /// An empty variable counts as unset. If `REQUEST_METHOD` is set, as in a CGI program,
    /// `HTTP_PROXY` is ignored: it is a header of the request.
    ///
    /// An invalid variable is an [`ErrorKind::InvalidProxy`] that names it, returned when a
    /// connection that depends on it is made. Connecting without the proxy would be worse.
    pub fn from_env() -> Self {
        Self::of(Source::Environment)
    }

    /// Uses the proxy at this URL for all hosts: `http://proxy:3128`, or another URL of the table
    /// above.
    ///
    /// The URL can have a user and password, percent-encoded: `socks5h://user:p%40ss@proxy`.
    /// Without a scheme it is `http`. `socks` means `socks5h`. The environment, including
    /// `no_proxy`, is ignored.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidProxy`] if the URL is invalid.
    pub fn new(url: impl AsRef<str>) -> Result<Self> {
        let hop = Hop::parse(url.as_ref());
        hop.map(|hop| Self::of(Source::Url(hop))).map_err(invalid)
    }

    fn of(source: Source) -> Self {
        let (exceptions, headers) = Default::default();
        Self { source, exceptions, credentials: None, headers, invalid: None }
    }

    /// Sets the user and password for the proxy, in place of those in its URL. An HTTP proxy is
    /// sent them as `Basic` (RFC 7617), unasked. For a SOCKS proxy each may have at most 255 bytes.
    /// Default: those in the URL, or none.
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some(Credentials::new(user.into(), password.into()));
        self
    }

    /// Adds a header to the CONNECT request for an HTTP proxy. Each call adds one. SOCKS proxies
    /// ignore it.
    ///
    /// An invalid header is an [`ErrorKind::InvalidProxy`] when a connection is made; so are
    /// `Host`, `Content-Length` and `Transfer-Encoding`.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        let added = add(&mut self.headers, name, value);
        self.invalid = self.invalid.or(added.err());
        self
    }

    /// Connects to these hosts without the proxy. Each call adds to the list. Default: none, and
    /// those in the variable `no_proxy` with [`from_env`](Self::from_env).
    ///
    /// The list has names, which include their subdomains (`example.com`, `.example.com` and
    /// `*.example.com` are the same), addresses (`10.0.0.1`, `[::1]`) and networks (`10.0.0.0/8`,
    /// `fd00::/8`), separated by commas or white space. Names and addresses can have a port
    /// (`example.com:8080`). `*` means all hosts. Names are not looked up to compare their
    /// addresses. An invalid entry matches nothing.
    pub fn no_proxy(mut self, list: impl AsRef<str>) -> Self {
        self.exceptions.add(list.as_ref());
        self
    }

    /// The proxy for this target.
    pub(crate) fn hop(&self, target: &Target) -> Result<Option<Hop>> {
        let (host, port) = (target.host(), target.port());
        if self.exceptions.contain(host, port) {
            return Ok(None);
        }
        let hop = match &self.source {
            Source::None => None,
            Source::Url(hop) => Some(hop.clone()),
            Source::Environment => {
                let environment = Environment(|name: &str| std::env::var_os(name));
                if environment.exceptions().map_err(invalid)?.contain(host, port) {
                    return Ok(None);
                }
                environment.proxy(target.is_secure()).map_err(invalid)?
            }
        };
        let Some(mut hop) = hop else { return Ok(None) };
        if let Some(error) = &self.invalid {
            return Err(invalid(format!("the proxy {hop}: {error}")).with_source(error.clone()));
        }
        hop.credentials = self.credentials.clone().or(hop.credentials);
        Ok(Some(hop))
    }

    /// Asks the HTTP proxy at the other end of the stream to connect to the target.
    pub(crate) async fn http_tunnel(
        &self,
        stream: AnyStream,
        hop: &Hop,
        target: &Target,
        limits: &HeadLimits,
    ) -> Result<AnyStream> {
        http_connect::connect(stream, hop, target, &self.headers, limits).await
    }

    /// Asks the SOCKS proxy at the other end of the stream to connect to the destination. The inner
    /// error means that it could not, but may be able to reach another destination.
    pub(crate) async fn socks_tunnel(
        mut stream: AnyStream,
        hop: &Hop,
        destination: &Destination,
    ) -> Result<Result<AnyStream>> {
        Ok(socks::connect(&mut stream, hop, destination).await?.map(|()| stream))
    }
}

fn invalid(why: String) -> Error {
    Error::new(ErrorKind::InvalidProxy, why)
}

fn add<N, V>(headers: &mut HeaderMap, name: N, value: V) -> std::result::Result<(), HeaderError>
where
    N: TryInto<HeaderName>,
    V: TryInto<HeaderValue>,
{
    let name = name.try_into().map_err(|_| HeaderError::InvalidName)?;
    if [HOST, CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name) {
        return Err(HeaderError::Reserved { name });
    }
    let Ok(value) = value.try_into() else { return Err(HeaderError::InvalidValue { name }) };
    // The map has its own limit.
    headers.try_append(name, value).map(drop).map_err(|_| HeaderError::TooMany)
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::None => f.write_str("Proxy(none)"),
            Source::Environment => f.write_str("Proxy(environment)"),
            Source::Url(hop) => write!(f, "Proxy({hop})"),
        }
    }
}
