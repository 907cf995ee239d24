//! Whether it is worth connecting again after an error, or after the end of a connection.

use std::io;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use towline_proto::{CloseCause, CloseCode, CloseFrame, Closed, Fault, Initiator};

use crate::error::{Blame, Error, ErrorKind};

/// What an error or an ending means for another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Again,
    /// Another attempt would fail in the same way.
    Fatal,
    /// One of the ends wanted no more.
    Over,
}

impl Error {
    /// Returns whether connecting again, later and in the same way, can succeed. A [reconnecting
    /// client](crate::Client::reconnecting) decides by it.
    ///
    /// | kind | transient |
    /// | --- | --- |
    /// | `Connect`, `ProxyFailed`, `HandshakeTimeout`, `Handshake`, `NotHttp` | yes |
    /// | `ConnectionLost`, `PeerUnresponsive`, `SendTimeout` | yes, unless the program closed before |
    /// | `ClosedByPeer`, and `Closed` by the peer | by code: 1001, 1005, 1011 to 1014, 3008 |
    /// | `HttpResponse`, `ProxyRefused` | by status: 408, 425, 429, not other 4xx; 3xx with `Retry-After`; all others |
    /// | `Tls` | if the handshake was cut off, not if one side refused it |
    /// | `PeerViolation`, `LimitExceeded`, certificates, `Redirect`, `IsTls`, `NotTls`, `NoApplicationProtocol`, `NoExtendedConnect` | no: the peer would do it again |
    /// | `Closed` by this end, `CloseTimeout`, a close with 1000 | no: it was intended |
    /// | `QueueFull` | no: the connection is intact, wait for room |
    /// | `Invalid…`, `Listen`, `TlsUnavailable`, `Dial`, those of a server's requests | no |
    ///
    /// ```
    /// # use std::time::Duration;
    /// # async fn example(client: towline::Client) -> towline::Result<()> {
    /// let connection = loop {
    ///     match client.connect("wss://example.com/feed").await {
    ///         Ok(connection) => break connection,
    ///         Err(error) if error.is_transient() => tokio::time::sleep(Duration::from_secs(5)).await,
    ///         Err(error) => return Err(error),
    ///     }
    /// };
    /// # drop(connection);
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_transient(&self) -> bool {
        Verdict::of_error(self) == Verdict::Again
    }
}

impl Verdict {
    pub(crate) fn of_closed(closed: &Closed) -> Self {
        let fault = match closed.cause() {
            CloseCause::Violation(violation) => Some(Fault::from(violation)),
            CloseCause::LimitExceeded(limit) => Some(Fault::from(limit)),
            CloseCause::PeerUnresponsive | CloseCause::SendTimeout => return Self::Again,
            _ => None,
        };
        if let Some(fault) = fault {
            // The program can have begun to close before.
            let is_for_fault = closed.sent().map(CloseFrame::code) == Some(fault.close_code());
            return if is_for_fault { Self::Fatal } else { Self::Over };
        }
        if closed.initiator() == Initiator::Local {
            return Self::Over;
        }
        closed.received().map_or(Self::Again, |frame| Self::of_code(frame.code()))
    }

    fn of_code(code: CloseCode) -> Self {
        match code.get() {
            1000 => Self::Over,
            // 3008 is a timeout in IANA's registry.
            1001 | 1005 | 1006 | 1011..=1014 | 3008 => Self::Again,
            _ => Self::Fatal,
        }
    }

