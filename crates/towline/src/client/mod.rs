//! The client: a URL in, a connection out.

mod shown;

#[cfg(feature = "idn")]
mod idn;

#[cfg(not(feature = "idn"))]
#[path = "no_idn.rs"]
mod idn;

mod url;

mod progress;

mod resolve;

mod racing;

mod dialling;

mod body;

mod answer;

mod proxy;

mod asked;

mod redirect;

mod upgrade;

mod carrier;

#[cfg(feature = "rustls")]
mod default_tls;

#[cfg(not(feature = "rustls"))]
#[path = "no_tls.rs"]
mod default_tls;

mod connecting;

mod connect;

mod dial;

#[cfg(feature = "http2")]
mod http2;

#[cfg(feature = "rustls")]
mod tls;

mod reconnecting;

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http::header::{HeaderName, HeaderValue};
use towline_proto::Config;
use towline_proto::handshake::{Connect, HeadLimits, Version};

#[cfg(feature = "http2")]
pub use http2::HttpVersion;
pub use proxy::Proxy;
pub use reconnecting::{
    Attempt, Backoff, Dial, DialError, Ending, ReconnectEvent, ReconnectEvents, ReconnectHandle,
    Reconnecting, Retry,
};
pub use resolve::Resolve;

use crate::client::asked::{Asked, Extra};
use crate::client::carrier::Carrier;
use crate::client::resolve::Resolver;
#[cfg(doc)]
use crate::connection::Connection;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::Result;
use crate::transport::SecureClient;

/// Connects to servers. Set a client up once and connect with it as often as you like; clones share
/// their settings.
///
/// ```no_run
/// # #[tokio::main] async fn main() -> towline::Result<()> {
/// let mut connection = towline::Client::new()
///     .protocols(["chat.v2"])
///     .header("authorization", "Bearer …")
///     .connect("ws://example.com/feed")
///     .await?;
/// connection.send("ship ahoy").await?;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "WebSocketClient")]
#[derive(Clone, Default)]
#[must_use]
pub struct Client {
    /// Shared with clones, and with connections being made.
    settings: Arc<Settings>,
}

/// The settings of a client.
#[derive(Clone)]
pub(crate) struct Settings {
    /// All but the subprotocols.
    connect: Connect,
    protocols: Vec<String>,
    version: Version,
    config: Config,
    head_limits: HeadLimits,
    connect_timeout: Duration,
    nodelay: bool,
    keep_request: bool,
    resolver: Resolver,
    proxy: Proxy,
    follow_redirects: u8,
    /// `None` means the default.
    tls: Option<Arc<dyn SecureClient>>,
    /// `None` means HTTP/1.1.
    carrier: Option<Arc<dyn Carrier>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect: Connect::new(),
            protocols: Vec::new(),
            version: Version::default(),
            config: Config::client(),
            head_limits: HeadLimits::default(),
            connect_timeout: Duration::from_secs(30),
            nodelay: true,
            keep_request: false,
            resolver: Resolver::default(),
            proxy: Proxy::default(),
            follow_redirects: 0,
            tls: None,
            carrier: None,
        }
    }
}

impl Client {
    /// Returns a client with default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the settings for a change. Clones keep theirs.
    pub(crate) fn settings(&mut self) -> &mut Settings {
        let settings = Arc::make_mut(&mut self.settings);
        // Connections made with other settings, such as other certificates, are not shared.
        settings.carrier = settings.carrier.as_ref().map(|carrier| carrier.renewed());
        settings
    }

    /// Sets the configuration of connections. Default: [`Config::client`].
    pub fn config(mut self, config: Config) -> Self {
        self.settings().config = config;
        self
    }

