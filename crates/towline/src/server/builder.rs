//! The options of a server.

mod quotas;

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
use crate::server::gate::Gate;
use crate::server::handle::ServerHandle;
use crate::server::hub::Options;
use crate::server::listening;
use crate::topics::Topics;

/// Sets up a server; made by [`Server::builder`].
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
    /// Sets the configuration of connections. Default: [`Config::server`].
    pub fn config(mut self, config: Config) -> Self {
        self.options.config = config;
        self
    }

    /// Sets the pages that [`Request::accept`](crate::Request::accept) and
    /// [`auto_accept`](Self::auto_accept) accept connections from (RFC 6455, section 10.2).
    /// Default: pages of the same origin, so that no other site can act in a visitor's name. Over
    /// TLS, whether the server's own or reported by a trusted proxy, only pages of `https` are
    /// accepted: see [`OriginPolicy::SameOrigin`].
    pub fn origins(mut self, origins: OriginPolicy) -> Self {
        self.options.origins = origins;
        self
    }

    /// Sets the proxies whose `X-Forwarded-For` and `X-Forwarded-Proto`, or `Forwarded`, are
    /// trusted. Default: loopback only, for a proxy on the same machine.
    ///
    /// ```
    /// use towline::{Server, TrustedProxies};
    ///
    /// // Only the load balancers are in this network.
    /// let trusted = TrustedProxies::default().and("10.1.4.0/24")?;
    /// let builder = Server::builder().trusted_proxies(trusted);
    /// # Ok::<(), towline::CidrError>(())
    /// ```
    pub fn trusted_proxies(mut self, trusted: TrustedProxies) -> Self {
        self.options.trusted_proxies = trusted;
        self
    }

    /// Sets the oldest protocol version to accept. A request for an older one is answered with 426
    /// and the supported versions. Default: [`Version::Draft8`], which accepts 8 and 13, as
    /// WebSocket-Node does.
    ///
    /// Draft 8 has the frames and the checks of RFC 6455; only the origin header has another name.
    /// No browser has used it since 2012, so most servers can set [`Version::Rfc6455`].
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

    /// Sets how large the head of a request may be. Default: 16 KiB and 100 headers. A larger one
    /// is answered with 431.
    pub fn head_limits(mut self, limits: HeadLimits) -> Self {
        self.options.head_limits = limits;
        self
    }

    /// Sets how long a client may take for its request, counted from when the connection is
    /// accepted. Default: 10 s. A slower client is answered with 408. One that takes longer than
    /// this to read the response is disconnected.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.options.handshake_timeout = timeout;
        self
    }

    /// Sets how many requests, or connections with [`auto_accept`](Self::auto_accept), can be
    /// queued for the program. Further requests are read, and then wait. Default: 1024.
    pub fn max_pending_requests(mut self, requests: usize) -> Self {
        self.options.max_pending_requests = requests.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Sets how many handshakes can be in progress at once: streams whose request is incomplete or
    /// waits for a place in the queue, and requests of
    /// [`ServerHandle::request`](crate::ServerHandle::request) until they are answered, beyond which
    /// the answer is 503. Further clients wait in the listening socket's backlog,
    /// except for one that is accepted already. Each costs a socket and some 3 KiB until the
    /// [`handshake_timeout`](Self::handshake_timeout). Default: 16,384.
    pub fn max_handshakes(mut self, handshakes: usize) -> Self {
        self.options.max_handshakes = handshakes.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Sets whether to turn Nagle's algorithm off, so that small writes are sent at once. Applies
    /// to every TCP stream, including those passed to [`serve`](crate::ServerHandle::serve).
    /// Default: on.
    #[doc(alias("disableNagleAlgorithm", "set_nodelay", "TCP_NODELAY"))]
    pub fn nodelay(mut self, on: bool) -> Self {
        self.options.nodelay = on;
        self
    }

    /// Sets whether to accept every request that the policy for [`origins`](Self::origins) allows,
    /// with the first subprotocol it offers. Take the connections with [`Server::next_connection`];
    /// no requests are handed out. Pages that the policy does not allow are answered with 403. For
    /// the simplest servers only. Default: off.
    ///
    /// WebSocket-Node's `autoAcceptConnections` accepts any origin; `origins(OriginPolicy::Any)`
    /// does so here.
    #[doc(alias = "autoAcceptConnections")]
    pub fn auto_accept(mut self, on: bool) -> Self {
        self.options.auto_accept = on;
        self
    }

    /// Sets the [`topics`](crate::ServerHandle::topics) of the server: those with options or a relay,
    /// or those of another server, to share them. Default: topics of its own.
    pub fn topics(mut self, topics: Topics) -> Self {
        self.options.topics = Some(topics);
        self
    }

    /// Sets whether [`bind`](Self::bind) shares the port with other sockets of the same user that
    /// also set `SO_REUSEPORT`. The kernel spreads new connections over them. Default: off.
    ///
    /// A server can then use several cores with threads that share nothing: each has its own
    /// runtime, and a server on the same port. Connections stay on the thread that accepted them,
    /// so threads can be unevenly busy. A program that is started twice gets no error. A
    /// [listener](Self::listen) that you made is left as it is.
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
    /// Linux and Android spread connections. On other Unix systems one of the sockets may
    /// get most of them. On systems without the option, such as Windows, binding fails.
    pub fn reuse_port(mut self, on: bool) -> Self {
        self.reuse_port = on;
        self
    }

    /// Returns a server that listens on this address. Port 0 chooses a free port.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Listen`] if the address can't be listened on, for example because it is in use.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if dropped, the address is free.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or in one without time.
    pub async fn bind(self, address: impl ToSocketAddrs + std::fmt::Debug) -> Result<Server> {
        let what = format!("{address:?}");
        match listening::bind(address, self.reuse_port).await {
            Ok(listener) => Ok(self.listen(listener)),
            Err(error) => Err(cannot_listen(&what, error)),
        }
    }

    /// Returns a server on a listening socket. [Mount](crate::ServerHandle::mount) more as needed.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or in one without time.
    pub fn listen(self, listener: TcpListener) -> Server {
        let server = self.build();
        // A new server has not ended, so this does not fail.
        let _ = server.mount(listener);
        server
    }

    /// Returns a server without a socket: for requests that come through an HTTP library, and for
    /// [streams](crate::ServerHandle::serve) of any kind.
    pub fn build(self) -> Server {
        Server::with_options(self.options)
    }

    /// Returns the handle of a server without a queue, for HTTP libraries and web frameworks whose
    /// handlers take requests by [`ServerHandle::request`]. There is no [`Server`] to keep alive:
    /// the server lasts as long as its handles and connections, or until it is
    /// [shut down](ServerHandle::shutdown).
    ///
    /// All else works as for any other server: origins, limits, events, broadcasts, shutdown.
    /// Requests that would be queued are answered with 503, and
    /// [`ServerHandle::mount`] returns an error, so [`ServerHandle::unmount`] is for good.
    /// [`max_pending_requests`](Self::max_pending_requests) and [`auto_accept`](Self::auto_accept)
    /// have no effect.
    ///
    /// ```
    /// let server = towline::Server::builder().build_handle();
    /// assert!(server.is_mounted());
    /// ```
    pub fn build_handle(self) -> ServerHandle {
        ServerHandle::new(Gate::without_way(self.options))
    }
}

fn cannot_listen(address: &str, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => " (another program listens there; port 0 chooses a free port)",
        io::ErrorKind::PermissionDenied => " (ports below 1024 may need privileges)",
        _ => "",
    };
    Error::new(ErrorKind::Listen, format!("can't listen on {address}: {error}{hint}"))
        .with_source(error)
}
