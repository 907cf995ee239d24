//! Handshakes that fail before there is a request: what is logged, and reported to the server.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use towline::{Error, ErrorKind, Seldom, ServerHandle};

use crate::place::TooMany;

/// The largest head of a request over HTTP/1.1, in bytes. A larger one is answered with 431.
pub(crate) const MAX_HEAD: usize = 64 << 10;

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

    /// The client has too many handshakes in progress.
    pub(crate) fn too_many(TooMany { most }: TooMany) -> Self {
        let reason = format!(
            "{most} handshakes of this client are in progress, and no more are allowed \
             (max_handshakes_per_address)"
        );
        Self::new(ErrorKind::LimitExceeded, reason)
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

    /// hyper has failed on the first request, of which bytes had come. `speaks_tls`: they were those of TLS.
    pub(crate) fn of_http(
        error: &hyper::Error,
        speaks_tls: bool,
        header_timeout: Duration,
    ) -> Self {
        // hyper has 414 for a URI that is longer than 65,534 bytes. A head with one exceeds the limit for heads,
        // which hyper checks first.
        if error.is_parse_too_large() {
            let reason = format!(
                "the head of the request is larger than {MAX_HEAD} bytes or has more than 100 headers"
            );
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return Self::new(ErrorKind::LimitExceeded, reason).answered(status);
        }
        if error.is_parse() && speaks_tls {
            let reason = "the client speaks TLS, and this port does not";
            return Self::new(ErrorKind::IsTls, reason).answered(StatusCode::BAD_REQUEST);
        }
        // hyper answers no preface.
        if error.is_parse_version_h2() {
            let reason = "the client did not choose HTTP/2 by ALPN, and speaks it";
            return Self::new(ErrorKind::NotHttp, reason);
        }
        if error.is_parse() {
            let reason = format!("the HTTP head is malformed: {error}");
            return Self::new(ErrorKind::NotHttp, reason).answered(StatusCode::BAD_REQUEST);
        }
        if error.is_timeout() {
            return Self::late(header_timeout);
        }
        if let Some(failure) = Self::of_sources(error) {
            return failure;
        }
        let h2 = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
        match h2 {
            Some(h2) if !h2.is_io() => {
                Self::new(ErrorKind::NotHttp, format!("the HTTP/2 connection failed: {h2}"))
            }
            // Also if only the end of the answer failed, which hides what was answered.
            _ => Self::cut_off(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http::{Request, Response};
    use hyper::body::Incoming;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    /// A stream that can't be shut down if its peer has reset it.
    struct Reset(DuplexStream, bool);

    impl AsyncRead for Reset {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buffer)
        }
    }

    impl AsyncWrite for Reset {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(cx, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            if self.1 {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            }
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }

    /// What a client said that has not come to a request, and what it was answered.
    async fn failure(said: &[u8], is_reset: bool) -> (Failure, String) {
        let (near, mut far) = duplex(1 << 20);
        far.write_all(said).await.unwrap();
        let service = service_fn(async |_: Request<Incoming>| {
            Ok::<_, Infallible>(Response::new(String::new()))
        });
        let served = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .max_header_size(MAX_HEAD)
            .serve_connection(TokioIo::new(Reset(near, is_reset)), service)
            .await;
        let failure = Failure::of_http(&served.unwrap_err(), false, Duration::ZERO);
        let mut answer = String::new();
        far.read_to_string(&mut answer).await.unwrap();
        (failure, answer)
    }

    #[tokio::test]
    async fn the_status_is_the_one_that_was_answered() {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(MAX_HEAD));
        for (said, kind, status) in [
            (&b"SSH-2.0-OpenSSH\r\n\r\n"[..], ErrorKind::NotHttp, Some(400)),
            (long.as_bytes(), ErrorKind::LimitExceeded, Some(431)),
            (&[b'a'; MAX_HEAD], ErrorKind::LimitExceeded, Some(431)),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ErrorKind::NotHttp, None),
        ] {
            let (failure, answer) = failure(said, false).await;
            assert_eq!(failure.kind, kind, "{failure:?}");
            assert_eq!(failure.status.map(|status| status.as_u16()), status, "{failure:?}");
            let answered = answer.split(' ').nth(1).map(|status| status.parse::<u16>().unwrap());
            assert_eq!(answered, status, "{answer}");
        }
    }

    /// The reset hides what was wrong, and not that the handshake failed.
    #[tokio::test]
    async fn a_client_that_resets_after_a_bad_request_has_failed() {
        let (failure, _) = failure(b"SSH-2.0-OpenSSH\r\n\r\n", true).await;
        assert_eq!((failure.kind, failure.status), (ErrorKind::ConnectionLost, None));
    }
}
