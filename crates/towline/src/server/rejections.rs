//! The rejections that the server makes itself.

use std::fmt::Display;
use std::time::Duration;

use http::StatusCode;
use http::header::RETRY_AFTER;
use towline_proto::handshake::Rejection;

use crate::connection::Rate;
use crate::error::ErrorKind;

/// A refusal, and what it is reported as.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) rejection: Rejection,
    /// The kind of the failure, if no valid handshake was received. Otherwise, a request was rejected.
    pub(crate) failure: Option<ErrorKind>,
}

impl Refusal {
    /// The answer to what is no valid handshake.
    pub(crate) fn failed(kind: ErrorKind, rejection: Rejection) -> Self {
        Self { rejection, failure: Some(kind) }
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self { rejection, failure: None }
    }
}

/// For requests that arrive while the server is unmounted, or gone.
pub(crate) fn no_requests() -> Rejection {
    Rejection::new(StatusCode::SERVICE_UNAVAILABLE, "the server takes no requests")
}

/// For a client that was too slow.
pub(crate) fn too_slow(timeout: Duration) -> Refusal {
    let reason = format!("no whole request within {timeout:?} (handshake_timeout)");
    let rejection = Rejection::new(StatusCode::REQUEST_TIMEOUT, reason);
    Refusal::failed(ErrorKind::HandshakeTimeout, rejection)
}

/// For bytes that are not the head of a request. `rejection` is the parser's.
pub(crate) fn no_head(rejection: Rejection, bytes: &[u8]) -> Refusal {
    // A handshake record (RFC 8446, section 5.1).
    if matches!(bytes, [0x16, 3, ..]) {
        let reason = "the client speaks TLS, and this port does not";
        let rejection = Rejection::new(StatusCode::BAD_REQUEST, reason);
        return Refusal::failed(ErrorKind::IsTls, rejection);
    }
    let kind = match rejection.status() {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => ErrorKind::LimitExceeded,
        _ => ErrorKind::NotHttp,
    };
    Refusal::failed(kind, rejection)
}

/// For a request without a place among the handshakes that can't wait for one.
pub(crate) fn no_place(max_handshakes: usize) -> Rejection {
    let reason = format!(
        "{max_handshakes} handshakes are in progress, and no more are allowed (max_handshakes)"
    );
    Rejection::new(StatusCode::SERVICE_UNAVAILABLE, reason)
}

/// For a request that the program dropped.
pub(crate) fn unanswered() -> Rejection {
    let reason = "the server did not answer the request";
    Rejection::new(StatusCode::INTERNAL_SERVER_ERROR, reason)
}

/// How long to tell clients to wait for a connection of another one to end, in seconds.
const FOR_ROOM: u64 = 10;

/// For a request while there are as many connections as the server takes.
pub(crate) fn too_many_connections(most: usize) -> Rejection {
    let reason = format!("{most} connections are open, and no more are allowed (max_connections)");
    Rejection::new(StatusCode::SERVICE_UNAVAILABLE, reason).header(RETRY_AFTER, FOR_ROOM)
}

/// For a client that has as many connections as it may have.
pub(crate) fn too_many_from(client: &impl Display, most: usize) -> Rejection {
    let reason = format!(
        "{most} connections of {client} are open, and no more are allowed \
         (max_connections_per_address)"
    );
    Rejection::new(StatusCode::TOO_MANY_REQUESTS, reason).header(RETRY_AFTER, FOR_ROOM)
}

/// For a client that connects too often, and may do so again after a while.
pub(crate) fn too_often(client: &impl Display, rate: Rate, wait: Duration) -> Rejection {
    let reason = format!(
        "{client} begins handshakes too often: {rate}, {} at once (max_handshake_rate)",
        rate.at_once()
    );
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Rejection::new(StatusCode::TOO_MANY_REQUESTS, reason).header(RETRY_AFTER, seconds)
}
