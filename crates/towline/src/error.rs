//! The error type of this crate.

use std::error::Error as StdError;
use std::fmt;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use towline_proto::{CloseCause, CloseCode, Closed, Initiator, Message, Refused, Session};

/// The error type of this crate. The message names what failed, the value, the limit and the
/// option.
///
/// Programs match on [`kind`](Self::kind), people read `Display`, and logs and metrics use
/// [`code`](Self::code). An error is one word in size, so a `Result` stays small.
///
/// ```
/// # async fn example(mut connection: towline::Connection) {
/// match connection.recv().await {
///     Ok(Some(message)) => println!("{message:?}"),
///     Ok(None) => println!("closed: {:?}", connection.closed()),
///     Err(error) => println!("{} ({}, by {:?})", error, error.code(), error.blame()),
/// }
/// # }
/// ```
pub struct Error(Box<Inner>);

/// `Result` with this crate's [`Error`].
///
/// As the result of `main`, or of a task that a program spawns:
///
/// ```
/// use towline::{Connection, Result};
///
/// async fn echo(mut connection: Connection) -> Result<()> {
///     while let Some(message) = connection.recv().await? {
///         connection.send(message).await?;
///     }
///     Ok(())
/// }
/// ```
pub type Result<T> = std::result::Result<T, Error>;

struct Inner {
    kind: ErrorKind,
    blame: Blame,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    closed: Option<Closed>,
    unsent: Option<Message>,
    response: Option<http::Response<Bytes>>,
}

/// The kind of an [`Error`].
///
/// The order of kinds (`Ord`) is unspecified, and can differ between versions: it is for keys of a
/// `BTreeMap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The connection is closed or closing, and can't send any more.
    Closed,
    /// The peer broke the protocol.
    PeerViolation,
    /// The peer exceeded a limit: of the [`Config`](crate::Config), of a
    /// [`MessageReader`](crate::MessageReader::max_size), or of the [head](crate::HeadLimits) of a
    /// request. The message names the value, the limit and the option.
    LimitExceeded,
    /// The peer showed no sign of life within the keepalive's grace period.
    PeerUnresponsive,
    /// The peer closed with a code that reports a failure: any code except 1000 and 1001. A close
    /// frame without a code is no failure. The message names the code and the reason.
    ClosedByPeer,
    /// The peer accepted no bytes for as long as the send timeout.
    SendTimeout,
    /// The peer did not answer the close frame within the close timeout.
    CloseTimeout,
    /// The transport ended or failed before the peer sent a close frame, or, in a
    /// [failed handshake](crate::ServerEvent::HandshakeFailed), before its request was complete.
    ConnectionLost,
    /// The outgoing queue is above its high-water mark.
    QueueFull,
    /// A message or frame can't be sent: a control frame is too long, a frame is out of place, or a
    /// close code must not be sent.
    InvalidSend,
    /// The server can't listen on the address.
    Listen,
    /// The server was shut down or dropped and accepts no more requests.
    ServerGone,
    /// The URL is not a WebSocket URL.
    InvalidUrl,
    /// TLS is needed but not available: for example, a feature is not enabled. The message names
    /// the feature.
    TlsUnavailable,
    /// A certificate, key or root that the program configured for TLS can't be used.
    InvalidTls,
    /// The peer does not speak TLS, but TLS was expected.
    NotTls,
    /// The peer speaks TLS, but plain text was expected.
    IsTls,
    /// The TLS handshake failed for a reason other than a certificate.
    Tls,
    /// The peers have no application protocol in common (ALPN, RFC 7301): for example, the server does
    /// not speak HTTP/2, and the client was told to use nothing else.
    NoApplicationProtocol,
    /// The peer's certificate has expired, or is not valid yet.
    CertificateExpired,
    /// The peer's certificate is for a different host.
    CertificateName,
    /// The peer's certificate is self-signed, or signed by a root that is not trusted.
    CertificateUntrusted,
    /// The peer's certificate is not valid for another reason: for example, it was revoked or can't
    /// be parsed.
    CertificateInvalid,
    /// The client's certificate is missing, or the server does not accept it.
    ClientCertificate,
    /// Connecting to the peer failed.
    Connect,
    /// The configuration of a proxy is not valid: its URL (given by the program or by an
    /// environment variable), its credentials, or a header.
    InvalidProxy,
    /// The proxy can't be reached, or does not follow its protocol.
    ProxyFailed,
    /// The proxy refused to connect to the server, or failed to. [`Error::response`] has the answer
    /// of an HTTP proxy.
    ProxyRefused,
    /// The server sent a redirect that is not followed: a loop, one too many, one from TLS to plain
    /// text, or one to a URL that is not a WebSocket URL. [`Error::response`] has its answer.
    Redirect,
    /// The program's function for a [reconnecting client](crate::Client::reconnecting) returned a fatal
    /// error. [`Error::get_ref`] has it.
    Dial,
    /// The opening handshake took longer than its deadline.
    HandshakeTimeout,
    /// The peer does not speak HTTP.
    NotHttp,
    /// The peer's part of the opening handshake is invalid.
    Handshake,
    /// The server speaks HTTP/2, but its settings do not allow WebSockets over it (RFC 8441).
    NoExtendedConnect,
    /// The server answered with something other than a WebSocket, see [`Error::response`].
    HttpResponse,
    /// An option that the program set for the request or the answer is invalid: for example, a
    /// subprotocol that was not offered, or a header that the handshake itself sets.
    InvalidHandshakeOption,
    /// The request came from a page of another origin, and was refused.
    OriginRefused,
    /// The client disconnected before its request was answered, or before a TLS handshake began.
    RequestGone,
    /// The name of a [topic](crate::topics) is too long.
    InvalidTopic,
    /// The [relay](crate::topics::Relay) of topics can't subscribe to a topic.
    Relay,
}

