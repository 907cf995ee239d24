//! How an attempt or a connection ended, and whether another attempt is worth it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use towline_proto::Closed;

use crate::client::reconnecting::dial::DialError;
use crate::client::reconnecting::retry_after::retry_after;
use crate::error::{Error, ErrorKind};
use crate::transient::Verdict;

/// How the last attempt or connection of a [reconnecting client](crate::Reconnecting) ended. Clones are
/// cheap.
///
/// [`Reconnecting::retry_if`](crate::Reconnecting::retry_if) has an example.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Ending {
    /// The connection ended.
    Closed(Closed),
    /// The program dropped the connection, without closing it before.
    Dropped,
    /// Connecting failed. [`Error::response`] has the server's answer, if there was one.
    Failed(Arc<Error>),
    /// The program's function returned an error.
    NotDialled(Arc<DialError>),
}

/// What a reconnecting client does after an [`Ending`]: what
/// [`Reconnecting::retry_if`](crate::Reconnecting::retry_if) returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Retry {
    /// What it does by default, see [`Reconnecting`](crate::Reconnecting#what-is-tried-again).
    #[default]
    Default,
    /// Try again, even after an end that was intended. The delay is that of the
    /// [`Backoff`](crate::Backoff), added to the server's `Retry-After` if its answer has one.
    Yes,
    /// Try again after this delay, which nothing shortens or spreads: no `Retry-After` and no jitter.
    /// It does not count for the delays of the backoff.
    After(Duration),
    /// Don't try again. [`Reconnecting::next`](crate::Reconnecting::next) returns the error; or `None`
    /// after an end that is [none by default](crate::Reconnecting#what-is-tried-again): a close with
    /// 1000, or one by the program.
    No,
}

impl Ending {
    /// Returns how long the server asks to wait, in `Retry-After` of its answer: as seconds, or as a date,
    /// which is compared with the server's own `Date` if it has one. Without a limit.
    pub fn retry_after(&self) -> Option<Duration> {
        self.headers().and_then(retry_after)
    }

    fn headers(&self) -> Option<&HeaderMap> {
        match self {
            Self::Failed(error) => error.response().map(http::Response::headers),
            _ => None,
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::Closed(closed) => Verdict::of_closed(closed),
            Self::Dropped => Verdict::Again,
            Self::Failed(error) => Verdict::of_error(error),
            Self::NotDialled(error) if error.is_fatal() => Verdict::Fatal,
            Self::NotDialled(_) => Verdict::Again,
        }
    }

