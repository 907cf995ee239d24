//! How a server is set up.

#[cfg(feature = "rustls")]
mod tls;

use std::io;
use std::time::Duration;

use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::Semaphore;
use towline_proto::Config;
use towline_proto::handshake::{HeadLimits, OriginPolicy, TrustedProxies, Version};

use crate::error::{Error, ErrorKind, Result};
use crate::server::Server;
use crate::server::hub::Options;
use crate::server::listening;

/// How a server is set up; made by [`Server::builder`].
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use towline::{Config, OriginPolicy, Server};
///
/// let server = Server::builder()
///     .config(Config::server().max_received_message_size(16 << 20))
///     .origins(OriginPolicy::list(["https://app.example"])?)
///     .handshake_timeout(Duration::from_secs(5))
///     .bind("127.0.0.1:9001")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct ServerBuilder {
    options: Options,
    reuse_port: bool,
}

impl ServerBuilder {
    /// Sets how connections behave. Default: [`Config::server`].
    pub fn config(mut self, config: Config) -> Self {
        self.options.config = config;
        self
    }

    /// Sets which pages [`Request::accept`](crate::Request::accept) and
    /// [`auto_accept`](Self::auto_accept) accept connections from (RFC 6455, section 10.2).
    /// Default: those of the same origin, so that no other site can act in a visitor's name. Over
    /// TLS, of the server's own or as a trusted proxy says, that is pages of `https` only: see
    /// [`OriginPolicy::SameOrigin`].
    pub fn origins(mut self, origins: OriginPolicy) -> Self {
        self.options.origins = origins;
        self
    }

    /// Sets whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed, or `Forwarded` in their
    /// place. Default: loopback alone, for a proxy on the same machine.
    ///
    /// ```
    /// use towline::{Server, TrustedProxies};
    ///
    /// // The load balancers are in this network, and nobody else is.
    /// let trusted = TrustedProxies::default().and("10.1.4.0/24")?;
    /// let builder = Server::builder().trusted_proxies(trusted);
    /// # Ok::<(), towline::CidrError>(())
    /// ```
    pub fn trusted_proxies(mut self, trusted: TrustedProxies) -> Self {
        self.options.trusted_proxies = trusted;
        self
    }

    /// Sets the oldest version of the protocol that is accepted. A client which asks for an older
    /// one is answered with 426 and the versions that there are. Default: [`Version::Draft8`],
    /// which is 8 and 13, as with WebSocket-Node.
    ///
    /// Draft 8 has the frames of RFC 6455 and the same checks; only the header for the origin has
    /// another name. No browser has asked for it since 2012, so a server for browsers and current
    /// programs loses nothing by [`Version::Rfc6455`].
    ///
    /// ```
    /// use towline::{Server, Version};
    ///
    /// let builder = Server::builder().oldest_version(Version::Rfc6455);
    /// ```
    pub fn oldest_version(mut self, oldest: Version) -> Self {
        self.options.oldest_version = oldest;
        self
    }

    /// Sets how large a request may be. Default: 16 KiB and 100 headers. A larger one is answered
    /// with 431.
    pub fn head_limits(mut self, limits: HeadLimits) -> Self {
        self.options.head_limits = limits;
        self
    }

