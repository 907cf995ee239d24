//! Refusing a handshake.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

use crate::handshake::extra_headers::{HeaderError, parse_line};
use crate::handshake::header::{X_WEBSOCKET_REJECT_REASON, is_reserved, lossy_value};
use crate::handshake::mechanism::Mechanism;

/// The most characters of the reason in the `X-WebSocket-Reject-Reason` header. The body has all of
/// it.
const LONGEST_REASON: usize = 256;

/// The reason for refusing a handshake, and the HTTP response that says so.
///
/// The default status is 403 Forbidden. The reason is sent in the `X-WebSocket-Reject-Reason`
/// header, as WebSocket-Node does, and in the body.
///
/// ```
/// use http::StatusCode;
/// use towline_proto::handshake::{Mechanism, Rejection};
///
/// let rejection = Rejection::new(StatusCode::NOT_FOUND, "no such room");
/// let response = rejection.response(Mechanism::Http1Upgrade);
/// assert_eq!(response.status(), 404);
/// assert_eq!(response.headers()["x-websocket-reject-reason"], "no such room");
/// assert_eq!(response.body(), "no such room\n");
/// ```
#[derive(Debug, Clone)]
#[doc(alias = "reject")]
pub struct Rejection {
    status: StatusCode,
    reason: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
    header_error: Option<HeaderError>,
}

impl Rejection {
    /// Creates a refusal with this status and reason.
    ///
    /// A status below 300 would signal acceptance, so 403 Forbidden replaces it.
    pub fn new(status: StatusCode, reason: impl Into<Cow<'static, str>>) -> Self {
        let status = if status.as_u16() < 300 { StatusCode::FORBIDDEN } else { status };
        Self { status, reason: reason.into(), headers: Vec::new(), header_error: None }
    }

    /// Adds a header, such as `Location`, `WWW-Authenticate` or `Retry-After`.
    ///
    /// The headers that frame the response are set by the response itself: `Connection`,
    /// `Content-Length`, `Transfer-Encoding`, `Trailer` and `TE` are ignored. So is an invalid
    /// header, such as one with a line break in its value, because a refusal must always be sent.
    /// [`header_error`](Self::header_error) returns the error.
    #[must_use]
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        match parse_line(name, value) {
            Ok(line) => self.headers.push(line),
            Err(error) => self.header_error = self.header_error.or(Some(error)),
        }
        self
    }

    /// Returns the error of the first invalid [`header`](Self::header).
    pub fn header_error(&self) -> Option<&HeaderError> {
        self.header_error.as_ref()
    }

    /// Returns the status of the response.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the reason.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns the extra headers.
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// Returns the complete response to send, with the reason as its body. Over HTTP/1.1 it has
    /// `Connection: close`: close the connection after sending it.
    pub fn response(&self, mechanism: Mechanism) -> Response<Bytes> {
        let mut body = self.reason.clone().into_owned();
        body.push('\n');
        let body = Bytes::from(body);
        let length = HeaderValue::from(body.len());

        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        // RFC 9113, section 8.2.2: an HTTP/2 message has no connection-specific headers.
        let http1 = mechanism == Mechanism::Http1Upgrade;
        for (name, value) in &self.headers {
            let upgrade = name == header::UPGRADE;
            let own = name.as_str().starts_with("sec-websocket-") || (http1 && upgrade);
            if own || !is_reserved(name) {
                headers.append(name, value.clone());
            }
        }
        if http1 {
            // RFC 9110, section 7.8: "A sender of Upgrade MUST also send an "Upgrade" connection
            // option in the Connection header field".
            let upgrade = headers.contains_key(header::UPGRADE);
            let options = if upgrade { "Upgrade, close" } else { "close" };
            headers.insert(header::CONNECTION, HeaderValue::from_static(options));
        }
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.entry(header::CONTENT_TYPE).or_insert(text);
        // The reason may quote the request; keep browsers from rendering it as a page.
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::CONTENT_LENGTH, length);
        headers
            .insert(X_WEBSOCKET_REJECT_REASON.clone(), lossy_value(&self.reason, LONGEST_REASON));
        response
    }
}

impl Default for Rejection {
    fn default() -> Self {
        Self::new(StatusCode::FORBIDDEN, "the server refuses the connection")
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.reason)
    }
}

impl std::error::Error for Rejection {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_response_is_complete() {
        let rejection = Rejection::new(StatusCode::UNAUTHORIZED, "who are you?")
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"sea\""));
        let response = rejection.response(Mechanism::Http1Upgrade);
        assert_eq!(response.status(), 401);
        let headers = response.headers();
        assert_eq!(headers[header::CONTENT_LENGTH], "13");
        assert_eq!(headers[header::CONNECTION], "close");
        assert_eq!(headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
        assert_eq!(headers[header::WWW_AUTHENTICATE], "Basic realm=\"sea\"");
        assert_eq!(headers["x-websocket-reject-reason"], "who are you?");
        assert_eq!(response.body(), "who are you?\n");
        assert_eq!(rejection.to_string(), "401 Unauthorized: who are you?");
    }

    #[test]
    fn an_upgrade_is_also_a_connection_option() {
        let rejection = Rejection::new(StatusCode::UPGRADE_REQUIRED, "")
            .header(header::UPGRADE, HeaderValue::from_static("websocket"));
        let response = rejection.response(Mechanism::Http1Upgrade);
        assert_eq!(response.headers()[header::CONNECTION], "Upgrade, close");
        assert_eq!(response.headers()[header::UPGRADE], "websocket");

        let response = rejection.response(Mechanism::ExtendedConnect);
        assert!(!response.headers().contains_key(header::CONNECTION));
        assert!(!response.headers().contains_key(header::UPGRADE));
    }

    #[test]
    fn a_reason_cannot_inject_headers() {
        let reason = format!("no\r\nSet-Cookie: a=b\0{}", "é".repeat(1000));
        let response = Rejection::new(StatusCode::BAD_REQUEST, reason.clone())
            .response(Mechanism::Http1Upgrade);
        let value = &response.headers()["x-websocket-reject-reason"];
        assert!(value.as_bytes().starts_with(b"no  Set-Cookie: a=b ???"));
        assert_eq!(value.len(), LONGEST_REASON);
        assert_eq!(response.body(), &format!("{reason}\n"));
    }

    #[test]
    fn framing_headers_are_the_response_s_own() {
        let mut rejection = Rejection::default();
        for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION] {
            rejection = rejection.header(name, HeaderValue::from_static("7"));
        }
        let response = rejection.response(Mechanism::Http1Upgrade);
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()[header::CONTENT_LENGTH], "34");
        assert_eq!(response.headers()[header::CONNECTION], "close");
        assert!(!response.headers().contains_key(header::TRANSFER_ENCODING));
    }

    #[test]
    fn a_header_that_is_none_is_left_out_and_told_of() {
        let rejection = Rejection::default()
            .header("Retry-After", "7")
            .header("x-a", "1\r\nx-b: 2")
            .header("x c", "3");
        let name = HeaderName::from_static("x-a");
        assert_eq!(rejection.header_error(), Some(&HeaderError::InvalidValue { name }));
        assert_eq!(rejection.headers().len(), 1);
        let response = rejection.response(Mechanism::Http1Upgrade);
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
    }

    #[test]
    fn a_refusal_never_looks_like_acceptance() {
        for status in [StatusCode::SWITCHING_PROTOCOLS, StatusCode::OK] {
            assert_eq!(Rejection::new(status, "").status(), StatusCode::FORBIDDEN);
        }
        assert_eq!(Rejection::new(StatusCode::FOUND, "").status(), StatusCode::FOUND);
    }
}