/// Which side caused an error.
///
/// [`Error`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Blame {
    /// This program: it asked for something that is not possible.
    Local,
    /// The peer or the network.
    Remote,
}

impl ErrorKind {
    /// Returns a stable name, for logs and metrics. The Node package uses the same names.
    pub fn code(self) -> &'static str {
        match self {
            Self::Closed => "ERR_CLOSED",
            Self::PeerViolation => "ERR_PEER_VIOLATION",
            Self::LimitExceeded => "ERR_LIMIT_EXCEEDED",
            Self::PeerUnresponsive => "ERR_PEER_UNRESPONSIVE",
            Self::ClosedByPeer => "ERR_CLOSED_BY_PEER",
            Self::SendTimeout => "ERR_SEND_TIMEOUT",
            Self::CloseTimeout => "ERR_CLOSE_TIMEOUT",
            Self::ConnectionLost => "ERR_CONNECTION_LOST",
            Self::QueueFull => "ERR_QUEUE_FULL",
            Self::InvalidSend => "ERR_INVALID_SEND",
            Self::Listen => "ERR_LISTEN",
            Self::ServerGone => "ERR_SERVER_GONE",
            Self::InvalidUrl => "ERR_INVALID_URL",
            Self::TlsUnavailable => "ERR_TLS_UNAVAILABLE",
            Self::InvalidTls => "ERR_INVALID_TLS",
            Self::NotTls => "ERR_NOT_TLS",
            Self::IsTls => "ERR_IS_TLS",
            Self::Tls => "ERR_TLS",
            Self::NoApplicationProtocol => "ERR_NO_APPLICATION_PROTOCOL",
            Self::CertificateExpired => "ERR_CERTIFICATE_EXPIRED",
            Self::CertificateName => "ERR_CERTIFICATE_NAME",
            Self::CertificateUntrusted => "ERR_CERTIFICATE_UNTRUSTED",
            Self::CertificateInvalid => "ERR_CERTIFICATE_INVALID",
            Self::ClientCertificate => "ERR_CLIENT_CERTIFICATE",
            Self::Connect => "ERR_CONNECT",
            Self::InvalidProxy => "ERR_INVALID_PROXY",
            Self::ProxyFailed => "ERR_PROXY_FAILED",
            Self::ProxyRefused => "ERR_PROXY_REFUSED",
            Self::Redirect => "ERR_REDIRECT",
            Self::Dial => "ERR_DIAL",
            Self::HandshakeTimeout => "ERR_HANDSHAKE_TIMEOUT",
            Self::NotHttp => "ERR_NOT_HTTP",
            Self::Handshake => "ERR_HANDSHAKE",
            Self::NoExtendedConnect => "ERR_NO_EXTENDED_CONNECT",
            Self::HttpResponse => "ERR_HTTP_RESPONSE",
            Self::InvalidHandshakeOption => "ERR_INVALID_HANDSHAKE_OPTION",
            Self::OriginRefused => "ERR_ORIGIN_REFUSED",
            Self::RequestGone => "ERR_REQUEST_GONE",
            Self::InvalidTopic => "ERR_INVALID_TOPIC",
            Self::Relay => "ERR_RELAY",
        }
    }

    /// Returns the nearest kind of I/O errors.
    fn nearest_io(self) -> io::ErrorKind {
        match self {
            Self::Closed | Self::ServerGone => io::ErrorKind::BrokenPipe,
            Self::PeerViolation | Self::LimitExceeded => io::ErrorKind::InvalidData,
            Self::PeerUnresponsive
            | Self::SendTimeout
            | Self::CloseTimeout
            | Self::HandshakeTimeout => io::ErrorKind::TimedOut,
            Self::ClosedByPeer => io::ErrorKind::ConnectionAborted,
            Self::ConnectionLost => io::ErrorKind::UnexpectedEof,
            Self::InvalidSend
            | Self::InvalidUrl
            | Self::InvalidHandshakeOption
            | Self::InvalidTopic => io::ErrorKind::InvalidInput,
            _ => io::ErrorKind::Other,
        }
    }

    /// Returns which side usually causes this kind of error. For [`Closed`](Self::Closed), it
    /// depends on which side closed: see [`Error::blame`].
    pub fn blame(self) -> Blame {
        match self {
            Self::Closed
            | Self::QueueFull
            | Self::InvalidSend
            | Self::Listen
            | Self::ServerGone
            | Self::InvalidUrl
            | Self::TlsUnavailable
            | Self::InvalidTls
            | Self::InvalidProxy
            | Self::Dial
            | Self::InvalidHandshakeOption
            | Self::InvalidTopic => Blame::Local,
            Self::PeerViolation
            | Self::LimitExceeded
            | Self::PeerUnresponsive
            | Self::ClosedByPeer
            | Self::SendTimeout
            | Self::CloseTimeout
            | Self::ConnectionLost
            | Self::NotTls
            | Self::IsTls
            | Self::Tls
            | Self::NoApplicationProtocol
            | Self::CertificateExpired
            | Self::CertificateName
            | Self::CertificateUntrusted
            | Self::CertificateInvalid
            | Self::ClientCertificate
            | Self::Connect
            | Self::ProxyFailed
            | Self::ProxyRefused
            | Self::Redirect
            | Self::HandshakeTimeout
            | Self::NotHttp
            | Self::Handshake
            | Self::NoExtendedConnect
            | Self::HttpResponse
            | Self::OriginRefused
            | Self::RequestGone
            | Self::Relay => Blame::Remote,
        }
    }
}