    /// Sets how long a client may take for its request, from the first byte of the connection on.
    /// Default: 10 s. A slower one is answered with 408. One that takes the answer no faster is
    /// given up.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.options.handshake_timeout = timeout;
        self
    }

    /// Sets how many requests there may be that the program has not taken yet, or connections
    /// with [`auto_accept`](Self::auto_accept). Further ones wait, read but neither handed out nor
    /// accepted. Default: 1024.
    pub fn max_pending_requests(mut self, requests: usize) -> Self {
        self.options.max_pending_requests = requests.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Sets how many handshakes there may be at once: streams whose request has not come whole or
    /// waits to be handed out. Further clients wait in the listening socket's backlog, but for one
    /// that waits outside of it. One takes a socket and some 3 KiB until the
    /// [`handshake_timeout`](Self::handshake_timeout). Default: 16,384.
    pub fn max_handshakes(mut self, handshakes: usize) -> Self {
        self.options.max_handshakes = handshakes.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Sets whether small writes go out at once rather than wait for company, on TCP streams,
    /// whoever accepted them. Default: on.
    #[doc(alias("disableNagleAlgorithm", "set_nodelay", "TCP_NODELAY"))]
    pub fn nodelay(mut self, on: bool) -> Self {
        self.options.nodelay = on;
        self
    }

    /// Sets whether every request is accepted as it comes, with the first subprotocol, if the
    /// policy for [`origins`](Self::origins) allows it: take the connections with
    /// [`Server::next_connection`]; there are no requests then. A page that the policy does not
    /// allow is answered with 403. For the simplest of servers only. Default: off.
    ///
    /// WebSocket-Node's `autoAcceptConnections` takes any origin; here
    /// `origins(OriginPolicy::Any)` does.
    #[doc(alias = "autoAcceptConnections")]
    pub fn auto_accept(mut self, on: bool) -> Self {
        self.options.auto_accept = on;
        self
    }

    /// Sets whether [`bind`](Self::bind) shares the port with others that do so, of the same user
    /// (`SO_REUSEPORT`): the kernel spreads new connections over the listening sockets. Default:
    /// off.
    ///
    /// This is how a server uses several cores without its threads ever meeting: a runtime of its
    /// own for each, and on each a server on the same port. Connections stay where they were
    /// accepted, so a thread may be busier than another; and a program that is started twice is
    /// not told so. A [`listener`](Self::listen) of your own is as you made it.
    ///
    /// ```no_run
    /// use towline::Server;
    ///
    /// let threads = (0..4).map(|_| {
    ///     std::thread::spawn(|| {
    ///         let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    ///         runtime.block_on(async {
    ///             let builder = Server::builder().reuse_port(true);
    ///             let mut server = builder.bind("127.0.0.1:9001").await?;
    ///             while let Some(request) = server.next_request().await {
    ///                 // … tokio::spawn(…)
    ///                 # drop(request);
    ///             }
    ///             Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    ///         })
    ///     })
    /// });
    /// # for thread in threads.collect::<Vec<_>>() { thread.join().unwrap().unwrap(); }
    /// ```
    ///
    /// # Platforms
    ///
    /// Linux and Android spread connections; on other Unix systems one of the sockets may get most
    /// of them. Where there is no such option, as on Windows, binding fails.
    pub fn reuse_port(mut self, on: bool) -> Self {
        self.reuse_port = on;
        self
    }

    /// A server that listens on this address; port 0 is any that is free.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Listen`] if the address can't be listened on: it is in use, say.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: either there is a server, or the address is free.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without time.
    pub async fn bind(self, address: impl ToSocketAddrs + std::fmt::Debug) -> Result<Server> {
        let what = format!("{address:?}");
        match listening::bind(address, self.reuse_port).await {
            Ok(listener) => Ok(self.listen(listener)),
            Err(error) => Err(cannot_listen(&what, error)),
        }
    }

    /// A server on a listening socket. More can be [mounted](crate::ServerHandle::mount).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without time.
    pub fn listen(self, listener: TcpListener) -> Server {
        let server = self.build();
        // Nobody has ended it yet.
        let _ = server.mount(listener);
        server
    }

    /// A server without a socket of its own: for requests that come through an HTTP library, and
    /// for [streams](crate::ServerHandle::serve) of any kind.
    pub fn build(self) -> Server {
        Server::with_options(self.options)
    }
}

fn cannot_listen(address: &str, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => " (another program listens there; port 0 is any free one)",
        io::ErrorKind::PermissionDenied => " (ports below 1024 may need privileges)",
        _ => "",
    };
    Error::new(ErrorKind::Listen, format!("can't listen on {address}: {error}{hint}"))
        .with_source(error)
}
