//! The close handshake as a state machine ([RFC 6455, section 7]).
//!
//! ```text
//!                 we send Close                     the peer's Close
//!        ┌──────────────────────────▶ Closing ─────────────────────────┐
//!        │                               │ deadline                    │
//!        │                               ▼                             ▼     the transport ends,
//!      Open ── abort, dead, lost ────▶ Closed ◀───────────────────  Finishing  or the deadline
//!        │                                                             ▲
//!        ├── the peer's Close: ours is sent in answer ─────────────────┤
//!        └── a fault of the peer: Close with its code is sent ─────────┘
//! ```
//!
//! - **Closing** has said that it closes and awaits the peer's word.
//! - **Finishing** has nothing more to say or to hear: what is queued is written, then the
//!   transport is closed. A client lets the server do that first.
//! - **Closed** is the end, with the reason.
//!
//! [RFC 6455, section 7]: https://www.rfc-editor.org/rfc/rfc6455#section-7

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use crate::fault::{Fault, LimitExceeded, Violation};
use crate::role::Role;
use crate::wire::close::{CloseCode, CloseFrame};

/// How a connection ended: who began, what was said, and why it is over.
///
/// ```
/// # fn example(closed: towline_proto::Closed) {
/// if closed.is_clean() {
///     println!("{} by {:?}", closed.code(), closed.initiator());
/// } else {
///     println!("lost: {}", closed.cause());
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    initiator: Initiator,
    sent: Option<CloseFrame>,
    received: Option<CloseFrame>,
    cause: CloseCause,
}

/// Who began to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Initiator {
    /// This end: the program, or the library for a fault of the peer or its silence.
    Local,
    /// The peer, with a close frame or by ending the transport.
    Remote,
}

/// Why a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseCause {
    /// Both ends sent a close frame, as it should be.
    Handshake,
    /// The peer broke the protocol.
    Violation(Violation),
    /// The peer went over a limit.
    LimitExceeded(LimitExceeded),
    /// The peer showed no sign of life within the keepalive's grace period.
    PeerUnresponsive,
    /// The peer took nothing of what was sent to it for as long as `send_timeout`.
    SendTimeout,
    /// The peer did not answer the close frame within `close_timeout`.
    CloseTimeout,
    /// This end's program ended the connection without waiting for the peer.
    Aborted,
    /// The transport ended without a close frame of the peer.
    TransportEnded,
    /// The transport failed.
    TransportFailed(io::ErrorKind),
}

impl fmt::Display for CloseCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake => f.write_str("closed by handshake"),
            Self::Violation(violation) => write!(f, "the peer broke the protocol: {violation}"),
            Self::LimitExceeded(limit) => write!(f, "the peer exceeded a limit: {limit}"),
            Self::PeerUnresponsive => f.write_str("the peer does not respond (keepalive)"),
            Self::SendTimeout => {
                f.write_str("the peer takes nothing of what is sent to it (send_timeout)")
            }
            Self::CloseTimeout => {
                f.write_str("the peer did not answer the close frame (close_timeout)")
            }
            Self::Aborted => f.write_str("aborted by this end"),
            Self::TransportEnded => f.write_str("the transport ended without a close frame"),
            Self::TransportFailed(kind) => write!(f, "the transport failed: {kind}"),
        }
    }
}

impl Closed {
    /// Who began to close.
    pub fn initiator(&self) -> Initiator {
        self.initiator
    }

    /// The close frame that was sent, if one was.
    pub fn sent(&self) -> Option<&CloseFrame> {
        self.sent.as_ref()
    }

    /// The close frame that was received, if one was.
    pub fn received(&self) -> Option<&CloseFrame> {
        self.received.as_ref()
    }

    /// Why the connection is over.
    pub fn cause(&self) -> CloseCause {
        self.cause
    }

    /// Whether both ends sent a close frame.
    pub fn is_clean(&self) -> bool {
        self.cause == CloseCause::Handshake
    }

    /// The code that says it best: that of the end which began, or [`CloseCode::ABNORMAL`] where
    /// no close frame tells.
    #[doc(alias = "closeReasonCode")]
    pub fn code(&self) -> CloseCode {
        self.telling().map_or(CloseCode::ABNORMAL, CloseFrame::code)
    }

    /// The reason beside [`code`](Self::code), often empty.
    #[doc(alias = "closeDescription")]
    pub fn reason(&self) -> &str {
        self.telling().map_or("", CloseFrame::reason)
    }

