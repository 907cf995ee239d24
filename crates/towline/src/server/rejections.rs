//! The rejections that the server makes itself.

use std::fmt::Display;
use std::time::Duration;

use http::StatusCode;
use http::header::RETRY_AFTER;
use towline_proto::handshake::Rejection;

use crate::connection::Rate;

/// For requests that arrive while the server is unmounted, or gone.
pub(crate) fn no_requests() -> Rejection {
    Rejection::new(StatusCode::SERVICE_UNAVAILABLE, "the server takes no requests")
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
