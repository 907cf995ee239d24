//! Detects the HTTP version of a client, on a socket and over TLS.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, Interest};
use tokio::net::TcpStream;
use towline::{TlsInfo, TlsStream};

use crate::ahead::Ahead;
use crate::failure::Failure;

/// The first bytes of HTTP/2 with prior knowledge (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first byte of a TLS handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 0x16;

/// How long to wait before looking again for the rest of the HTTP/2 preface.
const REST_OF_PREFACE: Duration = Duration::from_millis(10);

/// Does TLS handshakes. Keeps TLS optional at compile time.
pub(crate) trait Secure: fmt::Debug + Send + Sync {
    fn secure(&self, stream: TcpStream) -> Securing<'_>;
}

/// A TLS handshake.
pub(crate) type Securing<'a> =
    Pin<Box<dyn Future<Output = towline::Result<TlsStream>> + Send + 'a>>;

/// A stream whose protocol is known.
pub(crate) struct Greeted<I> {
    pub(crate) stream: I,
    pub(crate) is_http2: bool,
    /// Whether the client speaks TLS where no TLS was expected.
    pub(crate) speaks_tls: bool,
    /// The result of the TLS handshake, if there was one.
    pub(crate) tls: Option<Arc<TlsInfo>>,
}

/// Why the protocol is not known.
pub(crate) enum NoGreeting {
    /// The client has sent nothing, and is gone.
    Nothing,
    Failed(Failure),
}

/// Without TLS. Only peeks at the socket, so that the HTTP connection gets it bare.
pub(crate) async fn greet(stream: TcpStream) -> Result<Greeted<TcpStream>, NoGreeting> {
    let mut bytes = [0; PREFACE.len()];
    let mut has_begun = false;
    loop {
        // Asked before the peek: then there are no bytes behind those that it sees.
        let is_over = has_begun
            && stream.ready(Interest::READABLE).await.is_ok_and(|ready| ready.is_read_closed());
        let bytes = match stream.peek(&mut bytes).await {
            Ok(count @ 1..) => &bytes[..count],
            _ if has_begun => return Err(NoGreeting::Failed(Failure::cut_off())),
            _ => return Err(NoGreeting::Nothing),
        };
        // The second byte tells TLS from anything else.
        if let Some(is_http2) = is_http2(bytes).filter(|_| bytes != [HANDSHAKE]) {
            let speaks_tls = matches!(bytes, [HANDSHAKE, 3, ..]);
            return Ok(Greeted { stream, is_http2, speaks_tls, tls: None });
        }
        if is_over {
            return Err(NoGreeting::Failed(Failure::cut_off()));
        }
        has_begun = true;
        // The socket stays readable while it is only peeked at.
        tokio::time::sleep(REST_OF_PREFACE).await;
    }
}

/// With TLS. ALPN decides, or else the first bytes; the first bytes must match ALPN.
pub(crate) async fn greet_secure(mut stream: TlsStream) -> Result<Greeted<Ahead>, NoGreeting> {
    let info = stream.info();
    let mut bytes = Vec::new();
    let alpn = info.alpn.as_deref();
    let is_http2 = loop {
        // Ends once the length of the preface is read, so that little is read ahead.
        match stream.read_buf(&mut bytes).await {
            Ok(1..) => {}
            Ok(0) if bytes.is_empty() => return Err(NoGreeting::Nothing),
            Ok(0) => return Err(NoGreeting::Failed(Failure::cut_off())),
            Err(error) => {
                let failure = Failure::of_stream(&error, !bytes.is_empty());
                return Err(failure.map_or(NoGreeting::Nothing, NoGreeting::Failed));
            }
        }
        // Bytes are awaited even if ALPN chose HTTP/1.1: without any, a client has failed at nothing.
        if alpn.is_some_and(|alpn| alpn != b"h2") {
            break false;
        }
        // The preface is awaited even if ALPN chose HTTP/2: hyper has no deadline for it.
        if let Some(is_http2) = is_http2(&bytes) {
            break is_http2;
        }
    };
    if alpn.is_some_and(|alpn| alpn == b"h2") && !is_http2 {
        return Err(NoGreeting::Failed(Failure::no_preface()));
    }
    let stream = Ahead::new(bytes, stream);
    Ok(Greeted { stream, is_http2, speaks_tls: false, tls: Some(info) })
}

/// Whether these are the first bytes of HTTP/2; `None` if more are needed.
fn is_http2(bytes: &[u8]) -> Option<bool> {
    let common = bytes.len().min(PREFACE.len());
    if bytes[..common] != PREFACE[..common] {
        return Some(false);
    }
    Some(true).filter(|_| common == PREFACE.len())
}
