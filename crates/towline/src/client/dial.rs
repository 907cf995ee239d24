//! A byte stream to a server, without a WebSocket on it.

use std::future::{Future, poll_fn};
use std::pin::Pin;

use tokio::io::AsyncWrite as _;
use towline_proto::handshake::Target;

use crate::client::connecting::through;
use crate::client::progress::Progress;
use crate::client::upgrade::Reached;
use crate::client::{Client, Settings};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{HTTP_1, Transport, Whose};

impl Client {
    /// Connects to the server at a URL and returns the byte stream, without a WebSocket handshake:
    /// for tunnels, for handshakes of other protocols and of your own, for health checks and tests.
    ///
    /// It is reached as [`connect`](Self::connect) does: by the same [resolver](Self::resolver),
    /// [proxy](Self::proxy) with its exceptions, and race of the addresses (RFC 8305), and with
    /// [TLS](Self::tls) if the URL is `wss` or `https`. Of the URL, only the scheme, the host and the port
    /// count. The [`connect_timeout`](Self::connect_timeout) is for all of it. Nothing is sent to the
    /// server except for TLS, so no redirect is followed.
    ///
    /// By ALPN, TLS offers `http/1.1`. With the feature `http2`, it offers what `http_version` asks
    /// for, also for `https`; [`Transport::tls`] has what was selected.
    ///
    /// ```no_run
    /// # async fn example(mut local: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
    /// use towline::Client;
    ///
    /// // A tunnel to any TCP server, by the proxy that the environment names.
    /// let mut remote = Client::new().dial("ws://db.example:5432").await?;
    /// println!("reached by {:?}", remote.proxy());
    /// tokio::io::copy_bidirectional(&mut local, &mut remote).await?;
    ///
    /// // Look at the certificate, and then go on with a WebSocket.
    /// let client = Client::new();
    /// let transport = client.dial("wss://example.com").await?;
    /// println!("{:?}", transport.tls());
    /// let connection = client.connect_over(transport, "wss://example.com/feed").await?;
    /// # drop(connection);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), except for those of the handshake:
    ///
    /// - [`ErrorKind::InvalidUrl`], [`ErrorKind::InvalidProxy`], [`ErrorKind::InvalidTls`],
    ///   [`ErrorKind::TlsUnavailable`]: nothing was sent.
    /// - [`ErrorKind::Connect`]: the host does not exist, refuses the connection or can't be reached.
    /// - [`ErrorKind::ProxyFailed`], [`ErrorKind::ProxyRefused`]: the proxy can't be reached, or does
    ///   not connect to the server.
    /// - Those of TLS, which [`Error::is_tls`] summarizes.
    /// - [`ErrorKind::HandshakeTimeout`]: it took longer than the
    ///   [`connect_timeout`](Self::connect_timeout). The message names the step.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future abandons the connection. The future borrows nothing, so it
    /// can be spawned.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or in one without time or I/O.
    #[doc(alias = "tunnel")]
    pub fn dial(
        &self,
        url: impl AsRef<str>,
    ) -> impl Future<Output = Result<Transport>> + Send + 'static {
        let (settings, asked) = (self.settings.clone(), self.settings.asked(url.as_ref()));
        async move { settings.dial(&asked?.target()?).await }
    }

    /// Returns the proxy that [`connect`](Self::connect) and [`dial`](Self::dial) would use for this
    /// URL, without its user and password: `http://proxy:3128`. `None` means none. Nothing is
    /// dialled. By default, this is what the environment says now.
    ///
    /// ```
    /// # fn main() -> towline::Result<()> {
    /// use towline::{Client, Proxy};
    ///
    /// let proxy = Proxy::new("http://deckhand:s3cret@proxy.example:3128")?.no_proxy("localhost");
    /// let client = Client::new().proxy(proxy);
    /// let through = client.proxy_for("wss://example.com/feed")?;
    /// assert_eq!(through.as_deref(), Some("http://proxy.example:3128"));
    /// assert_eq!(client.proxy_for("ws://localhost:9001")?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidUrl`]; [`ErrorKind::InvalidProxy`] for an environment variable or a header
    /// that is invalid.
    pub fn proxy_for(&self, url: impl AsRef<str>) -> Result<Option<String>> {
        let target = self.settings.asked(url.as_ref())?.target()?;
        Ok(self.settings.proxy.hop(&target)?.map(|hop| hop.to_string()))
    }
}

impl Settings {
    async fn dial(&self, target: &Target) -> Result<Transport> {
        let progress = Progress::default();
        let alpn = self.carrier.as_ref().map_or(HTTP_1, |carrier| carrier.alpn());
        let dialling = async {
            self.check_tls(target, Whose::Named)?;
            let reached = self.reach(target, Whose::Named, alpn, &progress).await?;
            let Reached { mut stream, peer_addr, proxy } = reached;
            // The end of a TLS handshake is usually sent with the request. Here, the server may be the
            // one that speaks first.
            let flushed = poll_fn(|cx| Pin::new(&mut stream).poll_flush(cx)).await;
            flushed.map_err(|error| {
                let message =
                    format!("TLS with {}: the handshake broke off: {error}", target.host());
                through(proxy.as_deref(), Error::of_stream(ErrorKind::Tls, message, error))
            })?;
            Ok(Transport::new(stream, peer_addr, proxy))
        };
        self.in_time(target.authority(), &progress, dialling).await
    }
}
