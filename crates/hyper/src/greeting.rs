//! Which version of HTTP a client speaks, on a socket and over TLS.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use towline::{TlsInfo, TlsStream};

use crate::ahead::Ahead;

/// What HTTP/2 with prior knowledge begins with (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long the rest of HTTP/2's greeting may be on its way before it is looked for again.
const REST_OF_PREFACE: Duration = Duration::from_millis(10);

/// How a socket is made secure. The seam to TLS, which may not be compiled in.
pub(crate) trait Secure: fmt::Debug + Send + Sync {
    fn secure(&self, stream: TcpStream) -> Securing<'_>;
}

/// A TLS handshake.
pub(crate) type Securing<'a> =
    Pin<Box<dyn Future<Output = towline::Result<TlsStream>> + Send + 'a>>;

/// A stream on which it is known what is spoken.
pub(crate) struct Greeted<I> {
    pub(crate) stream: I,
    pub(crate) is_http2: bool,
    /// What the TLS handshake agreed on, if there was one.
    pub(crate) tls: Option<Arc<TlsInfo>>,
}

/// Without TLS. Nothing is taken from the socket, so that the HTTP connection has it bare.
pub(crate) async fn greet(stream: TcpStream) -> io::Result<Greeted<TcpStream>> {
    let mut bytes = [0; PREFACE.len()];
    loop {
        let count = stream.peek(&mut bytes).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(is_http2) = is_http2(&bytes[..count]) {
            return Ok(Greeted { stream, is_http2, tls: None });
        }
        // The socket is readable for as long as it is only looked at.
        tokio::time::sleep(REST_OF_PREFACE).await;
    }
}

/// With TLS, where the handshake says it, or else the first bytes do; those have to be what it says.
pub(crate) async fn greet_secure(mut stream: TlsStream) -> io::Result<Greeted<Ahead>> {
    let info = stream.info();
    let mut bytes = Vec::new();
    let alpn = info.alpn.as_deref();
    let is_http2 = match alpn {
        Some(alpn) if alpn != b"h2" => false,
        // Also of who has agreed on HTTP/2 the preface is waited for: hyper has no deadline for it.
        _ => loop {
            // It ends once there is as much as the preface has, so that little is read.
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(is_http2) = is_http2(&bytes) {
                break is_http2;
            }
        },
    };
    if alpn.is_some_and(|alpn| alpn == b"h2") && !is_http2 {
        let why = "the client agreed on HTTP/2 and does not begin with its preface";
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    Ok(Greeted { stream: Ahead::new(bytes, stream), is_http2, tls: Some(info) })
}

/// Whether what begins like this is HTTP/2; `None` if that can't be told yet.
fn is_http2(bytes: &[u8]) -> Option<bool> {
    let common = bytes.len().min(PREFACE.len());
    if bytes[..common] != PREFACE[..common] {
        return Some(false);
    }
    Some(true).filter(|_| common == PREFACE.len())
}
