//! Connecting, to a URL, with a request, or on a stream.

use http::Request;

use crate::client::Client;
use crate::connection::Connection;
use crate::error::Result;
#[cfg(doc)]
use crate::error::{Error, ErrorKind};
use crate::transport::{Given, Io};

impl Client {
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