impl Error {
    /// Creates an error of this kind. The message names what failed, the value, the limit and the
    /// option.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            blame: kind.blame(),
            message: message.into(),
            source: None,
            closed: None,
            unsent: None,
            response: None,
        }))
    }

    /// Creates an error from a stream's I/O error. If that error wraps one of this type, as TLS
    /// streams do, its kind replaces `kind`.
    pub(crate) fn of_stream(kind: ErrorKind, message: String, error: std::io::Error) -> Self {
        let own = error.get_ref().and_then(|error| error.downcast_ref::<Self>());
        Self::new(own.map_or(kind, Self::kind), message).with_source(error)
    }

    /// Returns the same error for another caller, without the message that was not sent.
    pub(crate) fn repeat(&self) -> Self {
        Self(Box::new(Inner {
            kind: self.0.kind,
            blame: self.0.blame,
            message: self.0.message.clone(),
            source: self.0.source.clone(),
            closed: self.0.closed.clone(),
            unsent: None,
            response: self.0.response.clone(),
        }))
    }

    /// Adds the error that caused this one.
    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into().into());
        self
    }

    /// Adds the error that caused this one and others.
    pub(crate) fn with_shared_source(mut self, source: Arc<dyn StdError + Send + Sync>) -> Self {
        self.0.source = Some(source);
        self
    }

    /// Prepends context to the message.
    pub(crate) fn with_preface(mut self, preface: &str) -> Self {
        self.0.message.insert_str(0, preface);
        self
    }

    /// Appends a hint to the message.
    pub(crate) fn with_postscript(mut self, postscript: &str) -> Self {
        self.0.message.push_str(postscript);
        self
    }

    /// Adds the message that was not sent.
    pub(crate) fn with_unsent(mut self, message: Option<Message>) -> Self {
        self.0.unsent = message;
        self
    }

    /// Adds the HTTP response that was received.
    pub(crate) fn with_response(mut self, response: http::Response<Bytes>) -> Self {
        self.0.response = Some(response);
        self
    }

    /// The error for receiving from a connection that has ended.
    pub(crate) fn from_closed(closed: &Closed) -> Self {
        let (mut message, mut kind) = (closed.to_string(), Self::kind_of(closed.cause()));
        if let Some(frame) = closed.received() {
            // The close frame explains the end, whatever happened to the transport afterwards.
            (message, kind) = (format!("closed by the peer with {frame}"), ErrorKind::ClosedByPeer);
        }
        let mut error = Self::new(kind, message);
        error.0.closed = Some(closed.clone());
        error
    }

    /// Adds the transport's error, if the connection ended because the transport failed, or if
    /// writing failed and the end is not known yet.
    pub(crate) fn with_failure(mut self, failure: Option<&Arc<io::Error>>) -> Self {
        let Some(failure) = failure else { return self };
        let kind = match self.closed().map(Closed::cause) {
            Some(CloseCause::TransportFailed(kind)) => kind,
            None if self.kind() == ErrorKind::Closed => failure.kind(),
            _ => return self,
        };
        let _ = write!(self.0.message, ": {failure}");
        self.0.source = Some(Arc::new(io::Error::new(kind, failure.clone())));
        self
    }

    fn kind_of(cause: CloseCause) -> ErrorKind {
        match cause {
            CloseCause::Violation(_) => ErrorKind::PeerViolation,
            CloseCause::LimitExceeded(_) => ErrorKind::LimitExceeded,
            CloseCause::PeerUnresponsive => ErrorKind::PeerUnresponsive,
            CloseCause::SendTimeout => ErrorKind::SendTimeout,
            CloseCause::CloseTimeout => ErrorKind::CloseTimeout,
            CloseCause::TransportEnded | CloseCause::TransportFailed(_) => {
                ErrorKind::ConnectionLost
            }
            _ => ErrorKind::Closed,
        }
    }

    /// The error for sending on a connection that is closing or closed.
    fn closed_to_sending(session: &Session) -> Self {
        Self::closed_to("can't send", session)
    }

    /// The error for a ping that can't be sent because the connection is closing or closed.
    pub(crate) fn unmeasured(session: &Session) -> Self {
        Self::closed_to("can't measure a round trip, and no ping was sent", session)
    }

    /// The error for a ping whose pong was not received before the connection began to close.
    pub(crate) fn unanswered(session: &Session) -> Self {
        let error = Self::closed_to("no pong was received for the ping of a round trip", session);
        match error.closed().map(Closed::cause) {
            Some(
                CloseCause::PeerUnresponsive | CloseCause::SendTimeout | CloseCause::CloseTimeout,
            ) => error.with_postscript("; receive meanwhile, since pongs are found by receiving"),
            None if error.blame() == Blame::Local => {
                error.with_postscript("; close when its result is there")
            }
            _ => error,
        }
    }

    /// The error for `what` on a connection that is closing or closed.
    fn closed_to(what: &str, session: &Session) -> Self {
        let closed = session.outcome();
        let message = match (closed, session.initiator()) {
            (Some(closed), _) => format!("{what}: {closed}"),
            (None, Some(Initiator::Remote)) => format!("{what}: the peer has closed or gone"),
            (None, _) => format!("{what}: this end is closing the connection"),
        };
        let mut error = Self::new(ErrorKind::Closed, message);
        error.0.blame = match (closed.map(Closed::cause), session.initiator()) {
            // This end closes then, but the peer caused it.
            (
                Some(
                    CloseCause::Violation(_)
                    | CloseCause::LimitExceeded(_)
                    | CloseCause::PeerUnresponsive
                    | CloseCause::SendTimeout,
                ),
                _,
            )
            | (_, Some(Initiator::Remote)) => Blame::Remote,
            _ => Blame::Local,
        };
        error.0.closed = closed.cloned();
        error
    }

    /// The error for a message or frame that can't be sent.
    pub(crate) fn refused(why: Refused, session: &Session) -> Self {
        match why {
            Refused::Closing => Self::closed_to_sending(session),
            why => Self::new(ErrorKind::InvalidSend, why.to_string()),
        }
    }

    /// The error for a message that does not fit in the queue.
    pub(crate) fn queue_full(queued: usize, mark: usize) -> Self {
        let others = if queued < mark { ", and other senders are waiting" } else { "" };
        let why = format!(
            "no room to send: {queued} bytes are queued, and room is below {mark} \
             (send_high_water_mark){others}"
        );
        Self::new(ErrorKind::QueueFull, why)
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns which side caused the error. For [`ErrorKind::Closed`], it is the side that closed
    /// the connection or that made this end close it.
    pub fn blame(&self) -> Blame {
        self.0.blame
    }

    /// Returns a stable name of the kind, for logs and metrics: for example `ERR_LIMIT_EXCEEDED`.
    pub fn code(&self) -> &'static str {
        self.0.kind.code()
    }

    /// Returns the close code of the connection, if it has ended.
    pub fn close_code(&self) -> Option<CloseCode> {
        self.0.closed.as_ref().map(Closed::code)
    }

    /// Returns how the connection ended, if it has.
    pub fn closed(&self) -> Option<&Closed> {
        self.0.closed.as_ref()
    }

    /// Returns the message that was not sent, if there is one.
    pub fn into_message(self) -> Option<Message> {
        self.0.unsent
    }

    /// Returns the error of the operating system or of another library that caused this one. Its
    /// text is part of this error's message, so [`source`](StdError::source) skips it and returns
    /// its source.
    pub fn get_ref(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }

    /// Returns the HTTP response of a server that did not accept the handshake, or of a proxy that
    /// did not connect: status, headers and the start of the body.
    #[doc(alias = "httpResponse")]
    pub fn response(&self) -> Option<&http::Response<Bytes>> {
        self.0.response.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.0.kind).field("message", &self.0.message);
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        if let Some(closed) = &self.0.closed {
            debug.field("closed", closed);
        }
        debug.finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().and_then(StdError::source)
    }
}

