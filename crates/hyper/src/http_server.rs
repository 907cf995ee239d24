//! An accept loop for those who have none of their own.

#[cfg(feature = "rustls")]
mod tls;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use towline::TlsInfo;

use crate::greeting::{Greeted, Secure, greet, greet_secure};
use crate::peer_addr::PeerAddr;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long to wait where the process is out of sockets: the next attempt would fail as well.
const OUT_OF_SOCKETS: Duration = Duration::from_millis(50);

/// How large the head of a request may be; one that is larger is answered with 431.
const BUFFER: usize = 64 << 10;

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

/// How a server treats its connections.
#[derive(Clone)]
struct Http<S> {
    service: S,
    header_timeout: Duration,
    nodelay: bool,
    tls: Option<Arc<dyn Secure>>,
}

/// How far a server is; it only ever goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    /// Nothing is accepted, and connections end with what they are at.
    Draining,
    /// Connections end at once.
    Ended,
}

impl<S> HttpServer<S> {
    /// A server of this service, without a listening socket yet.
    ///
    /// The service is one of hyper's; wrap one of tower's in
    /// `hyper_util::service::TowerToHyperService`.
    pub fn new(service: S) -> Self {
        let header_timeout = Duration::from_secs(10);
        let http = Http { service, header_timeout, nodelay: true, tls: None };
        Self { http, phase: watch::Sender::new(Phase::Serving) }
    }

    /// Sets how long a client may take for the head of a request, from the connection's first
    /// moment or from the end of the answer before. Default: 10 s. The connection of a slower one
    /// is closed, and so is one that is idle for so long.
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
                tokio::spawn(http.clone().serve(stream, peer, phase.clone()));
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

/// The next connection, or `None` once there are to be no more.
async fn accept(
    listener: &TcpListener,
    phase: &mut watch::Receiver<Phase>,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            biased;
            // A server that is gone accepts no more than one that drains.
            _ = phase.wait_for(|phase| *phase > Phase::Serving) => return None,
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

/// Resolves once the server is in this phase; never, if it is dropped before.
async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    if phase.wait_for(|phase| *phase >= wanted).await.is_err() {
        std::future::pending().await
    }
}

impl<S, B> Http<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    async fn serve(self, stream: TcpStream, peer: SocketAddr, phase: watch::Receiver<Phase>) {
        // A socket that has ended meanwhile says so at the first read.
        let _ = stream.set_nodelay(self.nodelay);
        match self.tls.clone() {
            None => self.serve_greeted(greet(stream), peer, phase).await,
            Some(tls) => self.serve_greeted(greet_secure(tls, stream), peer, phase).await,
        }
    }

    /// Serves a connection once it is known what is spoken on it.
    async fn serve_greeted<I>(
        self,
        greeting: impl Future<Output = io::Result<Greeted<I>>>,
        peer: SocketAddr,
        mut phase: watch::Receiver<Phase>,
    ) where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let greeted = tokio::select! {
            biased;
            () = reached(&mut phase, Phase::Draining) => return,
            greeted = tokio::time::timeout(self.header_timeout, greeting) => greeted,
        };
        let Greeted { stream, is_http2, tls } = match greeted {
            Ok(Ok(greeted)) => greeted,
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "no HTTP connection");
                return;
            }
            // Without a word there is nothing to be said about it.
            Err(_) => return,
        };
        let origin = Origin { peer, tls };
        let served = match is_http2 {
            true => self.serve_http2(stream, origin, phase).await,
            false => self.serve_http1(stream, origin, phase).await,
        };
        if let Err(error) = served {
            tracing::debug!(%peer, %error, "HTTP connection failed");
        }
    }

    async fn serve_http1<I>(
        self,
        stream: I,
        origin: Origin,
        phase: watch::Receiver<Phase>,
    ) -> hyper::Result<()>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), Told { service: self.service, origin })
            .with_upgrades();
        drive(connection, |connection| connection.graceful_shutdown(), phase).await
    }

    async fn serve_http2<I>(
        self,
        stream: I,
        origin: Origin,
        phase: watch::Receiver<Phase>,
    ) -> hyper::Result<()>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(self.header_timeout)
            .keep_alive_timeout(self.header_timeout)
            .enable_connect_protocol()
            .serve_connection(TokioIo::new(stream), Told { service: self.service, origin });
        drive(connection, |connection| connection.graceful_shutdown(), phase).await
    }
}

/// Serves a connection to its end, which may be the server's.
async fn drive<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    graceful_shutdown: impl FnOnce(Pin<&mut C>),
    mut phase: watch::Receiver<Phase>,
) -> hyper::Result<()> {
    let mut connection = pin!(connection);
    tokio::select! {
        served = connection.as_mut() => return served,
        () = reached(&mut phase, Phase::Draining) => graceful_shutdown(connection.as_mut()),
    }
    tokio::select! {
        served = connection => served,
        () = reached(&mut phase, Phase::Ended) => Ok(()),
    }
}

/// Where the requests of a connection come from.
struct Origin {
    peer: SocketAddr,
    tls: Option<Arc<TlsInfo>>,
}

/// A service whose requests say where they come from.
struct Told<S> {
    service: S,
    origin: Origin,
}

impl<S: Service<Request<Incoming>>> Service<Request<Incoming>> for Told<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, mut request: Request<Incoming>) -> S::Future {
        let extensions = request.extensions_mut();
        extensions.insert(PeerAddr(self.origin.peer));
        if let Some(tls) = &self.origin.tls {
            extensions.insert(tls.clone());
        }
        self.service.call(request)
    }
}
