//! The head of an HTTP/1.1 message: the start line and the headers, up to the empty line.

use std::{fmt, io};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
};
use httparse::Status;

use crate::handshake::excerpt::excerpt;
use crate::handshake::header::write_spelt;
use crate::handshake::rejection::Rejection;
use crate::read_buffer::ReadBuffer;

/// Limits on the size of the head of an HTTP message.
///
/// The limits are checked before memory is allocated for the head. A head over a limit is an error
/// as soon as that is certain, so a caller never buffers more than
/// [`max_head_size`](HeadLimits::max_head_size) bytes.
///
/// [`parse_request`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeadLimits {
    /// The most bytes, including the start line and the final empty line. Default: 16 KiB.
    pub max_head_size: usize,
    /// The most headers. Default: 100.
    pub max_headers: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { max_head_size: 16 * 1024, max_headers: 100 }
    }
}

impl HeadLimits {
    /// Sets [`max_head_size`](HeadLimits::max_head_size).
    #[must_use]
    pub fn max_head_size(mut self, bytes: usize) -> Self {
        self.max_head_size = bytes;
        self
    }

    /// Sets [`max_headers`](HeadLimits::max_headers).
    #[must_use]
    pub fn max_headers(mut self, headers: usize) -> Self {
        self.max_headers = headers;
        self
    }
}

/// Parses the head of a request at the beginning of `input`.
///
/// Returns the request and the length of its head, or `None` if more bytes are needed; then call it
/// again with all bytes received so far. Bytes after the head are ignored. Each call starts over,
/// so a head that arrives byte by byte takes time quadratic in its length, which
/// [`HeadLimits::max_head_size`] bounds.
///
/// ```
/// use towline_proto::handshake::{HeadLimits, parse_request};
///
/// let limits = HeadLimits::default();
/// let head = b"GET /chat HTTP/1.1\r\nHost: example.com\r\n\r\n";
/// // Not complete yet:
/// assert!(parse_request(&head[..20], &limits).unwrap().is_none());
/// let (request, length) = parse_request(head, &limits).unwrap().unwrap();
/// assert_eq!((request.uri().path(), length), ("/chat", head.len()));
/// ```
///
/// # Errors
///
/// [`Rejection`] to answer with: 400 if the input is not HTTP, 431 for a head over the limits, and
/// 505 if the version is neither 1.0 nor 1.1.
pub fn parse_request(
    input: &[u8],
    limits: &HeadLimits,
) -> Result<Option<(Request<()>, usize)>, Rejection> {
    try_parse_request(input, limits).map_err(|error| {
        let status = match error {
            HeadError::TooLarge { .. } | HeadError::TooManyHeaders { .. } => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            HeadError::Version { .. } => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            _ => StatusCode::BAD_REQUEST,
        };
        Rejection::new(status, error.to_string())
    })
}

fn try_parse_request(
    input: &[u8],
    limits: &HeadLimits,
) -> Result<Option<(Request<()>, usize)>, HeadError> {
    let mut slots = vec![httparse::EMPTY_HEADER; limits.slots(input)];
    let mut head = httparse::Request::new(&mut slots);
    let status = head.parse(limits.cut(input));
    let Some(length) = limits.check(status, input)? else { return Ok(None) };

    let mut request = Request::new(());
    let method = head.method.unwrap_or_default();
    *request.method_mut() = Method::from_bytes(method.as_bytes())
        .map_err(|_| HeadError::Malformed { what: "the method" })?;
    *request.uri_mut() = target(head.path.unwrap_or_default())?;
    *request.version_mut() = version(head.version);
    *request.headers_mut() = headers(head.headers)?;
    Ok(Some((request, length)))
}

/// Parses the target of a request. RFC 9112, section 3.2: no form of a target has a fragment. `Uri`
/// would drop it, and a proxy that does not would see another target.
fn target(value: &str) -> Result<Uri, HeadError> {
    if value.contains('#') {
        return Err(HeadError::FragmentInTarget { value: excerpt(value) });
    }
    Uri::try_from(value).map_err(|_| HeadError::InvalidTarget { value: excerpt(value) })
}

