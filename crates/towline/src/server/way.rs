//! From a stream or an HTTP library to the program.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use towline_proto::handshake::{Mechanism, Rejection, parse_request};

use crate::connection::Connection;
use crate::error::ErrorKind;
use crate::head::{ReadError, read_head};
use crate::server::answer::Answer;
use crate::server::hub::{Hub, Options};
use crate::server::measurement::Measurement;
use crate::server::quota::Admission;
use crate::server::rejections::{Refusal, no_head, no_requests, too_slow};
use crate::server::request::Request;
use crate::server::standing::Term;
use crate::transport::{AnyStream, SecureServer};

/// The sending half of the queues to the program. Every task that may still bring a request holds
/// it; once all are gone, the queues end.
pub(crate) struct Way {
    pub(crate) hub: Arc<Hub>,
    /// Together they hold at most as many as the hub has places.
    requests: mpsc::UnboundedSender<Request>,
    connections: mpsc::UnboundedSender<Connection>,
}

/// The places and the term that a stream was let in with.
pub(crate) struct Entry {
    pub(crate) term: Term,
    pub(crate) permit: OwnedSemaphorePermit,
    pub(crate) admission: Admission,
}

/// The receiving half: one queue for each kind.
pub(crate) struct Arrived {
    pub(crate) requests: mpsc::UnboundedReceiver<Request>,
    pub(crate) connections: mpsc::UnboundedReceiver<Connection>,
}

impl Way {
    pub(crate) fn new(hub: Arc<Hub>) -> (Arc<Self>, Arrived) {
        let (requests, to_requests) = mpsc::unbounded_channel();
        let (connections, to_connections) = mpsc::unbounded_channel();
        let arrived = Arrived { requests: to_requests, connections: to_connections };
        (Arc::new(Self { hub, requests, connections }), arrived)
    }

    /// The deadline for a request that begins now.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        Instant::now().checked_add(self.hub.options.handshake_timeout)
    }

    /// As [`handshake`](Self::handshake), after a TLS handshake, with one deadline for both.
    pub(crate) async fn secure(
        self: Arc<Self>,
        tls: Arc<dyn SecureServer>,
        stream: AnyStream,
        peer: Option<SocketAddr>,
        entry: Entry,
    ) {
        let deadline = self.deadline();
        let secured = self.hub.standing.during(entry.term, by(deadline, tls.secure(stream))).await;
        match secured {
            Some(Some(Ok(stream))) => {
                self.handshake(stream, true, peer, entry, deadline).await;
            }
            Some(Some(Err(error))) => {
                self.leave().tls_failed(error.kind(), error.to_string(), peer);
            }
            Some(None) => {
                let within = self.hub.options.handshake_timeout;
                let why = format!(
                    "TLS with a client: no handshake within {within:?} (handshake_timeout)"
                );
                self.leave().tls_failed(ErrorKind::HandshakeTimeout, why, peer);
            }
            // The server was unmounted. There is no HTTP stream to answer on yet.
            None => {}
        }
    }

    /// Reads a request from a stream and hands it to the program, or answers it if it is not a
    /// valid handshake. A request that is incomplete at the end of the term is refused.
    pub(crate) async fn handshake(
        self: Arc<Self>,
        mut stream: AnyStream,
        is_set_up: bool,
        peer: Option<SocketAddr>,
        Entry { term, permit, admission }: Entry,
        deadline: Option<Instant>,
    ) {
        let Options { head_limits, handshake_timeout, .. } = self.hub.options;
        let mut early = Vec::new();
        let parse = |bytes: &[u8]| parse_request(bytes, &head_limits);
        let head = {
            // Pinned in place, since a future that is passed on is stored twice.
            let head = pin!(read_head(&mut stream, &mut early, head_limits.max_head_size, parse));
            self.hub.standing.during(term, by(deadline, head)).await
        };
        let refusal = match head {
            Some(Some(Ok(http))) => {
                let answer = Answer::Stream { stream, early, is_set_up };
                return self.admit(http, peer, answer, (permit, admission)).await;
            }
            Some(Some(Err(ReadError::Parse(rejection)))) => no_head(rejection, &early),
            Some(Some(Err(ReadError::Nothing))) => return,
            Some(Some(Err(ReadError::Io(error)))) => {
                return self.leave().broken_off(error, !early.is_empty(), peer);
            }
            Some(None) => too_slow(handshake_timeout),
            None => no_requests().into(),
        };
        let answer = Answer::Stream { stream, early, is_set_up };
        let hub = self.leave();
        reject(&hub, answer, refusal, Mechanism::Http1Upgrade, peer).await;
    }

    /// Hands a request to the program, as a request or as the connection it becomes, or answers it
    /// if it is not a valid handshake. It holds its place among the handshakes until then.
    pub(crate) async fn admit(
        self: Arc<Self>,
        http: http::Request<()>,
        peer: Option<SocketAddr>,
        answer: Answer,
        (permit, admission): (OwnedSemaphorePermit, Admission),
    ) {
        let mechanism = Mechanism::of(&http);
        let mut request = match Request::new(http, peer, &self.hub, answer, admission) {
            Ok(request) => request,
            Err(refused) => {
                let (refusal, answer) = *refused;
                let hub = self.leave();
                return reject(&hub, answer, refusal, mechanism, peer).await;
            }
        };
        let Ok(place) = ({
            let (mut acquired, mut gone) = (pin!(self.hub.places.acquire()), pin!(request.gone()));
            let first = poll_fn(|cx| match acquired.as_mut().poll(cx) {
                Poll::Ready(place) => Poll::Ready(Some(place)),
                Poll::Pending => gone.as_mut().poll(cx).map(|()| None),
            });
            // An HTTP/2 client can reset any number of requests on one connection.
            let Some(place) = first.await else { return };
            place
        }) else {
            drop(self);
            let _ = Box::pin(request.reject_with(no_requests())).await;
            return;
        };
        drop(permit);
        if !self.hub.options.auto_accept {
            place.forget();
            // If the server is gone, the request is dropped, which answers it.
            let _ = self.requests.send(request);
            return;
        }
        match Box::pin(request.answer_unasked()).await {
            Ok(connection) => {
                place.forget();
                // If the server is gone, the connection is dropped, which closes it.
                let _ = self.connections.send(connection);
            }
            Err(error) => {
                if let Some(left_out) = self.hub.lines().not_accepted.turn() {
                    let left_out = left_out.count();
                    tracing::debug!(%error, left_out, "request not accepted");
                }
            }
        }
    }

    /// Drops this share of the way, so that nobody waits for it.
    fn leave(self: Arc<Self>) -> Arc<Hub> {
        self.hub.clone()
    }
}

