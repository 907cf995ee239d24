//! One connection of an HTTP server, from its first byte to its end.

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
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use towline::{ErrorKind, Seldom, ServerHandle, TlsInfo};

use crate::greeting::{Greeted, Secure, greet, greet_secure};
use crate::http2_executor::Http2Executor;
use crate::peer_addr::PeerAddr;
use crate::place::Place;
use crate::write_deadline::WriteDeadline;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The largest head of a request. A larger one is answered with 431.
const BUFFER: usize = 64 << 10;

/// How many bytes of a stream h2 takes before the socket has room, and one write more. hyper's default of 400
/// KiB is for each stream, and outside of all quotas.
const STREAM_BUFFER: usize = 64 << 10;

/// The lines of the log that clients can cause, each at most once a second.
#[derive(Default)]
pub(crate) struct Lines {
    pub(crate) accept_failed: Seldom,
    tls_failed: Seldom,
    http_failed: Seldom,
}

impl Lines {
    fn http_failed(&self, peer: SocketAddr, error: &dyn fmt::Display) {
        if let Some(left_out) = self.http_failed.turn() {
            let left_out = left_out.count();
            tracing::debug!(%peer, %error, left_out, "HTTP connection failed");
        }
    }
}

/// The options of a server for its connections.
#[derive(Clone)]
pub(crate) struct Http<S> {
    pub(crate) service: S,
    pub(crate) header_timeout: Duration,
    pub(crate) windows: Windows,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) nodelay: bool,
    pub(crate) tls: Option<Arc<dyn Secure>>,
    pub(crate) report_to: Option<ServerHandle>,
    pub(crate) lines: Arc<Lines>,
}

/// The flow-control windows of HTTP/2 (RFC 9113, section 5.2), in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Windows {
    /// h2 ends a connection whose unread small DATA frames exceed half of this; see
    /// [`HttpServer::http2_connection_window`](crate::HttpServer::http2_connection_window).
    pub(crate) connection: u32,
    pub(crate) stream: u32,
}

impl Windows {
    /// What a connection begins with (RFC 9113, section 6.9.2).
    pub(crate) const MIN_CONNECTION: u32 = (1 << 16) - 1;
    /// RFC 9113, section 6.9.1.
    pub(crate) const MAX: u32 = (1 << 31) - 1;
}

impl Default for Windows {
    fn default() -> Self {
        Self { connection: 16 << 20, stream: 64 << 10 }
    }
}

/// The phase of a server; phases only advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Serving,
    /// Nothing is accepted, and connections finish their current request.
    Draining,
    /// Connections are aborted.
    Ended,
}

