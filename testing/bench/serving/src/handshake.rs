//! A hand-written opening handshake, for servers whose library has none, or none on a plain socket.

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stream::Stream;

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The response's extension for compression, with context takeover in both directions or in none. The
/// client is assumed to have offered it.
pub fn compression(takeover: bool) -> &'static str {
    if takeover {
        "permessage-deflate"
    } else {
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    }
}

/// Reads the request and answers with 101. The client is assumed to send no frame before that.
///
/// # Errors
///
/// If the request is invalid or too long, or the connection is lost.
pub async fn upgrade(stream: &mut impl Stream) -> Result<()> {
    upgrade_with(stream, None).await
}

/// The same, and accepts these extensions.
///
/// # Errors
///
/// As [`upgrade`].
pub async fn upgrade_with(stream: &mut impl Stream, extensions: Option<&str>) -> Result<()> {
    upgrade_to(stream, extensions).await.map(drop)
}

/// The same, and returns the resource of the request.
///
/// # Errors
///
/// As [`upgrade`].
pub async fn upgrade_to(stream: &mut impl Stream, extensions: Option<&str>) -> Result<String> {
    let mut head = [0; 2048];
    let mut length = 0;
    while !head[..length].ends_with(b"\r\n\r\n") {
        if length == head.len() {
            bail!("the request is too long");
        }
        match stream.read(&mut head[length..]).await? {
            0 => bail!("the connection ended within the request"),
            read => length += read,
        }
    }
    let head = std::str::from_utf8(&head[..length]).context("the request is not text")?;
    let resource = head.split(' ').nth(1).context("the request has no resource")?.to_owned();
    let key = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
        .map(|(_, value)| value.trim())
        .context("the request has no Sec-WebSocket-Key")?;
    let extensions = extensions.map(|agreed| format!("Sec-WebSocket-Extensions: {agreed}\r\n"));
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{}\r\n",
        accept(key),
        extensions.unwrap_or_default()
    );
    stream.write_all(answer.as_bytes()).await?;
    // TLS may have kept some of it.
    stream.flush().await?;
    Ok(resource)
}

/// Returns the `Sec-WebSocket-Accept` for this key.
pub fn accept(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(GUID);
    STANDARD.encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_answer_is_that_of_the_rfc() {
        assert_eq!(super::accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