/// Parses the head of a response at the beginning of `input`.
///
/// Returns the response and the length of its head, or `None` if more bytes are needed; then call
/// it again with all bytes received so far. A server may send 1xx responses before the final one:
/// skip them and parse on.
///
/// [`parse_request`] has an example.
///
/// # Errors
///
/// [`HeadError`] if the input is not HTTP/1.0 or HTTP/1.1, and for a head over the limits.
pub fn parse_response(
    input: &[u8],
    limits: &HeadLimits,
) -> Result<Option<(Response<()>, usize)>, HeadError> {
    let mut slots = vec![httparse::EMPTY_HEADER; limits.slots(input)];
    let mut head = httparse::Response::new(&mut slots);
    let status = head.parse(limits.cut(input));
    let length = match limits.check(status, input) {
        Err(HeadError::Version { began }) if !first_line(input).starts_with(b"HTTP/") => {
            return Err(HeadError::NotHttp { began });
        }
        checked => checked?,
    };
    let Some(length) = length else { return Ok(None) };

    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(head.code.unwrap_or_default())
        .map_err(|_| HeadError::Malformed { what: "the status" })?;
    *response.version_mut() = version(head.version);
    *response.headers_mut() = headers(head.headers)?;
    Ok(Some((response, length)))
}

impl HeadLimits {
    /// The number of header slots: no more than the input can hold, at three bytes each.
    fn slots(&self, input: &[u8]) -> usize {
        self.max_headers.min(self.cut(input).len() / 3)
    }

    /// Returns the part of the input in which the head must end.
    fn cut<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        input.get(..self.max_head_size).unwrap_or(input)
    }

    fn check(
        &self,
        status: httparse::Result<usize>,
        input: &[u8],
    ) -> Result<Option<usize>, HeadError> {
        match status {
            Ok(Status::Complete(length)) => Ok(Some(length)),
            Ok(Status::Partial) if input.len() < self.max_head_size => Ok(None),
            Ok(Status::Partial) => Err(HeadError::TooLarge { limit: self.max_head_size }),
            Err(error) => Err(self.explain(error, input)),
        }
    }

    fn explain(&self, error: httparse::Error, input: &[u8]) -> HeadError {
        let what = match error {
            httparse::Error::TooManyHeaders => {
                return HeadError::TooManyHeaders { limit: self.max_headers };
            }
            httparse::Error::Version => {
                return HeadError::Version { began: excerpt(first_line(input)) };
            }
            httparse::Error::HeaderName => "the name of a header",
            httparse::Error::HeaderValue => "the value of a header",
            httparse::Error::NewLine => "a line break",
            httparse::Error::Status => "the status",
            httparse::Error::Token => "the start line",
        };
        HeadError::Malformed { what }
    }
}

/// Returns the first line that is not empty, as far as it is there.
fn first_line(input: &[u8]) -> &[u8] {
    let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
    input.split(is_break).find(|line| !line.is_empty()).unwrap_or_default()
}

fn version(minor: Option<u8>) -> Version {
    // httparse accepts no others.
    if minor == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 }
}

