//! An HTTP server, for programs without their own accept loop.

#[cfg(feature = "rustls")]
mod tls;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::service::Service;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use towline::{ServerHandle, accept_one};

use crate::failure::{Failure, Lines, Reporter};
use crate::place::Places;
use crate::serving::{BoxError, Http, Phase, Windows};

/// The longest `header_timeout`. hyper panics with one that is beyond the end of its clock.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The default limit of handshakes at once, as in `towline::Server`.
const MAX_HANDSHAKES: usize = 16 << 10;

/// An HTTP server for a [mounted](crate::mount()) WebSocket server: it accepts connections, speaks
/// HTTP/1.1 and HTTP/2, and shuts down gracefully. The head of a request can have 64 KiB and 100
/// headers over HTTP/1.1, and 16 KiB over HTTP/2 (RFC 9113, section 6.5.2). A larger one is answered
/// with 431.
///
/// With the feature `rustls` it also speaks TLS: its method `tls` takes a `TlsServer`.
///
/// It is optional: a [`Mount`](crate::Mount) is a service that any accept loop can serve.
///
/// ```no_run
/// # use std::convert::Infallible;
/// # use std::time::Duration;
/// # use bytes::Bytes;
/// # use http_body_util::Full;
/// # use hyper::{Request, Response, body::Incoming, service::service_fn};
/// # use tokio::net::TcpListener;
/// # use towline::{CloseCode, Server};
/// # use towline_hyper::{HttpServer, mount};
/// # async fn page(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
/// #     Ok(Response::new("ship ahoy".into()))
/// # }
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder().build();
/// let http = HttpServer::new(mount(server.handle(), service_fn(page)));
/// http.listen(TcpListener::bind("127.0.0.1:9001").await?);
/// http.listen(TcpListener::bind("[::1]:9001").await?);
/// // … server.next_request() …
///
/// // Shut both down at once: a WebSocket over HTTP/2 is a part of an HTTP connection.
/// let deadline = Duration::from_secs(5);
/// let (aborted, shutdown) =
///     tokio::join!(http.shutdown(deadline), server.shutdown(CloseCode::GOING_AWAY, deadline));
/// # Ok(())
/// # }
/// ```
///
/// When dropped, it stops listening. Connections stay open.
pub struct HttpServer<S> {
    http: Http<S>,
    phase: watch::Sender<Phase>,
}

impl<S> HttpServer<S> {
    /// Returns a server for this service, without a listening socket.
    ///
    /// The service is a hyper service; wrap a tower service in
    /// `hyper_util::service::TowerToHyperService`.
    pub fn new(service: S) -> Self {
        let header_timeout = Duration::from_secs(10);
        let http = Http {
            service,
            header_timeout,
            windows: Windows::default(),
            places: Places::new(MAX_HANDSHAKES, None),
            nodelay: true,
            tls: None,
            reporter: Reporter { report_to: None, lines: Arc::default() },
        };
        Self { http, phase: watch::Sender::new(Phase::Serving) }
    }

    /// Sets how long a client may take for the head of a request, counted from when the connection
    /// is accepted or the previous response ends. Default: 10 s. For the first head, this includes
    /// the TLS handshake. A connection that is slower, or idle for that long, is closed.
    ///
    /// HTTP/2 has many requests on one connection. There it is how long the peer can be silent
    /// before it is sent a ping, and how long it may take to answer it. A peer that takes no bytes
    /// for twice as long is disconnected.
    ///
    /// More than ten years count as ten years.
    ///
    /// Applies to sockets listened on afterwards.
    #[must_use]
    pub fn header_timeout(mut self, timeout: Duration) -> Self {
        self.http.header_timeout = timeout.min(LONGEST);
        self
    }