    pub(crate) fn of_error(error: &Error) -> Self {
        if let Some(closed) = error.closed() {
            return Self::of_closed(closed);
        }
        let is_temporary = match error.kind() {
            ErrorKind::Connect
            | ErrorKind::ProxyFailed
            | ErrorKind::HandshakeTimeout
            | ErrorKind::NotHttp
            | ErrorKind::Handshake => true,
            ErrorKind::HttpResponse | ErrorKind::ProxyRefused => match error.response() {
                Some(response) => is_temporary(response.status(), response.headers()),
                // A SOCKS proxy, which has no more than a number.
                None => true,
            },
            // A handshake that was cut off has an I/O error or none, and a refusal has one of rustls.
            ErrorKind::Tls => error.get_ref().is_none_or(|source| source.is::<io::Error>()),
            ErrorKind::NotTls
            | ErrorKind::IsTls
            | ErrorKind::NoApplicationProtocol
            | ErrorKind::NoExtendedConnect
            | ErrorKind::CertificateExpired
            | ErrorKind::CertificateName
            | ErrorKind::CertificateUntrusted
            | ErrorKind::CertificateInvalid
            | ErrorKind::ClientCertificate
            | ErrorKind::Redirect
            | ErrorKind::OriginRefused
            | ErrorKind::RequestGone => false,
            _ => error.blame() == Blame::Remote,
        };
        if is_temporary { Self::Again } else { Self::Fatal }
    }
}

fn is_temporary(status: StatusCode, headers: &HeaderMap) -> bool {
    match status.as_u16() {
        408 | 425 | 429 => true,
        400..=499 => false,
        // Followed redirects do not come here.
        300..=399 => headers.contains_key(RETRY_AFTER),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Instant;

    use towline_proto::{Config, Incoming, Role, Session, Violation};

    use super::*;

    /// The error of receiving, and that of sending, after `happens`.
    fn after(happens: impl FnOnce(&mut Session, Instant)) -> [bool; 2] {
        let now = Instant::now();
        let mut session = Session::new(Role::Client, &Config::client(), now);
        happens(&mut session, now);
        while let Some(out) = session.poll_transmit() {
            bytes::Buf::advance(out, bytes::Buf::remaining(out));
        }
        let receiving = Error::from_closed(session.outcome().unwrap());
        let sending = Error::refused(session.send("late").unwrap_err().why(), &session);
        [receiving, sending].map(|error| error.is_transient())
    }

    fn closes(session: &mut Session, now: Instant) {
        session.close(now, CloseFrame::new(CloseCode::GOING_AWAY, "").unwrap()).unwrap();
    }

    fn closed_with(code: u16) -> [bool; 2] {
        after(|session, now| {
            let frame = CloseFrame::new(CloseCode::new(code), "").unwrap();
            session.handle_incoming(now, &Incoming::Close(frame)).unwrap();
        })
    }

    #[test]
    fn the_error_of_a_connection_is_transient_if_nobody_wanted_its_end() {
        assert_eq!(after(|session, _| session.handle_transport_end()), [true; 2]);
        let reset = io::ErrorKind::ConnectionReset;
        assert_eq!(after(|session, _| session.handle_transport_error(reset)), [true; 2]);
        assert_eq!([closed_with(1012), closed_with(1001)], [[true; 2]; 2]);
        assert_eq!([closed_with(1000), closed_with(4001)], [[false; 2]; 2]);
        let wrong = after(|session, now| session.handle_fault(now, Violation::Unmasked.into()));
        assert_eq!(wrong, [false; 2]);
        let closed = after(|session, now| {
            closes(session, now);
            session.handle_transport_end();
        });
        assert_eq!(closed, [false; 2]);
        assert_eq!(after(|session, _| session.abort(CloseFrame::EMPTY)), [false; 2]);
    }

    #[test]
    fn an_error_of_this_end_is_not_transient() {
        let full = Error::queue_full(70_000, 65_536);
        assert!(!full.is_transient());
        for kind in [
            ErrorKind::InvalidSend,
            ErrorKind::Listen,
            ErrorKind::ServerGone,
            ErrorKind::Dial,
            ErrorKind::OriginRefused,
            ErrorKind::RequestGone,
        ] {
            assert!(!Error::new(kind, "no").is_transient(), "{kind:?}");
        }
    }
}
