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

mod dial;

#[cfg(feature = "http2")]
mod http2;

#[cfg(feature = "rustls")]
mod tls;

mod reconnecting;

use std::fmt;
use std::future::Future;
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
use crate::connection::Connection;
use crate::error::Result;
#[cfg(doc)]
use crate::error::{Error, ErrorKind};
use crate::transport::{Given, Io, SecureClient};

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

    /// Connects to the server at a URL such as `ws://example.com:8080/feed?room=7`.
    ///
    /// The URL is a string, or a type that converts to one, such as `Url` of the crate `url`. It is
    /// read as browsers read it (WHATWG's [URL Standard]): surrounding white space, tabs and line
    /// ends are removed, a backslash is a slash, `.` and `..` are resolved, and characters that are
    /// not allowed in a path, query or password are percent-encoded, except the percent sign.
    /// `http` and `https` mean `ws` and `wss`. A fragment is removed, as in browsers (RFC 6455,
    /// section 3, does not allow one). Host names that are not ASCII (IDN) need the feature `idn`.
    ///
    /// [URL Standard]: https://url.spec.whatwg.org/
    ///
    /// The addresses of the host are tried as in RFC 8305 ("Happy Eyeballs"): IPv6 and IPv4
    /// alternate, each with a head start of 250 ms over the next, until one connects. A user and
    /// password in the URL become an `Authorization` header, unless the client [has
    /// one](Self::header) already. Errors never show them.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidUrl`], [`ErrorKind::InvalidHandshakeOption`],
    ///   [`ErrorKind::InvalidProxy`], [`ErrorKind::InvalidTls`]: the URL or an option is invalid.
    ///   [`ErrorKind::TlsUnavailable`]: the URL is `wss` and a feature is missing, which the
    ///   message names.
    /// - [`ErrorKind::Connect`]: the host does not exist, refuses the connection or can't be
    ///   reached. The message lists every address that was tried, with the reason.
    /// - [`ErrorKind::ProxyFailed`]: the same for the proxy, or it does not speak the proxy
    ///   protocol. [`ErrorKind::ProxyRefused`]: the proxy does not connect to the server.
    /// - [`ErrorKind::CertificateExpired`], [`CertificateName`](ErrorKind::CertificateName),
    ///   [`CertificateUntrusted`](ErrorKind::CertificateUntrusted),
    ///   [`CertificateInvalid`](ErrorKind::CertificateInvalid): the server's certificate is not
    ///   accepted. [`ErrorKind::ClientCertificate`]: the server asks for a client certificate, or
    ///   for another one.
    /// - [`ErrorKind::NotTls`], [`IsTls`](ErrorKind::IsTls): the server speaks plain HTTP where the
    ///   URL is `wss`, or TLS where it is `ws`. [`ErrorKind::Tls`]: the TLS handshake failed in
    ///   another way.
    /// - [`ErrorKind::HandshakeTimeout`]: connecting took longer than the
    ///   [`connect_timeout`](Self::connect_timeout).
    /// - [`ErrorKind::HttpResponse`]: the server answered with an ordinary HTTP response.
    ///   [`Error::response`] has the status, the headers and the start of the body.
    /// - [`ErrorKind::Redirect`]: a redirect can't be [followed](Self::follow_redirects).
    /// - [`ErrorKind::Handshake`]: the server's handshake response is invalid.
    ///   [`ErrorKind::NotHttp`]: it is not HTTP.
    ///
    /// [`Error::is_tls`] and [`Error::is_timeout`] ask for several kinds at once.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future abandons the connection. The future borrows nothing, so it
    /// can be spawned.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or in one without time or I/O.
    #[doc(alias = "connectFailed")]
    pub fn connect(
        &self,
        url: impl AsRef<str>,
    ) -> impl Future<Output = Result<Connection>> + Send + 'static {
        let (settings, asked) = (self.settings.clone(), self.settings.asked(url.as_ref()));
        async move { settings.connect_asked(asked?).await }
    }

    /// Connects with a prepared request: its URI, and its headers in addition to the client's. Use
    /// it for settings that differ from one connection to the next.
    ///
    /// A header of the request replaces the client's header of the same name.
    /// `Sec-WebSocket-Protocol` sets the subprotocols to offer, `Origin` the origin. The request
    /// may already have the handshake headers (`Upgrade: websocket`, `Connection: Upgrade`,
    /// `Sec-WebSocket-Version: 13`). A `Sec-WebSocket-Key` is ignored, since each handshake
    /// generates its own (RFC 6455, section 4.1).
    ///
    /// The extensions of the request become the connection's [data](Connection::data).
    ///
    /// ```no_run
    /// # async fn example(client: towline::Client) -> towline::Result<()> {
    /// let request = http::Request::get("ws://example.com/feed")
    ///     .header("authorization", "Bearer …")
    ///     .header("sec-websocket-protocol", "chat.v2, chat.v1")
    ///     .body(())?;
    /// let connection = client.connect_request(request).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect). Also [`ErrorKind::InvalidHandshakeOption`] for a method other
    /// than GET, a version other than HTTP/1.1, handshake headers with other values than above, and
    /// headers that only the handshake may set, such as `Sec-WebSocket-Extensions`.
    ///
    /// # Cancel safety
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Panics
    ///
    /// As [`connect`](Self::connect).
    #[doc(alias = "IntoClientRequest")]
    pub fn connect_request(
        &self,
        request: Request<()>,
    ) -> impl Future<Output = Result<Connection>> + Send + 'static {
        let (settings, asked) = (self.settings.clone(), self.settings.asked_by(&request));
        async move { settings.connect_asked(asked?).await }
    }

    /// Connects over an existing stream in place of a TCP connection, such as a tunnel or a Unix
    /// socket. For `wss` it does the TLS handshake on the stream, as set by [`tls`](Self::tls). No
    /// proxy is used and no redirect is followed.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), except for those about dialling.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the stream is dropped.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or in one without time.
    pub fn connect_via(
        &self,
        stream: impl Io,
        url: impl AsRef<str>,
    ) -> impl Future<Output = Result<Connection>> + Send + 'static {
        let (settings, asked) = (self.settings.clone(), self.settings.asked(url.as_ref()));
        async move { settings.connect_on(Given::new(stream), asked?, true).await }
    }

    /// Connects over a stream that is ready for the handshake: [TLS](crate::TlsStream), a tunnel, a
    /// Unix socket. The URL is only what to ask for: its scheme and port are not used to dial, and
    /// no TLS is added; [`connect_via`](Self::connect_via) adds it. No proxy is used and no
    /// redirect is followed.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), except for those about dialling.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the stream is dropped.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or in one without time.
    pub fn connect_over(
        &self,
        stream: impl Io,
        url: impl AsRef<str>,
    ) -> impl Future<Output = Result<Connection>> + Send + 'static {
        let (settings, asked) = (self.settings.clone(), self.settings.asked(url.as_ref()));
        async move { settings.connect_on(Given::new(stream), asked?, false).await }
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
