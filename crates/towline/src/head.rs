//! Reads the heads of HTTP messages, for the opening handshake.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Why reading a head failed.
#[derive(Debug)]
pub(crate) enum ReadError<E> {
    /// The stream failed, or ended in the middle of the head.
    Io(io::Error),
    /// The stream ended before the first byte.
    Nothing,
    /// The bytes are not a valid head.
    Parse(E),
}

/// Reads until `parse` returns a head. Bytes after the head stay in `buffer`.
///
/// Parsing starts over each time, so it waits for another whole line rather than another byte: the
/// number and the length of lines are limited. Given `limit` bytes, `parse` must return a head or
/// an error.
pub(crate) async fn read_head<S, T, E>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    limit: usize,
    parse: impl Fn(&[u8]) -> Result<Option<(T, usize)>, E>,
) -> Result<T, ReadError<E>>
where
    S: AsyncRead + Unpin,
{
    let mut seen = 0;
    // Any number of empty lines is allowed before the first one that counts.
    let mut is_blank = true;
    loop {
        let new = &buffer[seen..];
        is_blank = is_blank && new.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        let is_more = seen == 0 || (!is_blank && new.contains(&b'\n')) || buffer.len() >= limit;
        if !new.is_empty()
            && is_more
            && let Some((head, len)) = parse(buffer).map_err(ReadError::Parse)?
        {
            buffer.drain(..len);
            return Ok(head);
        }
        seen = buffer.len();
        buffer.reserve(1024);
        match stream.read_buf(buffer).await {
            Ok(0) if buffer.is_empty() => return Err(ReadError::Nothing),
            // What was waited for with the rest may be wrong already.
            Ok(0) => {
                parse(buffer).map_err(ReadError::Parse)?;
                return Err(ReadError::Io(io::ErrorKind::UnexpectedEof.into()));
            }
            Ok(_) => {}
            Err(error) => return Err(ReadError::Io(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use towline_proto::handshake::{HeadLimits, parse_request};

    use super::*;

    /// Gives out its bytes one by one.
    struct ByteByByte<'a>(&'a [u8]);

    impl AsyncRead for ByteByByte<'_> {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            if let Some((first, rest)) = self.0.split_first() {
                buffer.put_slice(&[*first]);
                self.0 = rest;
            }
            std::task::Poll::Ready(Ok(()))
        }
    }

    /// The target, or the status of the rejection; and how often the head was parsed.
    async fn read(bytes: &[u8]) -> (Result<String, Option<u16>>, usize) {
        let limits = HeadLimits::default();
        let parses = Cell::new(0);
        let (mut stream, mut buffer) = (ByteByByte(bytes), Vec::new());
        let head = read_head(&mut stream, &mut buffer, limits.max_head_size, |bytes| {
            parses.set(parses.get() + 1);
            parse_request(bytes, &limits)
        });
        let outcome = match head.await {
            Ok(request) => Ok(request.uri().to_string()),
            Err(ReadError::Parse(rejection)) => Err(Some(rejection.status().as_u16())),
            Err(_) => Err(None),
        };
        (outcome, parses.get())
    }

    #[tokio::test]
    async fn a_head_that_drips_is_parsed_once_a_line() {
        let long = "x".repeat(10_000);
        let head = format!("GET /a HTTP/1.1\r\nHost: h\r\nX-Long: {long}\r\n\r\n");
        assert_eq!(read(head.as_bytes()).await, (Ok("/a".to_owned()), 5));
        let bare = head.replace('\r', "");
        assert_eq!(read(bare.as_bytes()).await, (Ok("/a".to_owned()), 5));
        let late = format!("{}{head}", "\r\n".repeat(500));
        assert_eq!(read(late.as_bytes()).await, (Ok("/a".to_owned()), 5));
    }

    #[tokio::test]
    async fn what_drips_and_is_no_head_is_refused_at_the_latest_at_the_limit() {
        assert_eq!(read(b"SSH-2.0-OpenSSH_9.6\r\nmore").await.0, Err(Some(400)));
        assert_eq!(read(b"\x16\x03\x01").await, (Err(Some(400)), 1));
        // Also where the end comes before the line does, and not a head that is only cut short.
        assert_eq!(read(b"*\xff\xff[").await.0, Err(Some(400)));
        assert_eq!(read(b"GET / HT").await.0, Err(None));
        let endless = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(20_000));
        assert_eq!(read(endless.as_bytes()).await, (Err(Some(431)), 3));
        assert_eq!(read(&b"\r\n".repeat(10_000)).await, (Err(Some(431)), 2));
        assert_eq!(read(&b"\n".repeat(20_000)).await, (Err(Some(431)), 2));
        let (outcome, parses) = read(&b"GET / HTTP/1.1\r\n".repeat(5)).await;
        assert_eq!((outcome, parses <= 3), (Err(Some(400)), true));
        let many = format!("GET / HTTP/1.1\r\n{}", "a:\n".repeat(5000));
        let (outcome, parses) = read(many.as_bytes()).await;
        assert_eq!((outcome, parses <= 110), (Err(Some(431)), true));
        assert_eq!(read(b"GET / HT").await.0, Err(None));
    }
}
