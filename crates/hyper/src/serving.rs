//! One connection of an HTTP server, from its first byte to its end.

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
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use towline::{Broken, ErrorKind, ReadOn, TlsInfo};

use crate::failure::{Failure, MAX_HEAD, Reporter};
use crate::greeting::{Greeted, NoGreeting, Secure, greet, greet_secure};
use crate::http2_executor::Http2Executor;
use crate::peer_addr::PeerAddr;
use crate::place::{Place, Places};
use crate::write_deadline::WriteDeadline;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How many bytes of a stream h2 takes before the socket has room, and one write more. hyper's default of 400
/// KiB is for each stream, and outside of all quotas.
const STREAM_BUFFER: usize = 64 << 10;

/// The options of a server for its connections.
#[derive(Clone)]
pub(crate) struct Http<S> {
    pub(crate) service: S,
    pub(crate) header_timeout: Duration,
    pub(crate) windows: Windows,
    pub(crate) places: Arc<Places>,
    pub(crate) nodelay: bool,
    pub(crate) tls: Option<Arc<dyn Secure>>,
    pub(crate) reporter: Reporter,
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
        let deadline = Instant::now() + self.header_timeout;
        let begun = Begun { peer, place, deadline };
        let Some(tls) = self.tls.clone() else {
            return self.serve_greeted(greet(stream), begun, phase).await;
        };
        let secured = tokio::select! {
            biased;
            () = reached(&mut phase, Phase::Draining) => return,
            secured = timeout_at(deadline, tls.secure(stream)) => secured,
        };
        match secured {
            Ok(Ok(stream)) => self.serve_greeted(greet_secure(stream), begun, phase).await,
            Ok(Err(error)) => self.reporter.tls(error.kind(), error.to_string(), peer),
            Err(_) => {
                let within = self.header_timeout;
                let why =
                    format!("TLS with a client: no handshake within {within:?} (header_timeout)");
                self.reporter.tls(ErrorKind::HandshakeTimeout, why, peer);
            }
        }
    }

    /// Serves a connection whose protocol is known.
    async fn serve_greeted<I>(
        self,
        greeting: impl Future<Output = Result<Greeted<I>, NoGreeting>>,
        begun: Begun,
        mut phase: watch::Receiver<Phase>,
    ) where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Begun { peer, place, deadline } = begun;
        let greeted = tokio::select! {
            biased;
            () = reached(&mut phase, Phase::Draining) => return,
            greeted = timeout_at(deadline, greeting) => greeted,
        };
        let Greeted { stream, is_http2, speaks_tls, tls } = match greeted {
            Ok(Ok(greeted)) => greeted,
            Ok(Err(NoGreeting::Nothing)) => return,
            Ok(Err(NoGreeting::Failed(failure))) => {
                return self.reporter.no_request(failure, peer);
            }
            Err(_) => return self.reporter.no_request(Failure::late(self.header_timeout), peer),
        };
        let (reporter, header_timeout) = (self.reporter, self.header_timeout);
        let origin = Origin { peer, tls, broken: None };
        let service = Told { service: self.service, origin, place: place.clone() };
        let served = match is_http2 {
            true => {
                place.leave();
                service.serve_http2(stream, header_timeout, self.windows, phase).await
            }
            false => {
                let late = place.late(deadline);
                service.serve_http1(stream, header_timeout, phase, late).await
            }
        };
        let Err(unserved) = served else { return };
        let is_first = !place.has_request();
        match unserved {
            Unserved::Late => reporter.no_request(Failure::late(header_timeout), peer),
            Unserved::Http(error) if is_first => {
                let failure = Failure::of_http(&error, speaks_tls, header_timeout);
                reporter.no_request(failure, peer);
            }
            Unserved::Http(error) | Unserved::Ending(error) => reporter.http(peer, &error),
        }
    }
}

/// Why the serving of a connection ended.
enum Unserved {
    /// The first head was not complete at its deadline.
    Late,
    Http(hyper::Error),
    /// The same, during a shutdown.
    Ending(hyper::Error),
}

/// A connection that has begun.
struct Begun {
    peer: SocketAddr,
    place: Place,
    /// The deadline for its first head.
    deadline: Instant,
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
    ) -> Result<(), Unserved>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .max_buf_size(MAX_HEAD)
            // Without it, a head that ends with the read that exceeds the buffer is served.
            .max_header_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), self)
            .with_upgrades();
        // hyper's own timeout starts only now.
        tokio::select! {
            served = drive(connection, |connection| connection.graceful_shutdown(), phase) => served,
            () = late => Err(Unserved::Late),
        }
    }

    async fn serve_http2<I>(
        mut self,
        stream: I,
        header_timeout: Duration,
        windows: Windows,
        phase: watch::Receiver<Phase>,
    ) -> Result<(), Unserved>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let broken = Broken::default();
        self.origin.broken = Some(broken.clone());
        let stream = ReadOn::new(stream, broken);
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
) -> Result<(), Unserved> {
    let mut connection = pin!(connection);
    tokio::select! {
        served = connection.as_mut() => return served.map_err(Unserved::Http),
        () = reached(&mut phase, Phase::Draining) => graceful_shutdown(connection.as_mut()),
    }
    tokio::select! {
        served = connection => served.map_err(Unserved::Ending),
        () = reached(&mut phase, Phase::Ended) => Ok(()),
    }
}

/// The origin of a connection's requests.
struct Origin {
    peer: SocketAddr,
    tls: Option<Arc<TlsInfo>>,
    /// Tells the WebSockets of an HTTP/2 connection that a write has failed.
    broken: Option<Broken>,
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
        self.place.leave_with_request();
        let extensions = request.extensions_mut();
        extensions.insert(PeerAddr(self.origin.peer));
        if let Some(tls) = &self.origin.tls {
            extensions.insert(tls.clone());
        }
        if let Some(broken) = &self.origin.broken {
            extensions.insert(broken.clone());
        }
        self.service.call(request)
    }
}