/// The error of kind `std::io::ErrorKind` contains this one. Its kind is that of the operating
/// system's error, if there is one, and otherwise the nearest to [`Error::kind`]: `UnexpectedEof` for
/// a transport that ended without a close frame, `BrokenPipe` for sending on a connection that is
/// closed, `InvalidData`, `TimedOut`, `ConnectionAborted`, `InvalidInput` or `Other`.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let of_system = error.get_ref().and_then(|cause| cause.downcast_ref::<io::Error>());
        let kind = match (of_system, error.closed().map(Closed::cause)) {
            (Some(of_system), _) => of_system.kind(),
            (None, Some(CloseCause::TransportFailed(kind))) => kind,
            _ => error.kind().nearest_io(),
        };
        io::Error::new(kind, error)
    }
}

/// For a request that is built where it is used:
/// `client.connect_request(Request::get(url).body(())?)`. The kind is [`ErrorKind::InvalidUrl`] or
/// [`ErrorKind::InvalidHandshakeOption`].
impl From<http::Error> for Error {
    fn from(error: http::Error) -> Self {
        let is_of_url =
            error.is::<http::uri::InvalidUri>() || error.is::<http::uri::InvalidUriParts>();
        let kind = match is_of_url {
            true => ErrorKind::InvalidUrl,
            false => ErrorKind::InvalidHandshakeOption,
        };
        Self::new(kind, format!("the request can't be built: {error}")).with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use bytes::Buf as _;
    use towline_proto::{CloseFrame, Config, Fault, Incoming, LimitExceeded, Role, Violation};

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let io = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let error = Error::new(ErrorKind::Connect, format!("can't connect: {io}")).with_source(io);
        assert!(error.get_ref().is_some_and(|cause| cause.is::<std::io::Error>()));
        assert!(error.source().is_none());
    }