    fn telling(&self) -> Option<&CloseFrame> {
        match self.cause {
            CloseCause::Handshake => match self.initiator {
                Initiator::Local => self.sent.as_ref(),
                Initiator::Remote => self.received.as_ref(),
            },
            CloseCause::Violation(_) | CloseCause::LimitExceeded(_) | CloseCause::Aborted => {
                self.sent.as_ref()
            }
            _ => self.received.as_ref(),
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.cause, self.telling()) {
            (CloseCause::Handshake, Some(frame)) => match self.initiator {
                Initiator::Local => write!(f, "closed with {frame}"),
                Initiator::Remote => write!(f, "closed by the peer with {frame}"),
            },
            (cause, _) => cause.fmt(f),
        }
    }
}

/// What to do with the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportFate {
    /// Read and write.
    Open,
    /// Everything has been written: shut down the writing side, and read, without decoding, until
    /// the peer ends its own.
    ShutDown,
    /// Drop it.
    Close,
}

/// The state of closing.
#[derive(Debug)]
pub(crate) struct Closing {
    role: Role,
    timeout: Duration,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Open,
    Closing {
        sent: Box<CloseFrame>,
        deadline: Option<Instant>,
    },
    /// Writing failed: the peer's close frame may lie unread, and would say why.
    Broken {
        sent: Option<Box<CloseFrame>>,
        kind: io::ErrorKind,
        deadline: Option<Instant>,
    },
    Finishing {
        closed: Box<Closed>,
        deadline: Option<Instant>,
    },
    Closed(Box<Closed>),
}

impl Closing {
    pub(crate) fn new(role: Role, timeout: Duration) -> Self {
        Self { role, timeout, phase: Phase::Open }
    }

