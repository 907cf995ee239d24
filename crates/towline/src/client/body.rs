//! The body of a response that is not a handshake: where it ends (RFC 9112, section 6.3), and its
//! start.

use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, TRANSFER_ENCODING};
use http::{Response, StatusCode, Version};

/// How many bytes of a body are kept.
pub(crate) const BODY_START: usize = 4 << 10;

/// How many bytes are read for them: chunks of one byte have five bytes of framing each.
const MOST_RECEIVED: usize = 8 * BODY_START;

/// The longest line with the size of a chunk, including its extensions.
const LONGEST_LINE: usize = 1 << 10;

/// The rest of a body.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    /// Nothing.
    Nothing,
    /// A number of bytes.
    Bytes(u64),
    /// Chunks.
    Chunks(Chunk),
    /// All bytes until the stream ends.
    ToTheEnd,
}

/// The position within a chunk (RFC 9112, section 7.1).
#[derive(Debug, PartialEq, Eq)]
enum Chunk {
    /// In the line with its size; `line` is what has been read of it.
    Size { line: Vec<u8> },
    /// In its data.
    Data { left: u64 },
    /// After its data, in the line break.
    Break,
}

/// A body being received.
#[derive(Debug)]
pub(crate) struct Body {
    left: Left,
    received: usize,
    start: Vec<u8>,
}

impl Body {
    /// The body of this response.
    pub(crate) fn of(response: &Response<()>) -> Self {
        Self { left: framing(response), received: 0, start: Vec::new() }
    }

    /// Takes received bytes.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) {
        self.received += bytes.len();
        while !bytes.is_empty() && !self.is_over() {
            match &mut self.left {
                Left::Nothing => {}
                Left::Bytes(left) | Left::Chunks(Chunk::Data { left }) => {
                    let most = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    let (data, rest) = bytes.split_at(most);
                    *left -= data.len() as u64;
                    if let (0, Left::Chunks(chunk)) = (*left, &mut self.left) {
                        *chunk = Chunk::Break;
                    }
                    self.start.extend_from_slice(data);
                    bytes = rest;
                }
                Left::Chunks(Chunk::Size { line }) => {
                    let (byte, rest) = (bytes[0], &bytes[1..]);
                    bytes = rest;
                    if byte != b'\n' {
                        line.push(byte);
                    } else {
                        self.left = match size(line) {
                            // Trailers follow the last chunk; they are ignored.
                            Some(0) | None => Left::Nothing,
                            Some(left) => Left::Chunks(Chunk::Data { left }),
                        };
                    }
                    if let Left::Chunks(Chunk::Size { line }) = &self.left
                        && line.len() > LONGEST_LINE
                    {
                        self.left = Left::Nothing;
                    }
                }
                Left::Chunks(Chunk::Break) => {
                    match bytes[0] {
                        b'\r' => {}
                        b'\n' => self.left = Left::Chunks(Chunk::Size { line: Vec::new() }),
                        // The chunk framing is invalid, so the rest can't be read.
                        _ => self.left = Left::Nothing,
                    }
                    bytes = &bytes[1..];
                }
                Left::ToTheEnd => {
                    self.start.extend_from_slice(bytes);
                    bytes = &[];
                }
            }
        }
        self.start.truncate(BODY_START);
    }

    /// Whether no more bytes are needed.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.left, Left::Nothing | Left::Bytes(0))
            || self.start.len() >= BODY_START
            || self.received >= MOST_RECEIVED
    }

    /// Whether only the end of the stream ends the body.
    pub(crate) fn is_to_the_end(&self) -> bool {
        self.left == Left::ToTheEnd
    }

    /// What was received, up to [`BODY_START`].
    pub(crate) fn into_start(self) -> Vec<u8> {
        self.start
    }
}

/// RFC 9112, section 6.3. The request is never HEAD, and never a CONNECT that succeeded.
fn framing(response: &Response<()>) -> Left {
    let (status, headers) = (response.status(), response.headers());
    if status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    {
        return Left::Nothing;
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        // It "overrides the Content-Length". "If … the chunked transfer coding is not the final
        // encoding, the message body length is determined by reading the connection until it is
        // closed". HTTP/1.0 "MUST" be treated as faulty, with the same result (section 6.1). Empty
        // members of a list do not count (RFC 9110, section 5.6.1).
        let mut codings = words(headers, &TRANSFER_ENCODING).into_iter().rev();
        let is_chunked = codings
            .find(|coding| !coding.is_empty())
            .is_some_and(|last| last.eq_ignore_ascii_case("chunked"));
        return match is_chunked && response.version() >= Version::HTTP_11 {
            true => Left::Chunks(Chunk::Size { line: Vec::new() }),
            false => Left::ToTheEnd,
        };
    }
    if headers.contains_key(CONTENT_LENGTH) {
        // An invalid or contradictory length means that the body goes on until the stream ends.
        return length(headers).map_or(Left::ToTheEnd, Left::Bytes);
    }
    Left::ToTheEnd
}

/// The length, if all headers agree on it.
fn length(headers: &HeaderMap) -> Option<u64> {
    let mut lengths = words(headers, &CONTENT_LENGTH).into_iter().map(|word| {
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        word.parse().ok().filter(|_: &u64| is_number)
    });
    let first = lengths.next()??;
    lengths.all(|length| length == Some(first)).then_some(first)
}

