//! The opening handshake on a stream of HTTP/2 (RFC 8441, section 5).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::Response;
use tokio::time::{Instant, timeout_at};
use towline_proto::handshake::{Agreed, HandshakeError, HeadLimits, Opening};

use crate::client::body::BODY_START;
use crate::client::http2::chunk::Chunk;
use crate::client::http2::explain::Failed;
use crate::client::http2::line::{Lease, Line};
use crate::client::http2::stream::Stream;
use crate::client::redirect::is_redirect;
use crate::error::{Error, ErrorKind};

/// How long to wait for the body of a refusal.
const BODY_WAIT: Duration = Duration::from_secs(1);

/// From this time on, a request that was given up without an answer counts against its connection,
/// which may be dead: later ones use another.
const SILENCE: Duration = Duration::from_secs(5);

/// The result of a handshake.
pub(crate) struct Opened {
    pub(crate) stream: Arc<Stream>,
    pub(crate) agreed: Agreed,
    pub(crate) response: Response<()>,
}

/// Why a handshake failed.
pub(crate) enum NotOpened {
    /// The server has not processed the request: it can be sent again on another connection.
    Unprocessed(Error),
    /// The server asks for HTTP/1.1.
    WantsHttp1(Error),
    Other(Error),
}

impl NotOpened {
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Unprocessed(error) | Self::WantsHttp1(error) | Self::Other(error) => error,
        }
    }
}

/// Retires a connection on which a request was given up after a long silence.
struct Awaited<'a> {
    line: &'a Line,
    since: Instant,
    is_answered: bool,
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        if !self.is_answered && self.since.elapsed() >= SILENCE {
            self.line.retire();
        }
    }
}

/// Does the handshake. If redirects are followed, the body of a redirect is not read.
///
/// If this future is dropped, the stream is reset with CANCEL.
pub(crate) async fn open(
    lease: Lease,
    opening: &Opening,
    limits: &HeadLimits,
    is_followed: bool,
) -> Result<Opened, NotOpened> {
    let whom = opening.target().authority();
    let line = lease.line().clone();
    let (response, send) = ask(&lease, opening, limits).await?;
    let too_many = |max: usize| {
        let count = response.headers().len();
        let message =
            format!("{whom}: the response has {count} headers, more than {max} (head_limits)");
        NotOpened::Other(Error::new(ErrorKind::Handshake, message))
    };
    if response.headers().len() > limits.max_headers {
        return Err(too_many(limits.max_headers));
    }
    let (parts, mut receive) = response.into_parts();
    let response = Response::from_parts(parts, ());
    match opening.verify(&response) {
        Ok(agreed) => {
            let tls = line.tls.clone();
            let stream = Stream::new(receive, send, lease, &line.ready, tls);
            Ok(Opened { stream, agreed, response })
        }
        Err(error) => {
            let (kind, body) = match &error {
                HandshakeError::Status { status, .. } if is_followed && is_redirect(*status) => {
                    (ErrorKind::HttpResponse, Bytes::new())
                }
                HandshakeError::Status { .. } => {
                    (ErrorKind::HttpResponse, body_start(&mut receive).await)
                }
                _ => (ErrorKind::Handshake, Bytes::new()),
            };
            let message = format!("{whom}: {error}");
            let error = Error::new(kind, message).with_source(error);
            Err(NotOpened::Other(error.with_response(response.map(|()| body))))
        }
    }
}

/// Sends the request, and waits for the head of the response.
async fn ask(
    lease: &Lease,
    opening: &Opening,
    limits: &HeadLimits,
) -> Result<(Response<RecvStream>, SendStream<Chunk>), NotOpened> {
    let line = lease.line();
    let Some(mut requests) = lease.requests() else {
        let message = "the HTTP/2 connection has ended".to_owned();
        return Err(NotOpened::Unprocessed(Error::new(ErrorKind::Handshake, message)));
    };
    let mut request = opening.request().clone();
    request.extensions_mut().clear();
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    let whom = opening.target().authority();
    let (response, send) = requests.send_request(request, false).map_err(|error| {
        // Nothing was sent: the connection has ended, or is about to.
        NotOpened::Unprocessed(explain(line, whom, Failed::new(error), limits))
    })?;
    drop(requests);
    let mut awaited = Awaited { line, since: Instant::now(), is_answered: false };
    let response = response.await;
    awaited.is_answered = true;
    match response {
        Ok(response) => Ok((response, send)),
        Err(error) => {
            let goaway = if error.is_io() { line.goaway() } else { None };
            let failed = Failed::new(error);
            let (is_unprocessed, wants_http_1) = (failed.is_unprocessed(), failed.wants_http_1());
            // The peer's GOAWAY says more than the end of the connection after it.
            let failed = goaway.map_or(failed, Failed::new);
            let error = explain(line, whom, failed, limits);
            Err(match (is_unprocessed, wants_http_1) {
                (_, true) => NotOpened::WantsHttp1(error),
                (true, _) => NotOpened::Unprocessed(error),
                _ => NotOpened::Other(error),
            })
        }
    }
}

/// The error of a request without a response.
fn explain(line: &Line, whom: &str, failed: Failed, limits: &HeadLimits) -> Error {
    // What TLS says matters more than what follows from it.
    if let Some((kind, message)) = line.own_error() {
        return Error::new(kind, format!("{whom} did not answer: {message}")).with_source(failed);
    }
    let hint = match failed.is_about_response() {
        true => format!(
            ", or the head of its response is larger than {} bytes (head_limits)",
            limits.max_head_size
        ),
        false => String::new(),
    };
    let message = format!("{whom} did not answer the handshake: {failed}{hint}");
    Error::new(ErrorKind::Handshake, message).with_source(failed)
}

/// The start of the body of a refusal, as far as it comes without delay.
async fn body_start(receive: &mut RecvStream) -> Bytes {
    let mut start = Vec::new();
    let deadline = Instant::now() + BODY_WAIT;
    while start.len() < BODY_START
        && let Ok(Some(Ok(bytes))) = timeout_at(deadline, receive.data()).await
    {
        let _ = receive.flow_control().release_capacity(bytes.len());
        start.extend_from_slice(&bytes);
    }
    start.truncate(BODY_START);
    start.into()
}
