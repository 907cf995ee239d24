//! How the program ends: its exit codes, and the line that says why.

use std::fmt;
use std::process::ExitCode;

use http::header::CONTENT_TYPE;
use towline::{CloseCause, CloseFrame, Closed, Error, ErrorKind, Initiator};

use crate::refusal::Refusal;
use crate::say::on_one_line;

/// The exit codes of `connect`, for `--help`.
pub(crate) const CONNECT_CODES: &str = "\
Exit codes:
  0    closed cleanly
  1    the server closed with an error code; the connection was lost, timed
       out, or did not close cleanly; fewer messages than --wait, --count or
       --once were received; --compare found differences; the input can't be
       read, or a file or standard output can't be written
  2    wrong usage: an option, its file, the URL, or a variable that names a
       proxy
  3    no connection: the host is unknown, refuses or can't be reached, or the
       proxy refuses
  4    the handshake was refused, or the response is not a WebSocket handshake
  5    the server broke the protocol, or exceeded a limit
  6    TLS failed: a certificate is not accepted, or one end does not speak
       TLS
  124  timed out: --connect-timeout or --timeout
  130  interrupted by Ctrl-C or SIGTERM";

/// The exit codes of `check`, for `--help`.
pub(crate) const CHECK_CODES: &str = "\
Exit codes:
  0    no fault; also with warnings, unless --strict is given
  1    warnings and no fault, with --strict
  2    wrong usage: an option, its file, the URL, or a variable that names a
       proxy
  3    no connection: the host is unknown, refuses or can't be reached, or the
       proxy refuses
  4    the handshake was refused, or the response is not a WebSocket handshake
  5    at least one fault
  6    TLS failed: a certificate is not accepted, or one end does not speak
       TLS
  124  timed out: no answer within --step-timeout, or no time for some checks
       within --timeout
  130  interrupted by Ctrl-C or SIGTERM";

/// The exit codes of `bench`, for `--help`.
pub(crate) const BENCH_CODES: &str = "\
Exit codes:
  0    the load ran, and nothing failed
  1    the load ran, and something failed: a connection, a message without its
       answer, or one that is not what was sent; the results can't be written;
       or --fail-if-worse found a figure worse
  2    wrong usage: an option, its file, the URL, or more connections than
       this machine allows; results that are not comparable; or files that are
       not all shards of one run
  3    no connection could be opened: the host is unknown, refuses or can't be
       reached
  4    all handshakes were refused, or the responses were not WebSocket
       handshakes
  6    TLS failed
  124  no connection could be opened within --connect-timeout
  130  ended early by Ctrl-C or SIGTERM: the first waits for the last answers
       (--drain) and for connections to close (--close-timeout), a second one
       ends at once; both report";

/// The exit codes of `serve`, for `--help`.
pub(crate) const SERVE_CODES: &str = "\
Exit codes:
  0    shut down by Ctrl-C or SIGTERM, all connections closed
  1    another error
  2    wrong usage: an option, or a certificate that can't be used
  3    an address can't be listened on, for example because it is in use
  130  ended at once by a second Ctrl-C or SIGTERM";

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Success = 0,
    Unclean = 1,
    Usage = 2,
    NoConnection = 3,
    Refused = 4,
    Fault = 5,
    NoTls = 6,
    TimedOut = 124,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why the program failed: a code for programs, a line for people.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    /// The library's name for the error, if it has one.
    pub(crate) code: Option<&'static str>,
    /// The response that was not a handshake, if that is why.
    pub(crate) refusal: Option<Refusal>,
}

impl Failure {
    /// Returns a failure with this message.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), code: None, refusal: None }
    }

    /// Returns the failure that the end of a connection is, if it is one.
    pub(crate) fn of(closed: &Closed) -> Option<Self> {
        let exit = match closed.cause() {
            CloseCause::Violation(_) | CloseCause::LimitExceeded(_) => Exit::Fault,
            CloseCause::Handshake => {
                let complaint = complaint(closed)?;
                return Some(Self::new(
                    Exit::Unclean,
                    format!("closed by the peer with {complaint}"),
                ));
            }
            _ => Exit::Unclean,
        };
        Some(Self::new(exit, in_options(closed.to_string())))
    }

    /// The same with the message of the error that receiving returned, if it says more, such as why
    /// TLS failed.
    pub(crate) fn told_by(mut self, error: Option<&Error>, closed: &Closed) -> Self {
        if let (CloseCause::TransportFailed(_), Some(error)) = (closed.cause(), error) {
            self.message = in_options(error.to_string());
        }
        self
    }
}

/// An error and its sources on one line.
pub(crate) fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text += ": ";
            text += &more;
        }
        source = error.source();
    }
    text
}

/// The peer's close frame, if it reports an error. An answer to our close frame repeats its code;
/// but both ends may have begun at the same time.
fn complaint(closed: &Closed) -> Option<&CloseFrame> {
    let received = closed.received()?;
    let is_peaceful = matches!(received.code().get(), 1000 | 1001 | 1005);
    let is_answer = closed.initiator() == Initiator::Local
        && closed.sent().is_some_and(|sent| sent.code() == received.code());
    Some(received).filter(|_| !is_peaceful && !is_answer)
}