    /// The error for giving up because of this ending.
    pub(crate) fn error(&self, preface: &str) -> Error {
        let error = match self {
            Self::Closed(closed) => Error::from_closed(closed),
            Self::Dropped => Error::new(ErrorKind::Closed, self.to_string()),
            Self::Failed(error) => error.repeat().with_source(error.clone()),
            Self::NotDialled(error) => {
                Error::new(ErrorKind::Dial, self.to_string()).with_source(error.shared())
            }
        };
        error.with_preface(preface)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(closed) => closed.fmt(f),
            Self::Dropped => f.write_str("the program dropped the connection"),
            Self::Failed(error) => error.fmt(f),
            Self::NotDialled(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io;
    use std::time::Instant;

    use bytes::{Buf as _, Bytes};
    use towline_proto::{
        CloseCode, CloseFrame, Config, Fault, Incoming, LimitExceeded, Role, Session, Violation,
    };

    use super::*;

    fn code(code: u16) -> CloseFrame {
        match code {
            1005 => CloseFrame::EMPTY,
            code => CloseFrame::new(CloseCode::new(code), "").unwrap(),
        }
    }

    /// The verdict on a connection that ended after `happens`.
    fn after(happens: impl FnOnce(&mut Session, Instant)) -> Verdict {
        let now = Instant::now();
        let mut session = Session::new(Role::Client, &Config::client(), now);
        happens(&mut session, now);
        while let Some(out) = session.poll_transmit() {
            out.advance(out.remaining());
        }
        Ending::Closed(session.outcome().unwrap().clone()).verdict()
    }

    fn received(number: u16) -> Verdict {
        after(|session, now| {
            session.handle_incoming(now, &Incoming::Close(code(number))).unwrap();
        })
    }

    #[test]
    fn the_peers_close_code_decides() {
        assert_eq!(received(1000), Verdict::Over);
        for again in [1001, 1005, 1011, 1012, 1013, 1014, 3008] {
            assert_eq!(received(again), Verdict::Again, "{again}");
        }
        for fatal in [1002, 1003, 1007, 1008, 1009, 1010, 3000, 3003, 4000, 4999] {
            assert_eq!(received(fatal), Verdict::Fatal, "{fatal}");
        }
    }

    #[test]
    fn a_transport_that_is_lost_and_a_peer_that_is_silent_come_back() {
        assert_eq!(after(|session, _| session.handle_transport_end()), Verdict::Again);
        let reset = io::ErrorKind::ConnectionReset;
        assert_eq!(after(|session, _| session.handle_transport_error(reset)), Verdict::Again);
        let silent = after(|session, now| {
            while session.is_open() {
                session.handle_timeout(session.poll_timeout().unwrap_or(now));
            }
        });
        assert_eq!(silent, Verdict::Again);
    }

    #[test]
    fn what_the_peer_did_wrong_it_would_do_again() {
        for fault in [
            Fault::from(Violation::Unmasked),
            Fault::from(LimitExceeded::Fragments { limit: 1 }),
            Fault::from(LimitExceeded::ControlRate { limit: 1 }),
        ] {
            assert_eq!(after(|session, now| session.handle_fault(now, fault)), Verdict::Fatal);
            let closing = after(|session, now| {
                session.close(now, code(1000)).unwrap();
                session.handle_fault(now, fault);
            });
            assert_eq!(closing, Verdict::Over);
        }
    }

    #[test]
    fn a_close_of_the_program_is_the_end_however_it_completes() {
        let closes = |session: &mut Session, now| session.close(now, code(1001)).unwrap();
        let answered = after(|session, now| {
            closes(session, now);
            session.handle_incoming(now, &Incoming::Close(code(1012))).unwrap();
        });
        assert_eq!(answered, Verdict::Over);
        let lost = after(|session, now| {
            closes(session, now);
            session.handle_transport_end();
        });
        assert_eq!(lost, Verdict::Over);
        let unanswered = after(|session, now| {
            closes(session, now);
            session.handle_timeout(now + Duration::from_secs(60));
        });
        assert_eq!(unanswered, Verdict::Over);
        // It takes nothing either, so that two timeouts pass.
        for is_stalled_before in [true, false] {
            let stalled = after(|session, now| {
                session.send(vec![7; 1000]).unwrap();
                if is_stalled_before {
                    session.handle_full(now);
                }
                closes(session, now);
                session.handle_full(now);
                while session.outcome().is_none() {
                    session.handle_timeout(session.poll_timeout().unwrap());
                }
                session.handle_timeout(now + Duration::from_secs(3600));
            });
            assert_eq!(stalled, Verdict::Over);
        }
        assert_eq!(after(|session, _| session.abort(code(1011))), Verdict::Over);
    }

    fn answered(status: u16, headers: &[(&str, &str)]) -> Verdict {
        let mut response = http::Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let error = Error::new(ErrorKind::HttpResponse, "no")
            .with_response(response.body(Bytes::new()).unwrap());
        Ending::Failed(Arc::new(error)).verdict()
    }

    #[test]
    fn the_status_of_an_answer_decides() {
        for again in [200, 408, 425, 429, 500, 502, 503, 504, 599] {
            assert_eq!(answered(again, &[]), Verdict::Again, "{again}");
        }
        for fatal in [301, 307, 400, 401, 403, 404, 410, 426, 451, 499] {
            assert_eq!(answered(fatal, &[]), Verdict::Fatal, "{fatal}");
        }
        assert_eq!(answered(307, &[("retry-after", "5")]), Verdict::Again);
        assert_eq!(answered(401, &[("retry-after", "5")]), Verdict::Fatal);
    }

    #[test]
    fn the_kind_of_an_error_decides() {
        let of = |kind| Ending::Failed(Arc::new(Error::new(kind, "no"))).verdict();
        for again in [
            ErrorKind::Connect,
            ErrorKind::HandshakeTimeout,
            ErrorKind::Handshake,
            ErrorKind::ProxyFailed,
            ErrorKind::ProxyRefused,
            ErrorKind::Tls,
            ErrorKind::ConnectionLost,
        ] {
            assert_eq!(of(again), Verdict::Again, "{again:?}");
        }
        for fatal in [
            ErrorKind::InvalidUrl,
            ErrorKind::InvalidHandshakeOption,
            ErrorKind::InvalidProxy,
            ErrorKind::InvalidTls,
            ErrorKind::TlsUnavailable,
            ErrorKind::NotTls,
            ErrorKind::IsTls,
            ErrorKind::CertificateExpired,
            ErrorKind::CertificateName,
            ErrorKind::CertificateUntrusted,
            ErrorKind::CertificateInvalid,
            ErrorKind::ClientCertificate,
            ErrorKind::Redirect,
        ] {
            assert_eq!(of(fatal), Verdict::Fatal, "{fatal:?}");
        }
        let refused = Error::new(ErrorKind::Tls, "no").with_source(Violation::Unmasked);
        assert_eq!(Ending::Failed(Arc::new(refused)).verdict(), Verdict::Fatal);
        let cut = io::Error::from(io::ErrorKind::ConnectionReset);
        let cut = Error::new(ErrorKind::Tls, "no").with_source(cut);
        assert_eq!(Ending::Failed(Arc::new(cut)).verdict(), Verdict::Again);
    }
}