    /// Sets how many bytes a client can send on one HTTP/2 stream before the server reads them: the
    /// stream's flow-control window (RFC 9113, section 5.2). Default: 65,536 bytes. At least
    /// 1, at most 2,147,483,647; other values are taken as the nearest of these.
    ///
    /// It limits the rate of one upload or WebSocket to the window for each round trip: 65,536
    /// bytes at a round trip of 100 ms are 655 kB/s. It also is what a WebSocket whose program does
    /// not receive leaves in the HTTP/2 library; see
    /// [`http2_connection_window`](Self::http2_connection_window) before raising it.
    ///
    /// Applies to sockets listened on afterwards.
    ///
    /// ```
    /// # use hyper::service::service_fn;
    /// # use std::convert::Infallible;
    /// # use http_body_util::Full;
    /// # use hyper::{Request, Response, body::{Bytes, Incoming}};
    /// # async fn page(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    /// #     Ok(Response::new("ship ahoy".into()))
    /// # }
    /// use towline::Server;
    /// use towline_hyper::{HttpServer, mount};
    ///
    /// let server = Server::builder().build();
    /// // For large uploads over slow networks.
    /// let http = HttpServer::new(mount(server.handle(), service_fn(page)))
    ///     .http2_stream_window(1 << 20)
    ///     .http2_connection_window(256 << 20);
    /// ```
    #[must_use]
    pub fn http2_stream_window(mut self, bytes: u32) -> Self {
        self.http.windows.stream = bytes.clamp(1, Windows::MAX);
        self
    }

    /// Sets how many bytes a client can send on all streams of one HTTP/2 connection before the
    /// server reads them: the connection's flow-control window (RFC 9113, section 5.2). Default:
    /// 16,777,216 bytes (16 MiB). At least 65,535, at most 2,147,483,647; other values are taken as
    /// the nearest of these. It reserves no memory.
    ///
    /// The HTTP/2 library, h2, ends a connection with `ENHANCE_YOUR_CALM` (`too_many_data_frames`),
    /// and with it all its WebSockets, when small messages are left unread: each frame shorter than
    /// 256 bytes costs the difference, and all together may cost half of this window. A WebSocket
    /// whose program does not receive is read ahead by 64 KiB; after that it holds as many frames as
    /// its [stream window](Self::http2_stream_window) has room for. So by default a connection can have
    /// 3 stalled WebSockets with messages of one byte (7 bytes each on the stream), 20 with
    /// messages of 30 bytes, 90 with messages of 100 bytes, and any number with messages of 250
    /// bytes or more.
    ///
    /// Applies to sockets listened on afterwards.
    #[must_use]
    pub fn http2_connection_window(mut self, bytes: u32) -> Self {
        self.http.windows.connection = bytes.clamp(Windows::MIN_CONNECTION, Windows::MAX);
        self
    }

    /// Sets how many handshakes can be in progress at once: connections whose TLS handshake is not
    /// done or whose first head is incomplete (with HTTP/2, the preface). Further clients wait in
    /// the listening socket's backlog, except for one for each socket that is accepted already.
    /// Each costs a socket and some KiB until the [`header_timeout`](Self::header_timeout).
    /// Default: 16,384, as
    /// [`ServerBuilder::max_handshakes`](towline::ServerBuilder::max_handshakes).
    ///
    /// All listening sockets share the limit. Applies to sockets listened on afterwards.
    #[must_use]
    pub fn max_handshakes(mut self, handshakes: usize) -> Self {
        self.http.places = Places::new(handshakes, self.http.places.most);
        self
    }

    /// Sets how many handshakes of one client can be in progress at once, so that one that opens
    /// connections and sends nothing can't take all places of
    /// [`max_handshakes`](Self::max_handshakes), or all descriptors of the process. A client is the
    /// IPv4 address, or the /64 network of the IPv6 address, of the peer. A further stream is dropped
    /// without an answer. Default: no limit.
    ///
    /// A browser opens six at once. The clients of a balancer that passes TCP streams on have one
    /// address, its own; an HTTP proxy connects for requests that it has, and is not affected.
    /// [`report_to`](Self::report_to) reports the streams that are dropped.
    ///
    /// All listening sockets share the limit. Applies to sockets listened on afterwards.
    ///
    /// ```
    /// # use hyper::service::service_fn;
    /// # use std::convert::Infallible;
    /// # use http_body_util::Full;
    /// # use hyper::{Request, Response, body::{Bytes, Incoming}};
    /// # async fn page(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    /// #     Ok(Response::new("ship ahoy".into()))
    /// # }
    /// use towline::Server;
    /// use towline_hyper::{HttpServer, mount};
    ///
    /// let server = Server::builder().max_connections_per_address(100).build();
    /// let http = HttpServer::new(mount(server.handle(), service_fn(page)))
    ///     .max_handshakes_per_address(100);
    /// ```
    #[must_use]
    pub fn max_handshakes_per_address(mut self, handshakes: impl Into<Option<usize>>) -> Self {
        let most = handshakes.into().map(|most| most.max(1));
        self.http.places = Places::new(self.http.places.count, most);
        self
    }