/// The message, with the program's options in place of the library's.
pub(crate) fn in_options(message: String) -> String {
    in_options_of(&[], message)
}

/// The same for a command that has options of its own, or other names for some: pairs of the library's and
/// the command's.
pub(crate) fn in_options_of(own: &[(&str, &str)], mut message: String) -> String {
    // Sentences mention these as well: "twice …".
    message = message
        .replace("max_received_message_size", "--max-message")
        .replace("max_received_frame_size", "--max-frame");
    let common = [
        ("connect_timeout", "--connect-timeout"),
        ("close_timeout", "--close-timeout"),
        ("keepalive", "--keepalive"),
        ("follow_redirects", "--follow-redirects"),
        ("header_timeout", "--handshake-timeout"),
    ];
    for (field, option) in own.iter().chain(&common) {
        message = message.replace(&format!("({field})"), &format!("({option})"));
    }
    // The program has no options for these.
    for field in ["max_head_size", "option interest_timeout"] {
        message = message.replace(&format!(" ({field})"), "");
    }
    message
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error.kind() {
            ErrorKind::InvalidUrl
            | ErrorKind::InvalidHandshakeOption
            | ErrorKind::InvalidProxy
            | ErrorKind::InvalidTls
            | ErrorKind::TlsUnavailable => Exit::Usage,
            ErrorKind::Connect
            | ErrorKind::Listen
            | ErrorKind::ProxyFailed
            | ErrorKind::ProxyRefused => Exit::NoConnection,
            ErrorKind::Handshake
            | ErrorKind::NotHttp
            | ErrorKind::NoApplicationProtocol
            | ErrorKind::NoExtendedConnect
            | ErrorKind::HttpResponse
            | ErrorKind::Redirect => Exit::Refused,
            kind if kind.is_tls() => Exit::NoTls,
            ErrorKind::HandshakeTimeout => Exit::TimedOut,
            ErrorKind::PeerViolation | ErrorKind::LimitExceeded => Exit::Fault,
            _ => Exit::Unclean,
        };
        let mut message = in_options(error.to_string());
        if let Some(body) = body(&error) {
            message += &format!(", {body:?}");
        }
        message += advice(&error).unwrap_or_default();
        Self { exit, message, code: Some(error.code()), refusal: Refusal::of(&error) }
    }
}

/// The body of a server's or proxy's response, if it is plain text and short.
fn body(error: &Error) -> Option<&str> {
    let response = error.response()?;
    // Towline's servers also send the reason in a header, which is in the message.
    if response.headers().contains_key("x-websocket-reject-reason") {
        return None;
    }
    let kind = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    let text = std::str::from_utf8(response.body()).ok()?.trim();
    let is_short = !text.is_empty() && text.len() <= 200 && !text.contains('\n');
    Some(text).filter(|_| kind.starts_with("text/plain") && is_short)
}

/// Which option may help, if there is one.
fn advice(error: &Error) -> Option<&'static str> {
    let status = error.status().map(|status| status.as_u16());
    Some(match (error.kind(), status) {
        (ErrorKind::CertificateUntrusted, _) => {
            "; --ca FILE trusts its issuer, --insecure accepts any certificate"
        }
        (ErrorKind::CertificateName, _) => {
            "; --server-name NAME expects another name, --insecure accepts any certificate"
        }
        (ErrorKind::CertificateExpired | ErrorKind::CertificateInvalid, _) => {
            "; --insecure accepts any certificate"
        }
        (ErrorKind::ClientCertificate, _) => "; --cert FILE and --key FILE present one",
        // Unless one was given.
        (ErrorKind::ProxyRefused, Some(407))
            if error.to_string().contains("it asks for a user") =>
        {
            "; --proxy can have a user and password: http://user:password@proxy:3128"
        }
        (ErrorKind::ProxyFailed, _) => "; --no-proxy connects without one",
        (ErrorKind::HttpResponse, Some(301 | 302 | 303 | 307 | 308)) => {
            "; --follow-redirects 1 follows it"
        }
        _ => return None,
    })
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The reason may contain anything that the server sent.
        f.write_str(&on_one_line(&self.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_options_that_can_be_given() {
        let message = in_options("5 bytes: the limit is 3 (max_received_message_size)".to_owned());
        assert_eq!(message, "5 bytes: the limit is 3 (--max-message)");
        let message = in_options("(twice max_received_message_size, and 64 KiB)".to_owned());
        assert_eq!(message, "(twice --max-message, and 64 KiB)");
        let own = [("connect_timeout", "--step-timeout")];
        let message =
            in_options_of(&own, "(connect_timeout), (max_received_frame_size)".to_owned());
        assert_eq!(message, "(--step-timeout), (--max-frame)");
        let message = in_options("larger than 63 bytes (max_head_size)".to_owned());
        assert_eq!(message, "larger than 63 bytes");
    }

    #[test]
    fn a_failure_is_one_line() {
        let failure = Failure::new(Exit::Unclean, "two\nlines\u{1b}[31m");
        assert_eq!(failure.to_string(), "two\\nlines\\u{1b}[31m");
    }
}
