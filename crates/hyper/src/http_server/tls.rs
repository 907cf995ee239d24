//! HTTP servers that speak TLS.

use std::sync::Arc;

use tokio::net::TcpStream;
use towline::TlsServer;

use crate::greeting::{Secure, Securing};
use crate::http_server::HttpServer;

impl<S> HttpServer<S> {
    /// Sets that the server speaks TLS: clients come by `https://` and `wss://`. Default: it does not.
    ///
    /// Clients that offer HTTP/2 by ALPN get it; where they offer nothing, what they begin with says
    /// what they speak. One that speaks plain HTTP is told so with a 400. The TLS handshake is within
    /// the [`header_timeout`](Self::header_timeout) and counts among the
    /// [`max_handshakes`](Self::max_handshakes), a shutdown ends it, and
    /// [`report_to`](Self::report_to) says who is told if it fails. Requests bear an `Arc` of a [`TlsInfo`](towline::TlsInfo) among their
    /// extensions.
    ///
    /// It holds for sockets that are listened on afterwards, so that a server can have both kinds:
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