fn headers(lines: &[httparse::Header<'_>]) -> Result<HeaderMap, HeadError> {
    let mut headers = HeaderMap::with_capacity(lines.len().min(1024));
    for line in lines {
        let name = HeaderName::from_bytes(line.name.as_bytes())
            .map_err(|_| HeadError::Malformed { what: "the name of a header" })?;
        let value = HeaderValue::from_bytes(line.value)
            .map_err(|_| HeadError::Malformed { what: "the value of a header" })?;
        // The map has its own limit, beyond which `append` would panic.
        headers
            .try_append(name, value)
            .map_err(|_| HeadError::TooManyHeaders { limit: 1 << 15 })?;
    }
    Ok(headers)
}

/// The error for the head of an HTTP message that cannot be parsed.
///
/// [`parse_request`] has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadError {
    /// The head is longer than [`HeadLimits::max_head_size`].
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// There are more headers than [`HeadLimits::max_headers`].
    TooManyHeaders {
        /// The limit.
        limit: usize,
    },
    /// The request's target is not a URI.
    InvalidTarget {
        /// The beginning of the target.
        value: String,
    },
    /// The request's target has a fragment, which a client must not send (RFC 9112, section 3.2).
    FragmentInTarget {
        /// The beginning of the target.
        value: String,
    },
    /// The version is neither HTTP/1.0 nor HTTP/1.1.
    Version {
        /// The beginning of the first line, in quotes and escaped.
        began: String,
    },
    /// The response does not begin with `HTTP/`: the peer speaks another protocol.
    NotHttp {
        /// The beginning of its first line, in quotes and escaped.
        began: String,
    },
    /// The bytes are not the head of an HTTP message.
    Malformed {
        /// The part that cannot be parsed.
        what: &'static str,
    },
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit } => {
                write!(f, "the HTTP head is larger than {limit} bytes (max_head_size)")
            }
            Self::TooManyHeaders { limit } => {
                write!(f, "the HTTP head has more than {limit} headers (max_headers)")
            }
            Self::InvalidTarget { value } => {
                write!(f, "the request's target {value} is not a URI")
            }
            Self::FragmentInTarget { value } => {
                write!(f, "the request's target {value} has a fragment")
            }
            Self::Version { began } => write!(
                f,
                "the HTTP version is neither HTTP/1.0 nor HTTP/1.1: the head begins with {began}"
            ),
            Self::NotHttp { began } => {
                write!(f, "the peer does not speak HTTP: it began with {began}")
            }
            Self::Malformed { what } => {
                write!(f, "the HTTP head is malformed: {what} is invalid")
            }
        }
    }
}

impl std::error::Error for HeadError {}