    /// The text and the blame of the error for sending after `happens`.
    fn send_after(happens: impl FnOnce(&mut Session, Instant)) -> (String, Blame) {
        let now = Instant::now();
        let mut session = Session::new(Role::Server, &Config::server(), now);
        happens(&mut session, now);
        let refused = session.send("late").unwrap_err();
        let error = Error::refused(refused.why(), &session);
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert_eq!(error.closed(), session.outcome());
        (error.to_string(), error.blame())
    }

    fn write(session: &mut Session) {
        while let Some(out) = session.poll_transmit() {
            out.advance(out.remaining());
        }
    }

    fn peer_closes(session: &mut Session, now: Instant) {
        let frame = CloseFrame::new(CloseCode::GOING_AWAY, "lunch").unwrap();
        session.handle_incoming(now, &Incoming::Close(frame)).unwrap();
    }

    fn closes(session: &mut Session, now: Instant) {
        session.close(now, CloseFrame::new(CloseCode::NORMAL, "").unwrap()).unwrap();
    }

    #[test]
    fn sending_after_a_local_close_blames_this_end() {
        let local = |message: &str| (message.to_owned(), Blame::Local);
        assert_eq!(send_after(closes), local("can't send: this end is closing the connection"));
        let closed = send_after(|session, now| {
            closes(session, now);
            write(session);
            peer_closes(session, now);
        });
        assert_eq!(closed, local("can't send: closed with 1000 (normal closure)"));
        let timeout = send_after(|session, now| {
            closes(session, now);
            session.handle_timeout(now + Duration::from_secs(60));
        });
        assert_eq!(
            timeout,
            local("can't send: the peer did not answer the close frame (close_timeout)")
        );
        let aborted = send_after(|session, _| session.abort(CloseFrame::EMPTY));
        assert_eq!(aborted, local("can't send: aborted by this end"));
    }

