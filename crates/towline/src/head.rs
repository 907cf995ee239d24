//! The opening handshake on a stream: heads of HTTP messages read and written.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Why there is no head.
#[derive(Debug)]
pub(crate) enum ReadError<E> {
    /// The stream failed, or ended in the middle.
    Io(io::Error),
    /// The stream ended before the first byte.
    Nothing,
    /// What came is no head.
    Parse(E),
}

/// Reads until `parse` has a head, and leaves in `buffer` what came behind it.
pub(crate) async fn read_head<S, T, E>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    parse: impl Fn(&[u8]) -> Result<Option<(T, usize)>, E>,
) -> Result<T, ReadError<E>>
where
    S: AsyncRead + Unpin,
{
    loop {
        if let Some((head, len)) = parse(buffer).map_err(ReadError::Parse)? {
            buffer.drain(..len);
            return Ok(head);
        }
        buffer.reserve(1024);
        match stream.read_buf(buffer).await {
            Ok(0) if buffer.is_empty() => return Err(ReadError::Nothing),
            Ok(0) => return Err(ReadError::Io(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(error) => return Err(ReadError::Io(error)),
        }
    }
}
