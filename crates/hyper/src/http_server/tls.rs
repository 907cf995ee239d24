//! The TLS options of HTTP servers.

use std::sync::Arc;

use tokio::net::TcpStream;
use towline::TlsServer;

use crate::greeting::{Secure, Securing};
use crate::http_server::HttpServer;

impl<S> HttpServer<S> {
    /// Sets that the server speaks TLS, so that clients connect with `https://` and `wss://`.
    /// Default: it does not.
    ///
    /// Clients that offer HTTP/2 by ALPN get it. Without ALPN, the first bytes decide between
    /// HTTP/1.1 and HTTP/2. A client that speaks plain HTTP is answered with a 400 that says so.
    /// The [`header_timeout`](Self::header_timeout) includes the TLS handshake, which also counts
    /// towards [`max_handshakes`](Self::max_handshakes); a shutdown aborts it, and failures are
    /// [reported](Self::report_to). Requests have an `Arc` of a [`TlsInfo`](towline::TlsInfo) among
    /// their extensions.
    ///
    /// Applies to sockets listened on afterwards, so a server can have both kinds:
    ///
    /// ```no_run
    /// # async fn example<S>(http: towline_hyper::HttpServer<S>) -> Result<(), Box<dyn std::error::Error>>
    /// # where
    /// #     S: hyper::service::Service<
    /// #         hyper::Request<hyper::body::Incoming>,
    /// #         Response = hyper::Response<http_body_util::Full<bytes::Bytes>>,
    /// #         Error = std::convert::Infallible,
    /// #     > + Clone + Send + Sync + 'static,
    /// #     S::Future: Send + 'static,
    /// # {
    /// use tokio::net::TcpListener;
    /// use towline::TlsServer;
    ///
    /// http.listen(TcpListener::bind("127.0.0.1:80").await?);
    /// let tls = TlsServer::from_pem_files("chain.pem", "key.pem")?;
    /// let http = http.tls(tls.clone());
    /// http.listen(TcpListener::bind("0.0.0.0:443").await?);
    /// // Later, when the files have been renewed:
    /// tls.reload()?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn tls(mut self, tls: TlsServer) -> Self {
        self.http.tls = Some(Arc::new(tls));
        self
    }
}

impl Secure for TlsServer {
    fn secure(&self, stream: TcpStream) -> Securing<'_> {
        Box::pin(self.accept_http2(stream))
    }
}
