//! The way in: from a listening socket, a stream or an HTTP library to the program.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use towline_proto::handshake::{Rejection, Transport, parse_request};

use crate::connection::Connection;
use crate::error::Result;
use crate::head::{ReadError, read_head};
use crate::server::answer::Answer;
use crate::server::connections::Connections;
use crate::server::hub::{Hub, Options, Pending};
use crate::server::request::Request;
use crate::transport::AnyStream;

/// How long to wait where the process is out of sockets: the next attempt would fail as well.
const OUT_OF_SOCKETS: Duration = Duration::from_millis(50);

/// What the program gets. It has its place among the requests until then.
pub(crate) struct Arrival {
    pub(crate) what: Arrived,
    pub(crate) place: OwnedSemaphorePermit,
}

pub(crate) enum Arrived {
    Request(Request),
    Connection(Connection),
}

/// The way in. Clones are the same.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) hub: Arc<Hub>,
    /// It holds no more than there are places in the hub.
    arrivals: mpsc::UnboundedSender<Arrival>,
}

impl Gate {
    /// The gate, and where what comes through it comes out.
    pub(crate) fn new(options: Options) -> (Self, mpsc::UnboundedReceiver<Arrival>) {
        let (arrivals, arrived) = mpsc::unbounded_channel();
        (Self { hub: Hub::new(options, Connections::of_server()), arrivals }, arrived)
    }

    /// A place among the handshakes, once there is one.
    pub(crate) async fn permit(&self) -> OwnedSemaphorePermit {
        acquire(&self.hub.handshakes).await
    }

    /// Accepts on a listening socket until the server is unmounted again.
    pub(crate) async fn listen(self, listener: TcpListener, unmounts: usize) {
        while let Some(accepted) = self.hub.until_unmounted(unmounts, listener.accept()).await {
            match accepted {
                Ok((stream, peer)) => {
                    let stream = AnyStream::Tcp(stream);
                    let pending = self.hub.pend();
                    // The next one waits in the socket's backlog.
                    let permit = self.hub.until_unmounted(unmounts, self.permit()).await;
                    tokio::spawn(self.clone().handshake(stream, Some(peer), permit, pending));
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "can't accept connections for now");
                    tokio::time::sleep(OUT_OF_SOCKETS).await;
                }
            }
        }
    }

    /// Has the handshake on a stream done as soon as there is a place for it.
    pub(crate) fn serve(&self, stream: AnyStream, peer: Option<SocketAddr>) {
        let gate = self.clone();
        let pending = self.hub.pend();
        let is_mounted = self.hub.is_mounted();
        tokio::spawn(async move {
            let permit = if is_mounted { Some(gate.permit().await) } else { None };
            gate.handshake(stream, peer, permit, pending).await;
        });
    }

    /// Reads a request from a stream and hands it to the program, or answers it where it is no
    /// valid handshake. Without a permit, it is refused.
    async fn handshake(
        self,
        mut stream: AnyStream,
        peer: Option<SocketAddr>,
        permit: Option<OwnedSemaphorePermit>,
        _pending: Pending,
    ) {
        let Some(permit) = permit else {
            let answer = Answer::Stream { stream, early: Vec::new() };
            return self.refuse(answer, Transport::Http1Upgrade, peer).await;
        };
        let Options { head_limits, handshake_timeout, .. } = self.hub.options;
        let mut early = Vec::new();
        let parse = |bytes: &[u8]| parse_request(bytes, &head_limits);
        let head = read_head(&mut stream, &mut early, head_limits.max_head_size, parse);
        let rejection = match tokio::time::timeout(handshake_timeout, head).await {
            Ok(Ok(http)) => {
                return self.admit(http, peer, Answer::Stream { stream, early }, permit).await;
            }
            Ok(Err(ReadError::Parse(rejection))) => rejection,
            Ok(Err(ReadError::Nothing)) => return,
            Ok(Err(ReadError::Io(error))) => return tracing::debug!(?peer, %error, "no request"),
            Err(_) => Rejection::new(
                StatusCode::REQUEST_TIMEOUT,
                format!("no whole request within {handshake_timeout:?} (handshake_timeout)"),
            ),
        };
        let answer = Answer::Stream { stream, early };
        // Whether the client reads the answer is its own affair.
        let _ = answer.reject(&self.hub, rejection, Transport::Http1Upgrade, peer).await;
    }

    /// Hands a request to the program, as one or as the connection it becomes, or answers it
    /// where it is no valid handshake.
    pub(crate) async fn admit(
        self,
        http: http::Request<()>,
        peer: Option<SocketAddr>,
        answer: Answer,
        permit: OwnedSemaphorePermit,
    ) {
        let transport = Transport::of(&http);
        let request = match Request::new(http, peer, &self.hub, answer) {
            Ok(request) => request,
            Err(refused) => {
                let (rejection, answer) = *refused;
                let _ = answer.reject(&self.hub, rejection, transport, peer).await;
                return;
            }
        };
        let place = acquire(&self.hub.requests).await;
        drop(permit);
        if self.hub.options.auto_accept {
            self.arrive_once(request.answer_with_anything(), place).await;
        } else {
            self.arrive(Arrived::Request(request), place);
        }
    }

    /// Answers what comes while the server is unmounted.
    pub(crate) async fn refuse(
        &self,
        answer: Answer,
        transport: Transport,
        peer: Option<SocketAddr>,
    ) {
        let reason = "the server takes no requests";
        let rejection = Rejection::new(StatusCode::SERVICE_UNAVAILABLE, reason);
        let _ = answer.reject(&self.hub, rejection, transport, peer).await;
    }

    /// Hands the program the connection that a request becomes, if it does.
    pub(crate) async fn arrive_once(
        &self,
        accepted: impl Future<Output = Result<Connection>>,
        place: OwnedSemaphorePermit,
    ) {
        match accepted.await {
            Ok(connection) => self.arrive(Arrived::Connection(connection), place),
            Err(error) => tracing::debug!(%error, "request not accepted"),
        }
    }

    fn arrive(&self, what: Arrived, place: OwnedSemaphorePermit) {
        // A server that is gone drops it, and so answers or closes it.
        let _ = self.arrivals.send(Arrival { what, place });
    }
}

async fn acquire(places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    places.clone().acquire_owned().await.expect("never closed")
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