    /// Reports failed handshakes to this server, as
    /// [`ServerEvent::HandshakeFailed`](towline::ServerEvent::HandshakeFailed): those of TLS, and
    /// connections that fail before their first request, whatever that would have been for. Default: they
    /// are not reported. The server itself always reports requests that are no valid handshake.
    ///
    /// Applies to sockets listened on afterwards.
    ///
    /// ```
    /// # use hyper::service::service_fn;
    /// # use std::convert::Infallible;
    /// # use http_body_util::Full;
    /// # use hyper::{Request, Response, body::{Bytes, Incoming}};
    /// # async fn page(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    /// #     Ok(Response::new("ship ahoy".into()))
    /// # }
    /// use towline::Server;
    /// use towline_hyper::{HttpServer, mount};
    ///
    /// let server = Server::builder().build();
    /// let http = HttpServer::new(mount(server.handle(), service_fn(page)))
    ///     .report_to(server.handle());
    /// ```
    #[must_use]
    pub fn report_to(mut self, server: ServerHandle) -> Self {
        self.http.reporter.report_to = Some(server);
        self
    }

    /// Sets whether to turn Nagle's algorithm off, so that small writes are sent at once. Default:
    /// on.
    ///
    /// Applies to sockets listened on afterwards.
    #[doc(alias("disableNagleAlgorithm", "set_nodelay", "TCP_NODELAY"))]
    #[must_use]
    pub fn nodelay(mut self, on: bool) -> Self {
        self.http.nodelay = on;
        self
    }

    /// Accepts and serves the connections of a listening socket, in the background. Call it once
    /// for each socket.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub fn listen<B>(&self, listener: TcpListener)
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let (http, mut phase) = (self.http.clone(), self.phase.subscribe());
        tokio::spawn(async move {
            let lines = http.reporter.lines.clone();
            while let Some((stream, peer)) = accept(&listener, &lines, &mut phase).await {
                let arrived = match http.places.arrive(peer.ip()) {
                    Ok(arrived) => arrived,
                    Err(refused) => {
                        drop(stream);
                        http.reporter.no_request(Failure::too_many(refused), peer);
                        continue;
                    }
                };
                // Further clients wait in the socket's backlog.
                let place = tokio::select! {
                    biased;
                    () = reached_or_gone(&mut phase) => return,
                    place = arrived.place() => place,
                };
                tokio::spawn(http.clone().serve(stream, peer, place, phase.clone()));
            }
        });
    }

    /// Stops listening, closes idle connections, lets the others finish their current request, and
    /// waits for them. Connections that have not ended within `deadline` are aborted. Returns how
    /// many were.
    ///
    /// A WebSocket over HTTP/1.1 is no longer an HTTP connection and is not affected. A WebSocket
    /// over HTTP/2 is a part of one and must be closed within the deadline: shut the WebSocket
    /// server down at the same time.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the shutdown continues, but aborts no connection.
    pub async fn shutdown(&self, deadline: Duration) -> usize {
        self.advance(Phase::Draining);
        if tokio::time::timeout(deadline, self.phase.closed()).await.is_ok() {
            return 0;
        }
        let aborted = self.phase.receiver_count();
        self.advance(Phase::Ended);
        self.phase.closed().await;
        aborted
    }

    fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let is_later = *phase < to;
            *phase = to.max(*phase);
            is_later
        });
    }
}

impl<S> fmt::Debug for HttpServer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer").field("phase", &*self.phase.borrow()).finish_non_exhaustive()
    }
}

/// Resolves once the server accepts no more: it is in this phase, or dropped.
async fn reached_or_gone(phase: &mut watch::Receiver<Phase>) {
    let _ = phase.wait_for(|phase| *phase > Phase::Serving).await;
}

/// The next connection, or `None` once the server accepts no more.
async fn accept(
    listener: &TcpListener,
    lines: &Lines,
    phase: &mut watch::Receiver<Phase>,
) -> Option<(TcpStream, SocketAddr)> {
    tokio::select! {
        biased;
        () = reached_or_gone(phase) => None,
        accepted = accept_one(listener, &lines.accept_failed) => Some(accepted),
    }
}