/// The members of a list header, over all its lines. A line that is not text counts as empty.
fn words<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let lines = headers.get_all(name).iter();
    let lines = lines.flat_map(|line| line.to_str().unwrap_or_default().split(','));
    lines.map(str::trim).collect()
}

/// Whether the stream stays open after this response although it gives no length, so that the body
/// has no end to wait for. Such a server is at fault; it usually sends no body.
pub(crate) fn is_endless(response: &Response<()>) -> bool {
    let headers = response.headers();
    let is_kept =
        words(headers, &CONNECTION).iter().any(|word| word.eq_ignore_ascii_case("keep-alive"));
    is_kept && !headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(TRANSFER_ENCODING)
}

/// The size of a chunk, in hexadecimal digits, before its extensions.
fn size(line: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(line).ok()?;
    let digits = line.split(';').next()?.trim();
    let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn response(status: u16, headers: &[(&str, &str)]) -> Response<()> {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body(()).unwrap()
    }

    /// The bytes kept of this body, and whether it is over, however it is split.
    fn read(headers: &[(&str, &str)], bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut all = Vec::new();
        for piece in 1..=bytes.len().max(1) {
            let mut body = Body::of(&response(403, headers));
            bytes.chunks(piece).for_each(|piece| body.take(piece));
            let is_over = body.is_over();
            all.push((body.into_start(), is_over));
        }
        all.dedup();
        assert_eq!(all.len(), 1, "{headers:?}: it depends on the pieces");
        all.remove(0)
    }

    #[test]
    fn chunks_are_taken_apart() {
        let chunked = &[("transfer-encoding", "gzip, Chunked"), ("content-length", "3")];
        for (bytes, body, is_over) in [
            ("4\r\nahoy\r\n0\r\n\r\n", "ahoy", true),
            ("2;a=\"b\";c\r\nah\r\n2 \r\noy\r\n000;x\r\nX-Trailer: 1\r\n\r\n", "ahoy", true),
            ("A\r\n0123456789\r\n", "0123456789", false),
            ("4\r\nah", "ah", false),
            ("0\r\n", "", true),
            // Invalid chunk framing ends the body; the bytes before it are kept.
            ("4\r\nahoyahoy", "ahoy", true),
            ("4\r\nahoy\r\nx\r\n", "ahoy", true),
            ("-4\r\nahoy", "", true),
            ("\r\nahoy", "", true),
            ("ffffffffffffffffff\r\nahoy", "", true),
            ("ffffffffffffffff\r\nahoy", "ahoy", false),
        ] {
            assert_eq!(read(chunked, bytes.as_bytes()), (body.into(), is_over), "{bytes:?}");
        }
    }

    #[test]
    fn empty_members_of_a_list_do_not_count() {
        for codings in ["chunked,", "chunked , ,", ", chunked"] {
            let body = read(&[("transfer-encoding", codings)], b"4\r\nahoy\r\n0\r\n\r\n");
            assert_eq!(body, ("ahoy".into(), true), "{codings:?}");
        }
    }

    #[test]
    fn a_length_counts_where_there_is_one() {
        for (headers, body, is_over) in [
            (&[("content-length", "4")][..], "ahoy", true),
            (&[("content-length", "4, 4"), ("content-length", "4")], "ahoy", true),
            (&[("content-length", "0")], "", true),
            (&[("content-length", "99999999999999999")], "ahoy, sailor", false),
            // None of these says where it ends.
            (&[("content-length", "4"), ("content-length", "5")], "ahoy, sailor", false),
            (&[("content-length", "+4")], "ahoy, sailor", false),
            (&[("content-length", "")], "ahoy, sailor", false),
            (&[("content-length", "99999999999999999999")], "ahoy, sailor", false),
            (&[("transfer-encoding", "chunked, gzip")], "ahoy, sailor", false),
            (&[], "ahoy, sailor", false),
        ] {
            assert_eq!(read(headers, b"ahoy, sailor"), (body.into(), is_over), "{headers:?}");
        }
    }

    #[test]
    fn some_statuses_have_no_body() {
        for status in [100, 103, 204, 304] {
            let headers = &[("content-length", "4"), ("transfer-encoding", "chunked")];
            assert!(Body::of(&response(status, headers)).is_over(), "{status}");
        }
    }

    #[test]
    fn a_chunk_in_an_answer_of_http_1_0_is_none() {
        let mut old = response(403, &[("transfer-encoding", "chunked")]);
        *old.version_mut() = Version::HTTP_10;
        assert!(Body::of(&old).is_to_the_end());
    }

    #[test]
    fn framing_without_end_is_not_read_without_end() {
        for bytes in ["1;".to_owned() + &"x".repeat(LONGEST_LINE), "1\r\nx\r\n".repeat(99_999)] {
            let mut body = Body::of(&response(403, &[("transfer-encoding", "chunked")]));
            bytes.as_bytes().chunks(1000).for_each(|piece| body.take(piece));
            assert!(body.is_over() && body.into_start().len() <= BODY_START);
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(
            coding in "chunked|gzip|,| |",
            length in "[0-9, +-]{0,22}",
            bytes in "[0-9a-fA-F\r\n; x]{0,80}",
        ) {
            read(&[("transfer-encoding", &coding)], bytes.as_bytes());
            read(&[("content-length", &length)], bytes.as_bytes());
        }
    }
}
