//! Handshakes that fail before there is a request: what is logged, and reported to the server.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use towline::{Error, ErrorKind, Seldom, ServerHandle};

/// The lines of the log that clients can cause, each at most once a second.
#[derive(Default)]
pub(crate) struct Lines {
    pub(crate) accept_failed: Seldom,
    tls_failed: Seldom,
    http_failed: Seldom,
}

/// Reports the failures of a client.
#[derive(Clone)]
pub(crate) struct Reporter {
    pub(crate) report_to: Option<ServerHandle>,
    pub(crate) lines: Arc<Lines>,
}

impl Reporter {
    /// Reports a TLS handshake that failed.
    pub(crate) fn tls(&self, kind: ErrorKind, reason: String, peer: SocketAddr) {
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

    /// Reports a connection that has failed before its first request.
    pub(crate) fn no_request(&self, failure: Failure, peer: SocketAddr) {
        let Failure { kind, reason, status } = failure;
        match &self.report_to {
            Some(server) => server.report_handshake_failure(kind, reason, status, Some(peer)),
            None => self.http(peer, &reason),
        }
    }

    /// Logs the failure of a connection that has had a request.
    pub(crate) fn http(&self, peer: SocketAddr, error: &dyn fmt::Display) {
        if let Some(left_out) = self.lines.http_failed.turn() {
            let left_out = left_out.count();
            tracing::debug!(%peer, %error, left_out, "HTTP connection failed");
        }
    }
}

/// Why there is no request.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: ErrorKind,
    reason: String,
    status: Option<StatusCode>,
}

impl Failure {
    fn new(kind: ErrorKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into(), status: None }
    }

    fn answered(self, status: StatusCode) -> Self {
        Self { status: Some(status), ..self }
    }

    /// The client was too slow.
    pub(crate) fn late(header_timeout: Duration) -> Self {
        let reason = format!("no whole request within {header_timeout:?} (header_timeout)");
        Self::new(ErrorKind::HandshakeTimeout, reason)
    }

    /// The client disconnected in the middle of a request.
    pub(crate) fn cut_off() -> Self {
        let reason = "the client closed the connection before its request was complete";
        Self::new(ErrorKind::ConnectionLost, reason)
    }

    /// The client chose HTTP/2 by ALPN and speaks something else.
    pub(crate) fn no_preface() -> Self {
        let reason = "the client chose HTTP/2 by ALPN and did not send its preface";
        Self::new(ErrorKind::NotHttp, reason)
    }

    /// The stream failed. `None` if the client had sent nothing, and simply is gone.
    pub(crate) fn of_stream(error: &io::Error, has_begun: bool) -> Option<Self> {
        Self::of_sources(error).or_else(|| has_begun.then(Self::cut_off))
    }

    /// The kind of an error of TLS, which the stream's error wraps.
    fn of_sources(error: &(dyn StdError + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(own) = error.downcast_ref::<Error>() {
                return Some(Self::new(own.kind(), own.to_string()));
            }
            next = match error.downcast_ref::<io::Error>() {
                // What it wraps is not its source, but the source of that is.
                Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
                None => error.source(),
            };
        }
        None
    }

    /// hyper has failed on the first request. `speaks_tls`: its bytes were those of TLS. `None` if the
    /// client had sent nothing, and simply is gone.
    pub(crate) fn of_http(
        error: &hyper::Error,
        speaks_tls: bool,
        (header_timeout, max_head): (Duration, usize),
    ) -> Option<Self> {
        // There was nothing left to read: what failed is the end of the answer to that.
        if error.is_shutdown() {
            return None;
        }
        if error.is_parse_too_large() {
            let reason = format!(
                "the head of the request is larger than {max_head} bytes or has more than 100 headers"
            );
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return Some(Self::new(ErrorKind::LimitExceeded, reason).answered(status));
        }
        if error.is_parse() && speaks_tls {
            let reason = "the client speaks TLS, and this port does not";
            return Some(Self::new(ErrorKind::IsTls, reason).answered(StatusCode::BAD_REQUEST));
        }
        if error.is_parse() {
            let reason = format!("the HTTP head is malformed: {error}");
            return Some(Self::new(ErrorKind::NotHttp, reason).answered(StatusCode::BAD_REQUEST));
        }
        if error.is_timeout() {
            return Some(Self::late(header_timeout));
        }
        if let Some(failure) = Self::of_sources(error) {
            return Some(failure);
        }
        let h2 = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
        Some(match h2 {
            Some(h2) if !h2.is_io() => {
                Self::new(ErrorKind::NotHttp, format!("the HTTP/2 connection failed: {h2}"))
            }
            _ => Self::cut_off(),
        })
    }
}
