//! An accept loop for those who have none of their own.

#[cfg(feature = "rustls")]
mod tls;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::service::Service;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use towline::ServerHandle;

use crate::place::{Place, places};
use crate::serving::{BoxError, Http, Phase};

/// How long to wait where the process is out of sockets: the next attempt would fail as well.
const OUT_OF_SOCKETS: Duration = Duration::from_millis(50);

/// How many handshakes there may be at once by default, as in a server of Towline's own.
const MAX_HANDSHAKES: usize = 16 << 10;

/// An HTTP server in front of a [mounted](crate::mount()) WebSocket server: it accepts on its
/// listening sockets, speaks HTTP/1.1 and HTTP/2, and ends gracefully. The head of a request may
/// have 64 KiB and 100 headers.
///
/// With the feature `rustls` it speaks TLS as well: its method `tls` takes a `TlsServer`.
///
/// Whoever has an accept loop already does not need it; a [`Mount`](crate::Mount) is a service
/// like any other.
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
/// // The end: both at once, because a WebSocket over HTTP/2 is a part of an HTTP connection.
/// let deadline = Duration::from_secs(5);
/// let (aborted, shutdown) =
///     tokio::join!(http.shutdown(deadline), server.shutdown(CloseCode::GOING_AWAY, deadline));
/// # Ok(())
/// # }
/// ```
///
/// Keep it: dropped, it stops listening. Connections live on.
pub struct HttpServer<S> {
    http: Http<S>,
    phase: watch::Sender<Phase>,
}

impl<S> HttpServer<S> {
    /// A server of this service, without a listening socket yet.
    ///
    /// The service is one of hyper's; wrap one of tower's in
    /// `hyper_util::service::TowerToHyperService`.
    pub fn new(service: S) -> Self {
        let header_timeout = Duration::from_secs(10);
        let http = Http {
            service,
            header_timeout,
            places: places(MAX_HANDSHAKES),
            nodelay: true,
            tls: None,
            report_to: None,
        };
        Self { http, phase: watch::Sender::new(Phase::Serving) }
    }

    /// Sets how long a client may take for the head of a request, from the connection's first
    /// moment or from the end of the answer before. Default: 10 s. A TLS handshake is a part of
    /// that: there is one deadline for it and the first head. The connection of a slower client is
    /// closed, and so is one that is idle for so long.
    ///
    /// HTTP/2 has many requests on one connection; there it is how long the peer may be silent
    /// before it is asked whether it lives, and again how long it may take to say so.
    ///
    /// It holds for sockets that are listened on afterwards.
    #[must_use]
    pub fn header_timeout(mut self, timeout: Duration) -> Self {
        self.http.header_timeout = timeout;
        self
    }

    /// Sets how many handshakes there may be at once: connections whose TLS handshake is not done
    /// or whose first head has not come whole; of HTTP/2 it is the preface. Further clients wait in
    /// the listening socket's backlog, but for one of each socket that waits outside of it. One
    /// takes a socket and some KiB until the [`header_timeout`](Self::header_timeout). Default:
    /// 16,384, as [`ServerBuilder::max_handshakes`](towline::ServerBuilder::max_handshakes).
    ///
    /// All listening sockets share them. It holds for sockets that are listened on afterwards.
    #[must_use]
    pub fn max_handshakes(mut self, handshakes: usize) -> Self {
        self.http.places = places(handshakes);
        self
    }

    /// Reports TLS handshakes that fail to this server, which tells of them by
    /// [`ServerEvent::TlsFailed`](towline::ServerEvent::TlsFailed). Default: nobody is told.
    ///
    /// It holds for sockets that are listened on afterwards.
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
        self.http.report_to = Some(server);
        self
    }

    /// Sets whether small writes go out at once rather than wait for company. Default: on.
    ///
    /// It holds for sockets that are listened on afterwards.
    #[doc(alias("disableNagleAlgorithm", "set_nodelay", "TCP_NODELAY"))]
    #[must_use]
    pub fn nodelay(mut self, on: bool) -> Self {
        self.http.nodelay = on;
        self
    }

    /// Serves the connections of a listening socket, in the background, beside those of others.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
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
            while let Some((stream, peer)) = accept(&listener, &mut phase).await {
                // The next one waits in the socket's backlog.
                let place = tokio::select! {
                    biased;
                    () = reached_or_gone(&mut phase) => return,
                    place = Place::of(&http.places) => place,
                };
                tokio::spawn(http.clone().serve(stream, peer, place, phase.clone()));
            }
        });
    }

    /// Stops listening, closes connections on which nothing is going on, lets the others end what
    /// they are at, and waits for them; those that have not ended within `deadline` are aborted.
    /// Returns how many that were.
    ///
    /// A WebSocket over HTTP/1.1 is no HTTP connection any more and not touched. One over HTTP/2
    /// is a part of one, and has to be closed within the deadline: shut the WebSocket server down
    /// at the same time.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was begun goes on, but nothing is aborted.
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

/// Resolves once nothing more is accepted: a server that is gone accepts no more than one that
/// drains.
async fn reached_or_gone(phase: &mut watch::Receiver<Phase>) {
    let _ = phase.wait_for(|phase| *phase > Phase::Serving).await;
}

/// The next connection, or `None` once there are to be no more.
async fn accept(
    listener: &TcpListener,
    phase: &mut watch::Receiver<Phase>,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            biased;
            () = reached_or_gone(phase) => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => return Some(accepted),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "can't accept connections for now");
                tokio::time::sleep(OUT_OF_SOCKETS).await;
            }
        }
    }
}

/// Whether an error of `accept` is one of the connection that was to be accepted, and not of the
/// listening socket.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}
