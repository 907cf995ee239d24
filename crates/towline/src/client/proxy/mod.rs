//! The proxy through which a client connects: which one, and how it is spoken to.

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

/// Through which proxy a client connects, for [`Client::proxy`](crate::Client::proxy).
///
/// An HTTP proxy is asked for a tunnel with CONNECT, for `ws://` as for `wss://`; a SOCKS proxy by
/// version 5 of the protocol (RFC 1928), with a user and a password where there is one (RFC 1929).
/// What the proxy is told stays between it and this end: the server sees nothing of it, and neither
/// `Debug` nor an error shows a user or a password.
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
    /// What the environment says, see [`Proxy::from_env`].
    fn default() -> Self {
        Self::from_env()
    }
}

impl Proxy {
    /// No proxy, whatever the environment says.
    pub fn none() -> Self {
        Self::of(Source::None)
    }

    /// The proxy that the environment names, whenever a connection is made; it is none where it
    /// names none. This is what a client does by default.
    ///
    /// For `wss://` the first of these variables counts that is there: `wss_proxy`, `socks_proxy`,
    /// `all_proxy` if it is a SOCKS proxy, `https_proxy`, `all_proxy`. For `ws://` it is `ws_proxy`,
    /// `socks_proxy`, `all_proxy` if it is a SOCKS proxy, `https_proxy`, `http_proxy`, `all_proxy`.
    /// A value without a scheme is an HTTP proxy, in `socks_proxy` a SOCKS one. `no_proxy` lists the
    /// hosts to connect to without one, as [`no_proxy`](Self::no_proxy) does. Each may be in lower
    /// case, which counts first, or in upper case; an empty one is none. Where there is a
    /// `REQUEST_METHOD`, as in a CGI program, `HTTP_PROXY` is the client's and does not count.
    ///
    /// A variable that can't be used is an error when a connection is made that depends on it, with
    /// the kind [`ErrorKind::InvalidProxy`] and the variable's name: to connect past a proxy that
    /// somebody wanted would be worse.
    pub fn from_env() -> Self {
        Self::of(Source::Environment)
    }

    /// The proxy with this URL, for all hosts: `http://proxy:3128`, and as the table above has it.
    ///
    /// It may have a user and a password, `socks5h://user:p%40ss@proxy`, with percent signs for what
    /// can't stand there. Without a scheme it is `http`. `socks` is the same as `socks5h`. The
    /// environment, its `no_proxy` included, plays no part.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidProxy`] if it is no such URL.
    pub fn new(url: impl AsRef<str>) -> Result<Self> {
        let hop = Hop::parse(url.as_ref());
        hop.map(|hop| Self::of(Source::Url(hop))).map_err(invalid)
    }

    fn of(source: Source) -> Self {
        let (exceptions, headers) = Default::default();
        Self { source, exceptions, credentials: None, headers, invalid: None }
    }

    /// Shows the proxy this user and this password, in place of those in its URL: as `Basic` (RFC
    /// 7617) to an HTTP proxy, which takes them without being asked, and in at most 255 bytes each to
    /// a SOCKS proxy. Default: those in the URL, or none.
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some(Credentials::new(user.into(), password.into()));
        self
    }

    /// Adds this header to the CONNECT that an HTTP proxy is asked with; each call adds one. A SOCKS
    /// proxy has none.
    ///
    /// A header that can't be is an [`ErrorKind::InvalidProxy`] when a connection is made, and so are
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

    /// Connects to these hosts without a proxy; each call adds to them. Default: to none, and with
    /// [`from_env`](Self::from_env) to those in the variable `no_proxy`.
    ///
    /// It is a list of names, which stand for themselves and all below (`example.com`,
    /// `.example.com` and `*.example.com` are the same), addresses (`10.0.0.1`, `[::1]`) and networks
    /// (`10.0.0.0/8`, `fd00::/8`), between commas or white space. Names and addresses may have a port
    /// (`example.com:8080`); `*` is all hosts. A name is not looked up to see whether its address is
    /// in the list. An entry that is nothing of the kind matches nothing.
    pub fn no_proxy(mut self, list: impl AsRef<str>) -> Self {
        self.exceptions.add(list.as_ref());
        self
    }

    /// The proxy on the way to this target.
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

    /// Has the HTTP proxy at the other end of the stream connect to the target.
    pub(crate) async fn http_tunnel(
        &self,
        stream: AnyStream,
        hop: &Hop,
        target: &Target,
        limits: &HeadLimits,
    ) -> Result<AnyStream> {
        http_connect::connect(stream, hop, target, &self.headers, limits).await
    }

    /// Has the SOCKS proxy at the other end of the stream connect to the destination. If it could
    /// not, but perhaps can to another one, that is the inner error.
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
    // The map has a limit of its own.
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