    #[test]
    fn sending_to_a_peer_that_closed_did_wrong_or_vanished_blames_the_peer() {
        let remote = |message: &str| (message.to_owned(), Blame::Remote);
        assert_eq!(send_after(peer_closes), remote("can't send: the peer has closed or gone"));
        let closed = send_after(|session, now| {
            peer_closes(session, now);
            write(session);
        });
        assert_eq!(
            closed,
            remote("can't send: closed by the peer with 1001 (going away) \"lunch\"")
        );
        let unmasked = Fault::from(Violation::Unmasked);
        assert_eq!(
            send_after(|session, now| session.handle_fault(now, unmasked)),
            remote("can't send: the peer broke the protocol: unmasked frame from a client")
        );
        let meanwhile = send_after(|session, now| {
            closes(session, now);
            session.handle_fault(now, unmasked);
        });
        assert_eq!(meanwhile.1, Blame::Remote);
        let flood = Fault::from(LimitExceeded::ControlRate { limit: 9 });
        let flooded = send_after(|session, now| session.handle_fault(now, flood));
        assert!(flooded.0.starts_with("can't send: the peer exceeded a limit: more than 9"));
        assert_eq!(flooded.1, Blame::Remote);
        let silent = send_after(|session, now| {
            while session.is_open() {
                session.handle_timeout(session.poll_timeout().unwrap_or(now));
            }
        });
        assert_eq!(silent, remote("can't send: the peer does not respond (keepalive)"));
        assert_eq!(
            send_after(|session, _| session.handle_transport_end()),
            remote("can't send: the transport ended without a close frame")
        );
        let reset = std::io::ErrorKind::ConnectionReset;
        assert_eq!(
            send_after(|session, _| session.handle_transport_error(reset)),
            remote("can't send: the transport failed: connection reset")
        );
        // Reading continues here, so the outcome is not known yet.
        assert_eq!(
            send_after(|session, now| session.handle_write_error(now, reset)),
            remote("can't send: the peer has closed or gone")
        );
    }

    #[test]
    fn a_full_queue_names_its_length_and_the_limit() {
        let error = Error::queue_full(70_000, 65_536).with_unsent(Some("late".into()));
        for part in ["70000", "65536", "send_high_water_mark"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        assert_eq!(error.into_message(), Some("late".into()));
    }

    #[test]
    fn an_error_is_one_word() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }
}
