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

#[cfg(feature = "rustls")]
mod default_tls;

#[cfg(not(feature = "rustls"))]
#[path = "no_tls.rs"]
mod default_tls;

mod connecting;

#[cfg(feature = "rustls")]
mod tls;

use std::fmt;
use std::future::Future;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http::header::{HeaderName, HeaderValue};
use towline_proto::Config;
use towline_proto::handshake::{Connect, HeadLimits, Version};

pub use proxy::Proxy;
pub use resolve::Resolve;

use crate::client::asked::{Asked, Extra};
use crate::client::resolve::Resolver;
use crate::connection::Connection;
use crate::error::Result;
#[cfg(doc)]
use crate::error::{Error, ErrorKind};
use crate::transport::{AnyStream, Io, SecureClient};

/// What connects to servers. Set it up once and connect as often as you like; clones share what
/// can be shared.
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
    /// Shared with the clones, and with the connections that are being made.
    settings: Arc<Settings>,
}

/// What a client was told.
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
    resolver: Resolver,
    proxy: Proxy,
    follow_redirects: u8,
    /// Else as by default.
    tls: Option<Arc<dyn SecureClient>>,
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
            resolver: Resolver::default(),
            proxy: Proxy::default(),
            follow_redirects: 0,
            tls: None,
        }
    }
}

impl Client {
    /// A client with default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// What this client was told, to be changed; clones go on with what they were told.
    pub(crate) fn settings(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    /// Sets how connections behave. Default: [`Config::client`].
    pub fn config(mut self, config: Config) -> Self {
        self.settings().config = config;
        self
    }

    /// Offers these subprotocols, in the order of preference; each call adds to them.
    #[doc(alias = "requestedProtocols")]
    pub fn protocols<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.settings().protocols.extend(names.into_iter().map(Into::into));
        self
    }