    /// Whether messages may be sent.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Whether what the peer sends is decoded: until its close frame, or its first fault.
    pub(crate) fn is_receiving(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Closing { .. } | Phase::Broken { .. })
    }

    /// How the connection ended, once it has.
    pub(crate) fn closed(&self) -> Option<&Closed> {
        match &self.phase {
            Phase::Closed(closed) => Some(closed),
            _ => None,
        }
    }

    /// How the connection is going to end, as soon as that is known: before the transport is
    /// closed.
    pub(crate) fn outcome(&self) -> Option<&Closed> {
        match &self.phase {
            Phase::Finishing { closed, .. } | Phase::Closed(closed) => Some(closed),
            _ => None,
        }
    }

    /// What to do with the transport. `written` is whether everything queued has been.
    pub(crate) fn transport(&self, written: bool) -> TransportFate {
        match &self.phase {
            Phase::Open | Phase::Closing { .. } | Phase::Broken { .. } => TransportFate::Open,
            Phase::Finishing { .. } if !written => TransportFate::Open,
            // "the server MUST close the connection immediately; the client SHOULD wait for the
            // server to close the connection". After a fault there may be more to read than the
            // peer has been told, and closing over unread bytes would take the close frame back.
            Phase::Finishing { closed, .. } if closed.is_clean() && self.role == Role::Server => {
                TransportFate::Close
            }
            Phase::Finishing { .. } => TransportFate::ShutDown,
            Phase::Closed(_) => TransportFate::Close,
        }
    }

    /// Who began to close, once somebody has. A transport that fails was ended by the peer.
    pub(crate) fn initiator(&self) -> Option<Initiator> {
        match &self.phase {
            Phase::Open => None,
            Phase::Closing { .. } | Phase::Broken { sent: Some(_), .. } => Some(Initiator::Local),
            Phase::Broken { sent: None, .. } => Some(Initiator::Remote),
            Phase::Finishing { closed, .. } | Phase::Closed(closed) => Some(closed.initiator),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Closing { deadline, .. }
            | Phase::Broken { deadline, .. }
            | Phase::Finishing { deadline, .. } => *deadline,
            Phase::Open | Phase::Closed(_) => None,
        }
    }

    /// The program closes. Returns whether the frame is to be sent: the first one is.
    pub(crate) fn handle_close(&mut self, now: Instant, frame: &CloseFrame) -> bool {
        if !self.is_open() {
            return false;
        }
        self.phase = Phase::Closing {
            sent: Box::new(frame.clone()),
            deadline: now.checked_add(self.timeout),
        };
        true
    }

    /// The peer's close frame came. Returns the answer to send, if it is the peer that began.
    pub(crate) fn handle_peer_close(
        &mut self,
        now: Instant,
        received: CloseFrame,
    ) -> Option<CloseFrame> {
        let (initiator, sent, answer, deadline) = match &self.phase {
            Phase::Open => {
                // "the endpoint typically echos the status code it received"
                let answer = match received.code() {
                    CloseCode::NO_STATUS => CloseFrame::EMPTY,
                    code => CloseFrame::of(code, ""),
                };
                (Initiator::Remote, answer.clone(), Some(answer), now.checked_add(self.timeout))
            }
            Phase::Closing { sent, deadline } => {
                (Initiator::Local, CloseFrame::clone(sent), None, *deadline)
            }
            Phase::Broken { sent, kind, .. } => {
                let closed = broken(*kind, sent.as_deref().cloned(), Some(received));
                self.phase = Phase::Closed(Box::new(closed));
                return None;
            }
            Phase::Finishing { .. } | Phase::Closed(_) => return None,
        };
        let closed = Closed {
            initiator,
            sent: Some(sent),
            received: Some(received),
            cause: CloseCause::Handshake,
        };
        self.phase = Phase::Finishing { closed: Box::new(closed), deadline };
        answer
    }

    /// The peer did wrong. Returns the close frame to send, if none was, with this reason.
    pub(crate) fn handle_fault(
        &mut self,
        now: Instant,
        fault: Fault,
        reason: &str,
    ) -> Option<CloseFrame> {
        let (sent, to_send, deadline) = match &self.phase {
            Phase::Open => {
                let frame = CloseFrame::of(fault.close_code(), reason);
                (Some(frame.clone()), Some(frame), now.checked_add(self.timeout))
            }
            Phase::Closing { sent, deadline } => (Some(CloseFrame::clone(sent)), None, *deadline),
            Phase::Broken { sent, deadline, .. } => (sent.as_deref().cloned(), None, *deadline),
            Phase::Finishing { .. } | Phase::Closed(_) => return None,
        };
        let cause = match fault {
            Fault::Violation(violation) => CloseCause::Violation(violation),
            Fault::LimitExceeded(limit) => CloseCause::LimitExceeded(limit),
        };
        let closed = Closed { initiator: Initiator::Local, sent, received: None, cause };
        self.phase = Phase::Finishing { closed: Box::new(closed), deadline };
        to_send
    }

    /// The connection ends without the peer's consent, by this end or by the transport.
    /// `is_written` is whether a close frame that was queued has been written.
    pub(crate) fn handle_end(&mut self, initiator: Initiator, cause: CloseCause, is_written: bool) {
        let closed = match std::mem::replace(&mut self.phase, Phase::Open) {
            Phase::Open => Closed { initiator, sent: None, received: None, cause },
            Phase::Closing { sent, .. } => {
                let sent = is_written.then_some(*sent);
                Closed { initiator: Initiator::Local, sent, received: None, cause }
            }
            Phase::Broken { sent, kind, .. } => {
                // Reading says better why: a pipe that is broken is only what comes of it.
                let kind = match cause {
                    CloseCause::TransportFailed(kind) => kind,
                    _ => kind,
                };
                broken(kind, sent.map(|sent| *sent), None)
            }
            // The handshake is one only if our part of it went out.
            Phase::Finishing { closed, .. } if closed.is_clean() && !is_written => {
                Closed { sent: None, cause, ..*closed }
            }
            Phase::Finishing { closed, .. } | Phase::Closed(closed) => *closed,
        };
        self.phase = Phase::Closed(Box::new(closed));
    }

    /// The transport takes nothing more; what it has to give is still worth reading.
    pub(crate) fn handle_write_error(
        &mut self,
        now: Instant,
        kind: io::ErrorKind,
        is_written: bool,
    ) {
        let (sent, deadline) = match &self.phase {
            Phase::Open => (None, now.checked_add(self.timeout)),
            Phase::Closing { sent, deadline } => (Some(sent.clone()), *deadline),
            Phase::Broken { .. } | Phase::Closed(_) => return,
            Phase::Finishing { .. } => {
                let cause = CloseCause::TransportFailed(kind);
                return self.handle_end(Initiator::Remote, cause, is_written);
            }
        };
        self.phase = Phase::Broken { sent, kind, deadline };
    }

    /// The program ends the connection at once. Returns whether the frame is to be sent.
    pub(crate) fn handle_abort(&mut self, frame: &CloseFrame) -> bool {
        let is_first = self.is_open();
        if is_first {
            let closed = Closed {
                initiator: Initiator::Local,
                sent: Some(frame.clone()),
                received: None,
                cause: CloseCause::Aborted,
            };
            self.phase = Phase::Closed(Box::new(closed));
        } else {
            // What is queued is worth an attempt to write it.
            self.handle_end(Initiator::Local, CloseCause::Aborted, true);
        }
        is_first
    }

    /// The deadline has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant, is_written: bool) {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.handle_end(Initiator::Local, CloseCause::CloseTimeout, is_written);
        }
    }
}

/// The outcome where writing failed: begun by whoever had closed by then.
fn broken(kind: io::ErrorKind, sent: Option<CloseFrame>, received: Option<CloseFrame>) -> Closed {
    let initiator = if sent.is_some() { Initiator::Local } else { Initiator::Remote };
    Closed { initiator, sent, received, cause: CloseCause::TransportFailed(kind) }
}
