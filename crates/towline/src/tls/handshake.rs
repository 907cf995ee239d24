//! The TLS handshake on a stream.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustls::{AlertDescription, Error, HandshakeKind, ProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use towline_proto::Role;

use crate::tls::asked;
use crate::tls::scratch::KEPT_MAX;
use crate::tls::session::{Outgoing, Session};
use crate::tls::stream::{Left, Stream};
use crate::transport::{AnyStream, TlsInfo};

/// How many bytes one read takes.
const AT_ONCE: usize = 4 << 10;

/// How many bytes are read from a refused client, so that it can read the reason.
const LINGER_MAX: u64 = 128 << 10;

/// How long a refused client has time to read the reason.
const LINGER: Duration = Duration::from_secs(1);

/// Why a handshake failed.
pub(crate) enum Failure {
    Io(io::Error),
    /// The peer ended the stream during the handshake.
    Ended,
    /// The client disconnected before it sent anything.
    Gone,
    /// The peer sent an HTTP message.
    Http(AnyStream),
    Tls(Error),
    /// The server failed the handshake without a reason, after it had asked for a certificate and
    /// got none.
    NothingToShow(Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Performs the handshake. The last flight of a client, or of a server with TLS 1.3, is sent with
/// the first data that is written.
pub(crate) async fn handshake(
    mut stream: AnyStream,
    mut session: Session,
) -> Result<Stream, Failure> {
    let (mut incoming, mut ahead) = (Vec::new(), BytesMut::new());
    let mut buffer = Vec::new();
    let (mut is_first, mut was_asked) = (true, false);
    loop {
        let mut outgoing = Outgoing { buffer: &mut buffer, filled: 0 };
        let received = &mut |plaintext: &[u8]| ahead.extend_from_slice(plaintext);
        let result = session.receive(&mut incoming, &mut outgoing, received);
        let filled = outgoing.filled;
        was_asked |= asked::take();
        let taken = match result {
            Ok(taken) => taken,
            Err(error) => {
                part(&mut stream, &buffer[..filled], &session).await;
                return Err(match error {
                    Error::AlertReceived(AlertDescription::HandshakeFailure) if was_asked => {
                        Failure::NothingToShow(error)
                    }
                    error => Failure::Tls(error),
                });
            }
        };
        incoming.drain(..taken.count);
        let common = session.common();
        let is_done = !common.is_handshaking();
        let goes_along = is_done
            && (matches!(session, Session::Client(_))
                || common.protocol_version() == Some(ProtocolVersion::TLSv1_3));
        if filled > 0 && !goes_along {
            stream.write_all(&buffer[..filled]).await?;
            stream.flush().await?;
        }
        // The limit for a handshake message: mostly a certificate chain.
        if incoming.len() > KEPT_MAX {
            return Err(Failure::Tls(rustls::InvalidMessage::HandshakePayloadTooLarge.into()));
        }
        if is_done {
            let info = info(&session);
            let unsent =
                if goes_along { BytesMut::from(&buffer[..filled]) } else { BytesMut::new() };
            incoming.shrink_to_fit();
            let left = Left { incoming, unsent, ahead, is_end: taken.is_end };
            return Ok(Stream::new(stream, session, info, left));
        }
        if taken.is_end {
            return Err(Failure::Ended);
        }
        incoming.reserve_exact(AT_ONCE);
        match stream.read_buf(&mut incoming).await {
            Ok(1..) => {}
            _ if is_first && session.role() == Role::Server => return Err(Failure::Gone),
            Ok(0) => return Err(Failure::Ended),
            Err(error) => return Err(Failure::Io(error)),
        }
        if std::mem::take(&mut is_first) && is_http(session.role(), &incoming) {
            return Err(Failure::Http(stream));
        }
    }
}

/// Whether the bytes begin an HTTP message, from a peer that does not expect TLS.
fn is_http(role: Role, bytes: &[u8]) -> bool {
    let begins = |with: &[u8]| bytes.starts_with(&with[..with.len().min(bytes.len())]);
    match role {
        Role::Client => begins(b"HTTP/"),
        Role::Server => {
            let methods =
                [&b"GET "[..], b"HEAD ", b"POST ", b"PUT ", b"OPTIONS ", b"CONNECT ", b"PRI "];
            methods.into_iter().any(begins)
        }
    }
}

/// Tries to send the alert. Then reads what the client still sends: closing a socket with unread
/// bytes would reset the connection and discard the alert.
async fn part(stream: &mut AnyStream, alert: &[u8], session: &Session) {
    if stream.write_all(alert).await.is_err() || stream.flush().await.is_err() {
        return;
    }
    if matches!(session, Session::Server(_)) && stream.shutdown().await.is_ok() {
        linger(stream).await;
    }
}

/// Reads and drops bytes for a limited time.
pub(crate) async fn linger(stream: &mut AnyStream) {
    let mut rest = stream.take(LINGER_MAX);
    let _ = timeout(LINGER, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
}

fn info(session: &Session) -> TlsInfo {
    let common = session.common();
    let certificates = common.peer_certificates().unwrap_or_default();
    TlsInfo {
        version: match common.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            _ => "TLS 1.2",
        },
        cipher_suite: common
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or("?"),
        alpn: common.alpn_protocol().map(alpn),
        is_resumed: common.handshake_kind() == Some(HandshakeKind::Resumed),
        peer_certificates: certificates.iter().map(|der| Bytes::copy_from_slice(der)).collect(),
    }
}

/// The protocol that was agreed on. The usual one needs no allocation.
fn alpn(protocol: &[u8]) -> Bytes {
    match protocol {
        b"http/1.1" => Bytes::from_static(b"http/1.1"),
        other => Bytes::copy_from_slice(other),
    }
}