/// Reads from a blocking stream until `parse` returns a head ([`parse_request`],
/// [`parse_response`]). Leaves the bytes after it in `buffer`.
///
/// ```
/// use towline_proto::ReadBuffer;
/// use towline_proto::handshake::{HeadLimits, parse_request, read_head};
///
/// let mut stream = &b"GET /chat HTTP/1.1\r\nHost: example.com\r\n\r\n"[..];
/// let mut buffer = ReadBuffer::new();
/// let request = read_head(&mut stream, &mut buffer, &HeadLimits::default(), parse_request)?;
/// assert_eq!(request.uri().path(), "/chat");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// Errors of the stream, [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) at its end, and errors of
/// `parse` as [`InvalidData`](io::ErrorKind::InvalidData).
pub fn read_head<T, E>(
    stream: &mut impl io::Read,
    buffer: &mut ReadBuffer,
    limits: &HeadLimits,
    parse: impl Fn(&[u8], &HeadLimits) -> Result<Option<(T, usize)>, E>,
) -> io::Result<T>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    loop {
        let parsed = parse(buffer.unread(), limits);
        let parsed = parsed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if let Some((head, len)) = parsed {
            buffer.consume(len);
            return Ok(head);
        }
        if buffer.read_from(stream)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Appends the head of a request to `out`, as HTTP/1.1.
///
/// The target is the path and query of the URI, or its authority for a CONNECT to a proxy. HTTP/1.1
/// cannot express an extended CONNECT: leave that to an HTTP/2 library. Header names are spelled as
/// in the RFCs.
///
/// ```
/// use towline_proto::handshake::{Connect, encode_request};
///
/// let opening = Connect::new().open(&"ws://example.com/chat".parse().unwrap()).unwrap();
/// let mut head = Vec::new();
/// encode_request(opening.request(), &mut head);
/// assert!(head.starts_with(b"GET /chat HTTP/1.1\r\n"));
/// ```
pub fn encode_request(request: &Request<()>, out: &mut Vec<u8>) {
    let uri = request.uri();
    out.extend_from_slice(request.method().as_str().as_bytes());
    out.push(b' ');
    match uri.authority() {
        Some(authority) if request.method() == Method::CONNECT => {
            out.extend_from_slice(authority.as_str().as_bytes());
        }
        _ => {
            // The path of `ws://host?query` is empty.
            let path = if uri.path().is_empty() { "/" } else { uri.path() };
            out.extend_from_slice(path.as_bytes());
            if let Some(query) = uri.query() {
                out.push(b'?');
                out.extend_from_slice(query.as_bytes());
            }
        }
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    encode_headers(request.headers(), out);
}

/// Appends the head of a response to `out`, as HTTP/1.1. The caller appends the body, if there is
/// one. Header names are spelled as in the RFCs.
///
/// ```
/// use towline_proto::handshake::{Mechanism, Rejection, encode_response};
///
/// let rejection = Rejection::new(http::StatusCode::FORBIDDEN, "members only");
/// let mut out = Vec::new();
/// encode_response(&rejection.response(Mechanism::Http1Upgrade), &mut out);
/// assert!(out.starts_with(b"HTTP/1.1 403 Forbidden\r\n"));
/// ```
pub fn encode_response<T>(response: &Response<T>, out: &mut Vec<u8>) {
    let status = response.status();
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    // RFC 7230, section 3.1.2: the reason may be empty, but the space before it is required.
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    encode_headers(response.headers(), out);
}

/// A `HeaderValue` has no CR, LF or NUL, so no value can end a line early.
fn encode_headers(headers: &HeaderMap, out: &mut Vec<u8>) {
    for (name, value) in headers {
        write_spelt(name, out);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use http::header;
    use proptest::prelude::*;

    const REQUEST: &[u8] =
        b"GET /chat?room=1 HTTP/1.1\r\nHost: example.com\r\nX-A: 1\r\nx-a: 2\r\n\r\n";

    fn request(input: &[u8]) -> Result<Option<(Request<()>, usize)>, Rejection> {
        parse_request(input, &HeadLimits::default())
    }

    fn response(input: &[u8]) -> Result<Option<(Response<()>, usize)>, HeadError> {
        parse_response(input, &HeadLimits::default())
    }

    #[test]
    fn a_request_is_read_when_it_is_whole_and_no_further() {
        for length in 0..REQUEST.len() {
            assert!(request(&REQUEST[..length]).unwrap().is_none(), "{length}");
        }
        let (head, length) = request(&[REQUEST, b"\x81\x80"].concat()).unwrap().unwrap();
        assert_eq!(length, REQUEST.len());
        assert_eq!(head.method(), Method::GET);
        assert_eq!(head.uri(), "/chat?room=1");
        assert_eq!(head.version(), Version::HTTP_11);
        let values: Vec<_> = head.headers().get_all("x-a").iter().collect();
        assert_eq!(values, ["1", "2"]);
    }

    #[test]
    fn a_response_is_read_when_it_is_whole_and_no_further() {
        let input = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
        for length in 0..input.len() {
            assert!(response(&input[..length]).unwrap().is_none(), "{length}");
        }
        let (head, length) = response(&[input, &b"\x81"[..]].concat()).unwrap().unwrap();
        assert_eq!((head.status().as_u16(), length), (101, input.len()));
        assert_eq!(head.headers()[header::UPGRADE], "websocket");
        assert!(response(b"HTTP/1.1 302\r\n\r\n").unwrap().is_some());
    }

    #[test]
    fn who_speaks_another_protocol_is_quoted() {
        let said = |line: &str| {
            parse_response(line.as_bytes(), &HeadLimits::default()).unwrap_err().to_string()
        };
        for (line, began) in [
            ("SSH-2.0-OpenSSH_9.6\r\n", "SSH-2.0-OpenSSH_9.6"),
            ("220 mail.example ESMTP\r\n220 more\r\n", "220 mail.example ESMTP"),
            ("RTSP/1.0 200 OK\r\n\r\n", "RTSP/1.0 200 OK"),
            ("ICY 200 OK\r\n\r\n", "ICY 200 OK"),
            ("+OK\n", "+OK"),
            ("\r\n* OK IMAP4\x1b[2J ready\r\n", "* OK IMAP4\\x1b[2J ready"),
            ("http/1.1 200 OK\r\n", "http/1.1 200 OK"),
        ] {
            let expected = format!("the peer does not speak HTTP: it began with \"{began}\"");
            assert_eq!(said(line), expected);
        }
        for line in ["HTTP/2.0 200 OK\r\n\r\n", "HTTP/3 200\r\n\r\n"] {
            let version = format!("HTTP/1.1: the head begins with \"{}\"", line.trim_end());
            assert!(said(line).ends_with(&version), "{}", said(line));
        }
        let long = said(&format!("SSH-{}\r\n", "x".repeat(9_000)));
        assert!(long.len() < 200, "{long}");
    }

    #[test]
    fn what_is_not_http_is_refused_at_once() {
        for bad in [
            &b"\x16\x03\x01\x02"[..],                // TLS
            b"SSH-2.0-OpenSSH_9.6\r\n",              // SSH
            b"GET / HTTP/1.1\r\nA : b\r\n",          // a space before the colon
            b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", // a folded line
            b"GET / HTTP/1.1\r\nA: b\0c\r\n",
            b"GET / HTTP/1.1\r\nA: b\rc\r\n",
        ] {
            assert_eq!(request(bad).unwrap_err().status(), 400, "{}", bad.escape_ascii());
        }
        for bad in [&b"GET / HTTP/2.0\r\n\r\n"[..], b"GET /a b HTTP/1.1\r\n\r\n"] {
            assert_eq!(request(bad).unwrap_err().status(), 505, "{}", bad.escape_ascii());
        }
        assert_eq!(request(b"GET http://[ HTTP/1.1\r\n\r\n").unwrap_err().status(), 400);
        assert!(response(b"SSH-2.0-OpenSSH_9.6\r\n").is_err());
        assert!(response(b"HTTP/1.1 000 x\r\n\r\n").is_err());
    }

    /// RFC 9112, section 3.2: a fragment is no part of a target, whatever its form.
    #[test]
    fn a_target_with_a_fragment_is_refused() {
        for target in ["/#a", "/a?b#c", "/#", "#", "*#", "http://example.com/#a"] {
            let head = format!("GET {target} HTTP/1.1\r\nHost: example.com\r\n\r\n");
            let rejection = request(head.as_bytes()).unwrap_err();
            assert_eq!(rejection.status(), 400, "{target}");
            assert!(rejection.reason().ends_with("has a fragment"), "{}", rejection.reason());
        }
        let (head, _) = request(b"GET /%23a HTTP/1.1\r\n\r\n").unwrap().unwrap();
        assert_eq!(head.uri(), "/%23a");
    }

    #[test]
    fn a_head_has_a_largest_size() {
        let exact = HeadLimits::default().max_head_size(REQUEST.len());
        assert!(parse_request(REQUEST, &exact).unwrap().is_some());
        assert!(parse_request(&REQUEST[..REQUEST.len() - 1], &exact).unwrap().is_none());
        let less = HeadLimits::default().max_head_size(REQUEST.len() - 1);
        let rejection = parse_request(REQUEST, &less).unwrap_err();
        assert_eq!(rejection.status(), 431);
        assert_eq!(rejection.reason(), "the HTTP head is larger than 63 bytes (max_head_size)");

        let endless = [b"GET /".as_slice(), &[b'a'; 16 * 1024]].concat();
        assert_eq!(request(&endless).unwrap_err().status(), 431);
        let endless = [b"HTTP/1.1 101 ".as_slice(), &[b'a'; 16 * 1024]].concat();
        assert_eq!(response(&endless).unwrap_err(), HeadError::TooLarge { limit: 16 * 1024 });
    }

    #[test]
    fn a_head_has_a_largest_number_of_headers() {
        let with = |count| format!("GET / HTTP/1.1\r\n{}\r\n", "a:\r\n".repeat(count));
        assert!(request(with(100).as_bytes()).unwrap().is_some());
        let rejection = request(with(101).as_bytes()).unwrap_err();
        assert_eq!(rejection.status(), 431);
        assert_eq!(rejection.reason(), "the HTTP head has more than 100 headers (max_headers)");

        // A limit beyond all bounds is no allocation beyond all bounds.
        let unlimited = HeadLimits::default().max_headers(usize::MAX).max_head_size(usize::MAX);
        let head = format!("GET / HTTP/1.1\n{}\n", "a:\n".repeat(1000));
        let (head, _) = parse_request(head.as_bytes(), &unlimited).unwrap().unwrap();
        assert_eq!(head.headers().len(), 1000);
        let head: String = (0..40_000).map(|n| format!("a{n}:\n")).collect();
        let head = format!("GET / HTTP/1.1\n{head}\n");
        assert_eq!(parse_request(head.as_bytes(), &unlimited).unwrap_err().status(), 431);
    }

    #[test]
    fn names_are_written_as_peers_expect_them() {
        let request = Request::get("http://user@example.com/chat?a=b")
            .header(header::HOST, "example.com")
            .header(header::SEC_WEBSOCKET_KEY, "x")
            .body(())
            .unwrap();
        let mut out = b"before".to_vec();
        encode_request(&request, &mut out);
        let text =
            "beforeGET /chat?a=b HTTP/1.1\r\nHost: example.com\r\nSec-WebSocket-Key: x\r\n\r\n";
        assert_eq!(out.escape_ascii().to_string(), text.escape_default().to_string());

        let response = Response::builder().status(299).header("x-a", "1").body("").unwrap();
        out.clear();
        encode_response(&response, &mut out);
        assert_eq!(out, b"HTTP/1.1 299 \r\nX-A: 1\r\n\r\n");
    }

    #[test]
    fn targets_of_all_forms() {
        let target = |method: Method, uri: &str| {
            let request = Request::builder().method(method).uri(uri).body(()).unwrap();
            let mut out = Vec::new();
            encode_request(&request, &mut out);
            String::from_utf8(out).unwrap().lines().next().unwrap().to_owned()
        };
        assert_eq!(target(Method::GET, "ws://a"), "GET / HTTP/1.1");
        assert_eq!(target(Method::GET, "ws://a?b"), "GET /?b HTTP/1.1");
        assert_eq!(target(Method::CONNECT, "a:443"), "CONNECT a:443 HTTP/1.1");
    }

    #[test]
    fn header_values_hold_no_line_breaks() {
        for bad in ["a\r\nb", "a\rb", "a\nb", "a\0b"] {
            assert!(HeaderValue::from_str(bad).is_err());
            assert!(HeaderValue::from_bytes(bad.as_bytes()).is_err());
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(input: Vec<u8>, start in 0usize..4) {
            let starts = [&b""[..], b"GET / HTTP/1.1\r\n", b"GET ", b"HTTP/1.1 101 x\r\n"];
            let input = [starts[start], &input].concat();
            let _ = request(&input);
            let _ = response(&input);
        }

        #[test]
        fn what_is_written_is_read(
            path in "/[a-z0-9/._~-]{0,20}(\\?[a-z=&%0-9]{0,10})?",
            lines in proptest::collection::vec(("[a-zA-Z][a-zA-Z0-9-]{0,12}", "[!-~]([ -~]{0,20}[!-~])?"), 0..20),
            code in 100u16..1000,
        ) {
            let mut sent = Request::get(path.as_str()).body(()).unwrap();
            for (name, value) in &lines {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                sent.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
            }
            let mut wire = Vec::new();
            encode_request(&sent, &mut wire);
            let (got, length) = request(&wire).unwrap().unwrap();
            prop_assert_eq!(length, wire.len());
            prop_assert_eq!(got.uri(), sent.uri());
            prop_assert_eq!(got.headers(), sent.headers());

            let mut sent = Response::builder().status(code).body(()).unwrap();
            *sent.headers_mut() = got.headers().clone();
            wire.clear();
            encode_response(&sent, &mut wire);
            let (got, length) = response(&wire).unwrap().unwrap();
            prop_assert_eq!(length, wire.len());
            prop_assert_eq!(got.status(), sent.status());
            prop_assert_eq!(got.headers(), sent.headers());
        }
    }
}