    /// Offers these subprotocols, in order of preference. Each call adds to the list.
    #[doc(alias = "requestedProtocols")]
    pub fn protocols<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.settings().protocols.extend(names.into_iter().map(Into::into));
        self
    }

    /// Sets the `Origin` header: the origin of the page that the connection is made for. Default:
    /// none.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.settings().change(|connect| connect.origin(origin));
        self
    }

    /// Adds a header to the request. Each call adds one.
    ///
    /// `Authorization` replaces the user and password of the URL. Set `Host` to ask the server for
    /// a name other than the one in the URL. `Authorization`, `Cookie`, `Proxy-Authorization` and
    /// every value that [is marked as sensitive](HeaderValue::set_sensitive) are sent only to the
    /// origin that the program named, see [`follow_redirects`](Self::follow_redirects).
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        self.settings().change(|connect| connect.header(name, value));
        self
    }

    /// Sets the protocol version. Default: [`Version::Rfc6455`]. Draft 8 differs only in the name
    /// of the origin header.
    #[doc(alias("webSocketVersion", "websocketVersion"))]
    pub fn version(mut self, version: Version) -> Self {
        let settings = self.settings();
        settings.change(|connect| connect.version(version));
        settings.version = version;
        self
    }

    /// Sets how long connecting may take in all: looking up the name, dialling, the proxy's answer,
    /// TLS, the handshake, and the same for each redirect. Default: 30 s. The error names the step
    /// that was in progress.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings().connect_timeout = timeout;
        self
    }

    /// Sets how large the head of the server's response may be, and that of an HTTP proxy's.
    /// Default: 16 KiB and 100 headers.
    pub fn head_limits(mut self, limits: HeadLimits) -> Self {
        self.settings().head_limits = limits;
        self
    }

    /// Sets whether to turn Nagle's algorithm off, so that small writes are sent at once. Applies
    /// to every TCP stream, including those passed to [`connect_over`](Self::connect_over).
    /// Default: on.
    #[doc(alias("disableNagleAlgorithm", "set_nodelay", "TCP_NODELAY"))]
    pub fn nodelay(mut self, on: bool) -> Self {
        self.settings().nodelay = on;
        self
    }

    /// Sets whether a connection keeps the request of its handshake, for
    /// [`Connection::request`](crate::Connection::request). It takes about 1 KiB for each connection.
    /// Default: off.
    ///
    /// ```no_run
    /// # async fn example() -> towline::Result<()> {
    /// let client = towline::Client::new().keep_request(true);
    /// let connection = client.connect("ws://localhost:9001/").await?;
    /// println!("{:?}", connection.request());
    /// # Ok(())
    /// # }
    /// ```
    pub fn keep_request(mut self, on: bool) -> Self {
        self.settings().keep_request = on;
        self
    }

    /// Sets the resolver for the names of servers and proxies. Default: getaddrinfo, the resolver
    /// of the operating system, on a thread of the runtime.
    ///
    /// The resolver is not called for a host that is an IP address, nor for names that the proxy
    /// looks up. It is therefore not enough to block addresses: check the URLs as well.
    pub fn resolver(mut self, resolve: impl Resolve) -> Self {
        self.settings().resolver = Resolver::new(resolve);
        self
    }

    /// Connects through this proxy. Default: [`Proxy::from_env`], which reads the environment each
    /// time a connection is made.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.settings().proxy = proxy;
        self
    }

    /// Sets how many redirects to follow for one connection: responses with 301, 302, 303, 307 or
    /// 308, and a `Location`. Default: 0, as in browsers; a redirect is then an
    /// [`ErrorKind::HttpResponse`]. Each redirect costs a connection.
    ///
    /// `http` and `https` in a `Location` mean `ws` and `wss`. A redirect from `wss` to `ws` is an
    /// error. A redirect to another origin (scheme, host or port) drops `Authorization`, `Cookie`,
    /// `Proxy-Authorization`, `Host`, every header marked as sensitive, and the user and password
    /// of the URL; a redirect back does not restore them. All else is sent again, including
    /// subprotocols and `Origin`. [`Connection::url`](Connection::url) is the URL that was reached.
    #[doc(alias("followRedirects", "maxRedirects"))]
    pub fn follow_redirects(mut self, most: u8) -> Self {
        self.settings().follow_redirects = most;
        self
    }
}

impl Settings {
    /// Changes the handshake to make.
    fn change(&mut self, change: impl FnOnce(Connect) -> Connect) {
        self.connect = change(mem::take(&mut self.connect));
    }

    /// Returns what to ask for at this URL.
    fn asked(&self, url: &str) -> Result<Asked> {
        let connect = self.connect.clone().protocols(self.protocols.iter().cloned());
        let connect = connect.compression(self.config.negotiable_compression());
        Asked::parse(url, connect)
    }

    /// Returns what to ask for with this request.
    fn asked_by(&self, request: &Request<()>) -> Result<Asked> {
        let extra = Extra::new(request, self.version)?;
        let connect = match extra.protocols()? {
            Some(protocols) => {
                let names = protocols.iter().map(|protocol| protocol.as_str());
                self.connect.clone().protocols(names)
            }
            None => self.connect.clone().protocols(self.protocols.iter().cloned()),
        };
        let connect = extra.add_to(connect)?.compression(self.config.negotiable_compression());
        let asked = Asked::parse(&request.uri().to_string(), connect)?;
        Ok(asked.with_data(request.extensions().clone()))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("config", &self.settings.config)
            .field("proxy", &self.settings.proxy)
            .finish_non_exhaustive()
    }
}