    /// Names the origin of the page on whose behalf the connection is made. Default: none.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.settings().change(|connect| connect.origin(origin));
        self
    }

    /// Adds this header to the request; each call adds one.
    ///
    /// `Authorization` takes the place of the URL's user and password; `Host` may be set to ask a
    /// server for a name other than the one it was reached by. `Authorization`, `Cookie`,
    /// `Proxy-Authorization` and each value that
    /// [is marked as sensitive](HeaderValue::set_sensitive) stay with the server that the program
    /// named, see [`follow_redirects`](Self::follow_redirects).
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        self.settings().change(|connect| connect.header(name, value));
        self
    }

    /// Speaks this version. Default: [`Version::Rfc6455`]. Draft 8 differs in the name of the
    /// origin's header alone.
    #[doc(alias("webSocketVersion", "websocketVersion"))]
    pub fn version(mut self, version: Version) -> Self {
        let settings = self.settings();
        settings.change(|connect| connect.version(version));
        settings.version = version;
        self
    }

    /// Sets how long connecting may take in all: the look-up of the name, the transport, a proxy's
    /// answer, TLS, the handshake, and the same for each redirect. Default: 30 s. The error says
    /// which of these it was that took so long.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings().connect_timeout = timeout;
        self
    }

    /// Sets how large the head of the server's answer may be, and that of an HTTP proxy. Default:
    /// 16 KiB and 100 headers.
    pub fn head_limits(mut self, limits: HeadLimits) -> Self {
        self.settings().head_limits = limits;
        self
    }

    /// Sets whether small writes go out at once rather than wait for company, on TCP streams,
    /// whoever dialled them. Default: on.
    #[doc(alias("disableNagleAlgorithm", "set_nodelay", "TCP_NODELAY"))]
    pub fn nodelay(mut self, on: bool) -> Self {
        self.settings().nodelay = on;
        self
    }

    /// Has this find the addresses of hosts, of the servers' and of the proxies'. Default:
    /// getaddrinfo, which is what the operating system would do, on a thread of the runtime's.
    ///
    /// A host that is an address already is not asked for. So a resolver is no wall against
    /// addresses that are not to be connected to, unless the URLs are checked as well; and what a
    /// proxy looks up is its own affair.
    pub fn resolver(mut self, resolve: impl Resolve) -> Self {
        self.settings().resolver = Resolver::new(resolve);
        self
    }

    /// Connects through this proxy. Default: [`Proxy::from_env`], which is the one that the
    /// environment names whenever a connection is made, if it names one.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.settings().proxy = proxy;
        self
    }

    /// Sets how many redirects are followed on the way to one connection: answers with 301, 302, 303,
    /// 307 or 308, and a `Location`. Default: 0, as in browsers; a redirect is an
    /// [`ErrorKind::HttpResponse`] then. Each costs a connection.
    ///
    /// `http` and `https` in a `Location` are the same as `ws` and `wss`. From `wss` nothing leads to
    /// `ws`. To another origin, which is another scheme, host or port, neither `Authorization`,
    /// `Cookie`, `Proxy-Authorization` and `Host` go along nor what is marked as sensitive, nor the
    /// user and the password of the URL; and they do not come back. All else does go along:
    /// subprotocols and `Origin` too. Where that led is in
    /// [`Connection::url`](Connection::url).
    #[doc(alias("followRedirects", "maxRedirects"))]
    pub fn follow_redirects(mut self, most: u8) -> Self {
        self.settings().follow_redirects = most;
        self
    }

    /// Connects to the server that a URL names: `ws://example.com:8080/feed?room=7`.
    ///
    /// The URL is a string, or what can be seen as one, such as the `Url` of the crate `url`. It is
    /// read as browsers read it (the [URL Standard] of WHATWG): white space around it, tabs and line
    /// ends are left out, a backslash is a slash, `.` and `..` are resolved, and what can't stand in
    /// a path, a query or a password is encoded with percent signs, but for a percent sign itself.
    /// `http` and `https` are the same as `ws` and `wss`. A fragment is left out: RFC 6455, section 3,
    /// has it that there must be none, and browsers remove it. The name of a host that is not ASCII
    /// (IDN) takes the feature `idn`.
    ///
    /// [URL Standard]: https://url.spec.whatwg.org/
    ///
    /// The addresses of the host are tried as RFC 8305 has it ("Happy Eyeballs"): IPv6 and IPv4 by
    /// turns, each with a head start of 250 ms over the next, until one connects. A user and a
    /// password in the URL become an `Authorization`, unless the client [has one](Self::header)
    /// already; no error shows them.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidUrl`], [`ErrorKind::InvalidHandshakeOption`],
    ///   [`ErrorKind::InvalidProxy`], [`ErrorKind::InvalidTls`]: what was asked for can't be.
    ///   [`ErrorKind::TlsUnavailable`] for `wss` where a feature is missing, which it names.
    /// - [`ErrorKind::Connect`]: no such host, nobody listens, no way there. The message has every
    ///   address that was tried, with the reason.
    /// - [`ErrorKind::ProxyFailed`]: the same for the proxy, or it does not speak as one.
    ///   [`ErrorKind::ProxyRefused`]: it does, and does not connect to the server.
    /// - [`ErrorKind::CertificateExpired`], [`CertificateName`](ErrorKind::CertificateName),
    ///   [`CertificateUntrusted`](ErrorKind::CertificateUntrusted),
    ///   [`CertificateInvalid`](ErrorKind::CertificateInvalid): the server's certificate is not
    ///   accepted. [`ErrorKind::ClientCertificate`]: the server wants one of this end, or another.
    /// - [`ErrorKind::NotTls`], [`IsTls`](ErrorKind::IsTls): it speaks something else, and `wss` was to
    ///   be `ws`, or the other way round. [`ErrorKind::Tls`]: the TLS handshake failed in another way.
    /// - [`ErrorKind::HandshakeTimeout`]: it took longer than the
    ///   [`connect_timeout`](Self::connect_timeout).
    /// - [`ErrorKind::HttpResponse`]: the server answered with something other than a WebSocket;
    ///   [`Error::response`] has status, headers and the start of the body.
    /// - [`ErrorKind::Redirect`]: it led to where nobody is to [follow](Self::follow_redirects).
    /// - [`ErrorKind::Handshake`]: its answer is invalid.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a connection that is being made is given up. The future has a share of what the
    /// client was told and borrows nothing, so it can be spawned.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without time or I/O.
    #[doc(alias = "connectFailed")]
    pub fn connect(
        &self,
        url: impl AsRef<str>,
    ) -> impl Future<Output = Result<Connection>> + Send + 'static {
        let (settings, asked) = (self.settings.clone(), self.settings.asked(url.as_ref()));
        async move { settings.connect_asked(asked?).await }
    }

    /// Connects to the server that a request names, with its headers: for what differs from one
    /// connection to the next, and for programs that make requests already.
    ///
    /// A header of the request takes the place of the client's of the same name.
    /// `Sec-WebSocket-Protocol` in it are the subprotocols to offer, `Origin` is the origin. What
    /// belongs to the handshake may be there as it must be (`Upgrade: websocket`,
    /// `Connection: Upgrade`, `Sec-WebSocket-Version: 13`), as requests made for other libraries have
    /// it, and so may a `Sec-WebSocket-Key`, which does not count: each handshake has a key of its
    /// own (RFC 6455, section 4.1).
    ///
    /// What is among the request's extensions is the connection's [data](Connection::data).
    ///
    /// ```no_run
    /// # async fn example(client: towline::Client) -> Result<(), Box<dyn std::error::Error>> {
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
    /// As [`connect`](Self::connect). [`ErrorKind::InvalidHandshakeOption`] as well for a method other
    /// than GET, a version other than HTTP/1.1, headers of the handshake that contradict it, and those
    /// that it alone may set, such as `Sec-WebSocket-Extensions`.
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

    /// Connects over a stream that leads to the server as a TCP connection to it would: through a
    /// tunnel, say, or over a Unix socket. For `wss` it does the TLS handshake there, as
    /// [`tls`](Self::tls) says. There is no proxy, and no redirect is followed.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), but for what has to do with dialling.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the stream is dropped.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without time.
    pub fn connect_via(
        &self,
        stream: impl Io,
        url: impl AsRef<str>,
    ) -> impl Future<Output = Result<Connection>> + Send + 'static {
        let (settings, asked) = (self.settings.clone(), self.settings.asked(url.as_ref()));
        async move { settings.connect_on(AnyStream::new(stream), asked?, true).await }
    }

    /// Connects over a stream that there is already: [TLS](crate::TlsStream), a tunnel, a Unix socket.
    /// The URL says what to ask for; its scheme and port are not dialled, and no TLS is put on the
    /// stream: [`connect_via`](Self::connect_via) does that. There is no proxy, and no redirect is
    /// followed.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), but for what has to do with dialling.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the stream is dropped.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without time.
    pub fn connect_over(
        &self,
        stream: impl Io,
        url: impl AsRef<str>,
    ) -> impl Future<Output = Result<Connection>> + Send + 'static {
        let (settings, asked) = (self.settings.clone(), self.settings.asked(url.as_ref()));
        async move { settings.connect_on(AnyStream::new(stream), asked?, false).await }
    }
}

impl Settings {
    /// Changes what is asked for.
    fn change(&mut self, change: impl FnOnce(Connect) -> Connect) {
        self.connect = change(mem::take(&mut self.connect));
    }

    /// What this URL asks for.
    fn asked(&self, url: &str) -> Result<Asked> {
        let connect = self.connect.clone().protocols(self.protocols.iter().cloned());
        let connect = connect.compression(self.config.negotiable_compression());
        Asked::parse(url, connect)
    }

    /// What this request asks for.
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