/// Returns the output of `future`, or `None` at the deadline. `None` as the deadline means no
/// limit.
async fn by<F: Future>(deadline: Option<Instant>, future: F) -> Option<F::Output> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, future).await.ok(),
        None => Some(future.await),
    }
}

/// Refuses a stream before anything was read from it. It keeps its place among the handshakes until
/// it is answered.
pub(crate) async fn turn_away(
    hub: Arc<Hub>,
    stream: AnyStream,
    rejection: Rejection,
    peer: Option<SocketAddr>,
    _permit: OwnedSemaphorePermit,
) {
    reject(&hub, Answer::on(stream), rejection.into(), Mechanism::Http1Upgrade, peer).await;
}

/// Reports a stream that is dropped before its TLS handshake, so that there is no way to answer.
pub(crate) fn drop_unseen(hub: &Hub, rejection: &Rejection, peer: Option<SocketAddr>) {
    hub.measured.note(|| Measurement::unseen(rejection.status(), Mechanism::Http1Upgrade, true));
    hub.rejected(rejection, peer);
}

/// The answer while the server is unmounted, or gone.
pub(crate) async fn refuse(
    hub: &Arc<Hub>,
    answer: Answer,
    mechanism: Mechanism,
    peer: Option<SocketAddr>,
) {
    reject(hub, answer, no_requests().into(), mechanism, peer).await;
}

/// Rejects a request that the program does not see. Errors are ignored: the client may be gone.
///
/// Boxed, and apart from the task that reads requests: most of them never need it, and it would make
/// that task larger.
async fn reject(
    hub: &Arc<Hub>,
    answer: Answer,
    refusal: Refusal,
    mechanism: Mechanism,
    peer: Option<SocketAddr>,
) {
    let (status, is_secure) = (refusal.rejection.status(), answer.tls().is_some());
    hub.measured.note(|| Measurement::unseen(status, mechanism, is_secure));
    let _ = Box::pin(answer.reject(hub, refusal, mechanism, peer)).await;
}
