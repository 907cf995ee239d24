//! The response to a request, from a server or a proxy.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;
use towline_proto::handshake::{HeadError, HeadLimits, encode_request, parse_response};

use crate::client::body::{Body, is_endless};
use crate::error::{Error, ErrorKind, Result};
use crate::head::{ReadError, read_head};
use crate::transport::AnyStream;

/// The most interim responses, such as 103, before the final one.
const INTERIM_RESPONSES: usize = 8;

/// How long to wait for the body.
const BODY_WAIT: Duration = Duration::from_secs(1);

/// How long to wait for more of a body that only the end of the stream ends. A server may keep the
/// stream open, so waiting longer would be in vain.
const BODY_PAUSE: Duration = Duration::from_millis(100);

/// Sends a request on a stream and reads the head of the response. Bytes after it are left in
/// `early`.
///
/// Errors have this kind, or a more specific one for a server, and name `whom`.
pub(crate) async fn ask(
    stream: &mut AnyStream,
    request: &http::Request<()>,
    limits: &HeadLimits,
    early: &mut Vec<u8>,
    (kind, whom): (ErrorKind, &str),
) -> Result<Response<()>> {
    let mut head = Vec::with_capacity(512);
    encode_request(request, &mut head);
    let said = async {
        stream.write_all(&head).await?;
        stream.flush().await
    };
    said.await.map_err(|error| {
        let message = format!("the handshake with {whom} failed: {error}");
        Error::of_stream(kind, message, error)
    })?;
    for _ in 0..=INTERIM_RESPONSES {
        let parse = |bytes: &[u8]| parse_response(bytes, limits);
        let response = match read_head(stream, early, limits.max_head_size, parse).await {
            Ok(response) => response,
            Err(ReadError::Parse(_)) if is_tls(early) && kind == ErrorKind::ProxyFailed => {
                let message = format!("{whom} speaks TLS there; is it https:// and not http://?");
                return Err(Error::new(kind, message));
            }
            Err(ReadError::Parse(_)) if is_tls(early) => {
                let message = format!("{whom} speaks TLS there; is it wss:// and not ws://?");
                return Err(Error::new(ErrorKind::IsTls, message));
            }
            Err(ReadError::Parse(error)) => {
                let kind = match error {
                    HeadError::NotHttp { .. } if kind == ErrorKind::Handshake => ErrorKind::NotHttp,
                    _ => kind,
                };
                return Err(Error::new(kind, format!("{whom}: {error}")).with_source(error));
            }
            Err(ReadError::Io(error)) => {
                let message = format!("{whom} did not answer: {error}");
                return Err(Error::of_stream(kind, message, error));
            }
            Err(ReadError::Nothing) => {
                let message = format!("{whom} closed the connection without an answer");
                return Err(Error::new(kind, message));
            }
        };
        let status = response.status();
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
    }
    Err(Error::new(kind, format!("{whom} sent more than {INTERIM_RESPONSES} interim responses")))
}

/// Whether these are the first bytes of TLS: an alert or a handshake record (RFC 8446, section
/// 5.1).
fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x15 | 0x16, 3, ..])
}

/// The hint for a server that says that it speaks TLS.
pub(crate) const WANTS_TLS: &str = ", since it speaks TLS there: wss:// is meant, and not ws://";

/// Whether a response says that the port speaks TLS, in the words of Towline, nginx (497 is its own
/// status for it), Apache, and Go, which Caddy and Traefik share.
pub(crate) fn wants_tls(status: StatusCode, body: &[u8]) -> bool {
    const WORDS: [&str; 4] = [
        "This port speaks TLS",
        "The plain HTTP request was sent to HTTPS port",
        "speaking plain HTTP to an SSL-enabled server port",
        "Client sent an HTTP request to an HTTPS server",
    ];
    let has = |words: &&str| body.windows(words.len()).any(|part| part == words.as_bytes());
    matches!(status.as_u16(), 400 | 497) && WORDS.iter().any(has)
}

/// The start of the body of a refusal, as far as it comes without delay.
pub(crate) async fn body_start(
    stream: &mut AnyStream,
    mut bytes: Vec<u8>,
    response: &Response<()>,
) -> Bytes {
    let mut body = Body::of(response);
    let deadline = Instant::now() + BODY_WAIT;
    body.take(&bytes);
    while !body.is_over() && !is_endless(response) {
        let until = match body.is_to_the_end() {
            true => deadline.min(Instant::now() + BODY_PAUSE),
            false => deadline,
        };
        bytes.clear();
        bytes.reserve(1024);
        match tokio::time::timeout_at(until, stream.read_buf(&mut bytes)).await {
            Ok(Ok(1..)) => body.take(&bytes),
            _ => break,
        }
    }
    body.into_start().into()
}