/// Resolves once the server is in this phase; never if it is dropped before.
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
    pub(crate) async fn serve(
        self,
        stream: TcpStream,
        peer: SocketAddr,
        place: Place,
        mut phase: watch::Receiver<Phase>,
    ) {
        // If the socket has failed meanwhile, the first read says so.
        let _ = stream.set_nodelay(self.nodelay);
        // A deadline too far for the clock is none.
        let deadline = Instant::now().checked_add(self.header_timeout);
        let begun = Begun { peer, place, deadline };
        let Some(tls) = self.tls.clone() else {
            return self.serve_greeted(greet(stream), begun, phase).await;
        };
        let secured = tokio::select! {
            biased;
            () = reached(&mut phase, Phase::Draining) => return,
            secured = by(deadline, tls.secure(stream)) => secured,
        };
        match secured {
            Some(Ok(stream)) => self.serve_greeted(greet_secure(stream), begun, phase).await,
            Some(Err(error)) => self.report(error.kind(), error.to_string(), peer),
            None => {
                let within = self.header_timeout;
                let why =
                    format!("TLS with a client: no handshake within {within:?} (header_timeout)");
                self.report(ErrorKind::HandshakeTimeout, why, peer);
            }
        }
    }

    fn report(&self, kind: ErrorKind, reason: String, peer: SocketAddr) {
        match &self.report_to {
            Some(server) => server.report_tls_failure(kind, reason, Some(peer)),
            None => {
                if let Some(left_out) = self.lines.tls_failed.turn() {
                    let left_out = left_out.count();
                    tracing::debug!(%peer, %reason, left_out, "TLS handshake failed");
                }
            }
        }
    }

    /// Serves a connection whose protocol is known.
    async fn serve_greeted<I>(
        self,
        greeting: impl Future<Output = io::Result<Greeted<I>>>,
        begun: Begun,
        mut phase: watch::Receiver<Phase>,
    ) where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Begun { peer, place, deadline } = begun;
        let greeted = tokio::select! {
            biased;
            () = reached(&mut phase, Phase::Draining) => return,
            greeted = by(deadline, greeting) => greeted,
        };
        let Greeted { stream, is_http2, tls } = match greeted {
            Some(Ok(greeted)) => greeted,
            Some(Err(error)) => {
                return self.lines.http_failed(peer, &error);
            }
            // The client sent nothing, so there is nothing to log.
            None => return,
        };
        let origin = Origin { peer, tls };
        let service = Told { service: self.service, origin, place: place.clone() };
        let served = match is_http2 {
            true => {
                place.leave();
                service.serve_http2(stream, self.header_timeout, self.windows, phase).await
            }
            false => {
                let late = place.late(deadline);
                service.serve_http1(stream, self.header_timeout, phase, late).await
            }
        };
        if let Err(error) = served {
            self.lines.http_failed(peer, &error);
        }
    }
}

/// A connection that has begun.
struct Begun {
    peer: SocketAddr,
    place: Place,
    /// The deadline for its first head.
    deadline: Option<Instant>,
}

/// Returns the output of `future`, or `None` at the deadline. `None` as the deadline means no
/// limit.
async fn by<F: Future>(deadline: Option<Instant>, future: F) -> Option<F::Output> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, future).await.ok(),
        None => Some(future.await),
    }
}

impl<S, B> Told<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    async fn serve_http1<I>(
        self,
        stream: I,
        header_timeout: Duration,
        phase: watch::Receiver<Phase>,
        late: impl Future<Output = ()>,
    ) -> hyper::Result<()>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), self)
            .with_upgrades();
        // hyper's own timeout starts only now.
        tokio::select! {
            served = drive(connection, |connection| connection.graceful_shutdown(), phase) => served,
            () = late => Ok(()),
        }
    }

    async fn serve_http2<I>(
        self,
        stream: I,
        header_timeout: Duration,
        windows: Windows,
        phase: watch::Receiver<Phase>,
    ) -> hyper::Result<()>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        // As long as the ping that a silent client gets and its answer may take. If the client takes
        // nothing, hyper can't send the ping, and not end the connection either.
        let stream = WriteDeadline::new(stream, header_timeout.saturating_mul(2));
        let connection = http2::Builder::new(Http2Executor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(header_timeout)
            .keep_alive_timeout(header_timeout)
            .initial_connection_window_size(windows.connection)
            .initial_stream_window_size(windows.stream)
            .max_send_buf_size(STREAM_BUFFER)
            .enable_connect_protocol()
            .serve_connection(TokioIo::new(stream), self);
        drive(connection, |connection| connection.graceful_shutdown(), phase).await
    }
}

/// Serves a connection until it ends or the server does.
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

/// The origin of a connection's requests.
struct Origin {
    peer: SocketAddr,
    tls: Option<Arc<TlsInfo>>,
}

/// A service that adds the origin to its requests.
struct Told<S> {
    service: S,
    origin: Origin,
    place: Place,
}

impl<S: Service<Request<Incoming>>> Service<Request<Incoming>> for Told<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, mut request: Request<Incoming>) -> S::Future {
        // The first head is complete.
        self.place.leave();
        let extensions = request.extensions_mut();
        extensions.insert(PeerAddr(self.origin.peer));
        if let Some(tls) = &self.origin.tls {
            extensions.insert(tls.clone());
        }
        self.service.call(request)
    }
}
