//! The rejections that the server makes itself.

use http::StatusCode;
use towline_proto::handshake::Rejection;

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
