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
//! - **Closing** has sent a close frame and waits for the peer's.
//! - **Finishing** has sent and received everything: the queue is written, then the transport is
//!   closed. A client lets the server close first.
//! - **Closed** is the end, with its cause.
//!
//! [RFC 6455, section 7]: https://www.rfc-editor.org/rfc/rfc6455#section-7

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use crate::fault::{Fault, LimitExceeded, Violation};
use crate::nanos::Nanos;
use crate::role::Role;
use crate::wire::close::{CloseCode, CloseFrame};

/// How a connection ended: which end began, the close frames, and the cause.
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
    cut: u32,
}

/// The end that began to close.
///
/// [`Closed`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Initiator {
    /// This end: the program, or the library because of a fault or the silence of the peer.
    Local,
    /// The peer, with a close frame or by ending the transport.
    Remote,
}

/// The cause of a connection's end.
///
/// [`Closed`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseCause {
    /// Both ends sent a close frame.
    Handshake,
    /// The peer violated the protocol.
    Violation(Violation),
    /// The peer exceeded a limit.
    LimitExceeded(LimitExceeded),
    /// The peer sent nothing within the keepalive's grace period.
    PeerUnresponsive,
    /// The peer accepted no bytes for as long as `send_timeout`.
    SendTimeout,
    /// The peer did not answer the close frame within `close_timeout`.
    CloseTimeout,
    /// This end's program ended the connection without waiting for the peer.
    Aborted,
    /// The transport ended without a close frame from the peer.
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
    /// Returns which end began to close.
    pub fn initiator(&self) -> Initiator {
        self.initiator
    }

    /// Returns the close frame that was sent, if any.
    pub fn sent(&self) -> Option<&CloseFrame> {
        self.sent.as_ref()
    }

    /// Returns the close frame that was received, if any.
    pub fn received(&self) -> Option<&CloseFrame> {
        self.received.as_ref()
    }

    /// Returns the cause of the connection's end.
    pub fn cause(&self) -> CloseCause {
        self.cause
    }

    /// Returns how many messages of this end its close frame cut off: a message made of fragments
    /// that was begun and not finished, and those queued behind it. The peer drops the beginning of
    /// the former, and receives nothing of the others.
    ///
    /// Zero for a close after which the peer had everything, if it [is clean](Self::is_clean). What
    /// is lost with the transport, or by an abort or a fault, is not counted.
    pub fn cut_messages(&self) -> usize {
        usize::try_from(self.cut).unwrap_or(usize::MAX)
    }

    /// Returns whether both ends sent a close frame.
    pub fn is_clean(&self) -> bool {
        self.cause == CloseCause::Handshake
    }

    /// Returns the code of the end that began to close, or [`CloseCode::ABNORMAL`] if there is no
    /// close frame.
    #[doc(alias = "closeReasonCode")]
    pub fn code(&self) -> CloseCode {
        self.telling().map_or(CloseCode::ABNORMAL, CloseFrame::code)
    }

    /// Returns the reason that belongs to [`code`](Self::code), often empty.
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
        match (self.cause, self.telling(), &self.received) {
            (CloseCause::Handshake, Some(frame), _) => match self.initiator {
                Initiator::Local => write!(f, "closed with {frame}"),
                Initiator::Remote => write!(f, "closed by the peer with {frame}"),
            },
            (cause, _, Some(frame)) => {
                write!(f, "closed by the peer with {frame}, which was not answered: ")?;
                // The causes are worded for a peer that sent no close frame.
                match cause {
                    CloseCause::TransportEnded => f.write_str("the transport ended"),
                    CloseCause::CloseTimeout => {
                        f.write_str("the peer took no more bytes (close_timeout)")
                    }
                    _ => cause.fmt(f),
                }
            }
            (cause, _, None) => cause.fmt(f),
        }?;
        match self.cut {
            0 => Ok(()),
            1 => f.write_str(", which cut off a message"),
            cut => write!(f, ", which cut off {cut} messages"),
        }
    }
}

/// What to do with the transport.
///
/// [`Connection`](crate::connection::Connection) has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportFate {
    /// Read and write.
    Open,
    /// Everything has been written: shut down the writing side, then read and discard until the
    /// peer ends its side.
    ShutDown,
    /// Drop it.
    Close,
}

/// The state of closing.
#[derive(Debug)]
pub(crate) struct Closing {
    role: Role,
    /// The number of messages that the close frame cut off.
    cut: u32,
    timeout: Nanos,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Open,
    Closing {
        sent: Box<CloseFrame>,
        deadline: Option<Instant>,
    },
    /// Writing failed; the peer's close frame may be unread and give the reason.
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
        Self { role, cut: 0, timeout: timeout.into(), phase: Phase::Open }
    }

    /// Returns whether messages may be sent.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Returns whether received bytes are decoded: until the peer's close frame or first fault.
    pub(crate) fn is_receiving(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Closing { .. } | Phase::Broken { .. })
    }

    /// Returns how the connection ended, once it has.
    pub(crate) fn closed(&self) -> Option<&Closed> {
        match &self.phase {
            Phase::Closed(closed) => Some(closed),
            _ => None,
        }
    }

    /// Returns how the connection will end, once that is certain: before the transport is closed.
    pub(crate) fn outcome(&self) -> Option<&Closed> {
        match &self.phase {
            Phase::Finishing { closed, .. } | Phase::Closed(closed) => Some(closed),
            _ => None,
        }
    }

    /// Returns what to do with the transport. `written` is whether the queue has been written.
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

    /// Returns which end began to close, if any. For a transport that failed, that is the peer.
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

    /// Handles a close by the program. Returns whether to send the frame: only the first is sent.
    pub(crate) fn handle_close(&mut self, now: Instant, frame: &CloseFrame) -> bool {
        if !self.is_open() {
            return false;
        }
        self.phase = Phase::Closing {
            sent: Box::new(frame.clone()),
            deadline: now.checked_add(self.timeout.into()),
        };
        true
    }

    /// Records how many messages the close frame of this end cuts off.
    pub(crate) fn handle_cut(&mut self, messages: usize) {
        let cut = u32::try_from(messages).unwrap_or(u32::MAX);
        match &mut self.phase {
            Phase::Finishing { closed, .. } | Phase::Closed(closed) => closed.cut = cut,
            Phase::Open | Phase::Closing { .. } | Phase::Broken { .. } => self.cut = cut,
        }
    }

    /// Handles the peer's close frame. Returns the answer to send, if the peer began.
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
                (
                    Initiator::Remote,
                    answer.clone(),
                    Some(answer),
                    now.checked_add(self.timeout.into()),
                )
            }
            Phase::Closing { sent, deadline } => {
                (Initiator::Local, CloseFrame::clone(sent), None, *deadline)
            }
            Phase::Broken { sent, kind, .. } => {
                let closed = broken(*kind, sent.as_deref().cloned(), Some(received));
                let closed = Closed { cut: self.cut, ..closed };
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
            cut: self.cut,
        };
        self.phase = Phase::Finishing { closed: Box::new(closed), deadline };
        answer
    }

    /// Handles a fault of the peer. Returns the close frame to send, if none was sent.
    pub(crate) fn handle_fault(
        &mut self,
        now: Instant,
        fault: Fault,
        reason: &str,
    ) -> Option<CloseFrame> {
        let (sent, to_send, deadline) = match &self.phase {
            Phase::Open => {
                let frame = CloseFrame::of(fault.close_code(), reason);
                (Some(frame.clone()), Some(frame), now.checked_add(self.timeout.into()))
            }
            Phase::Closing { sent, deadline } => (Some(CloseFrame::clone(sent)), None, *deadline),
            Phase::Broken { sent, deadline, .. } => (sent.as_deref().cloned(), None, *deadline),
            Phase::Finishing { .. } | Phase::Closed(_) => return None,
        };
        let cause = match fault {
            Fault::Violation(violation) => CloseCause::Violation(violation),
            Fault::LimitExceeded(limit) => CloseCause::LimitExceeded(limit),
        };
        let closed =
            Closed { initiator: Initiator::Local, sent, received: None, cause, cut: self.cut };
        self.phase = Phase::Finishing { closed: Box::new(closed), deadline };
        to_send
    }

    /// Ends the connection without the peer's close frame, by this end or by the transport.
    /// `is_written` is whether a queued close frame has been written.
    pub(crate) fn handle_end(&mut self, initiator: Initiator, cause: CloseCause, is_written: bool) {
        let closed = match std::mem::replace(&mut self.phase, Phase::Open) {
            Phase::Open => Closed { initiator, sent: None, received: None, cause, cut: 0 },
            Phase::Closing { sent, .. } => {
                let sent = is_written.then_some(*sent);
                Closed { initiator: Initiator::Local, sent, received: None, cause, cut: self.cut }
            }
            Phase::Broken { sent, kind, .. } => {
                // An error of reading is more precise: a broken pipe is only its effect.
                let kind = match cause {
                    CloseCause::TransportFailed(read) => read,
                    _ => kind,
                };
                Closed { cut: self.cut, ..broken(kind, sent.map(|sent| *sent), None) }
            }
            // The close handshake is complete only if our frame was written.
            Phase::Finishing { closed, .. } if closed.is_clean() && !is_written => {
                Closed { sent: None, cause, ..*closed }
            }
            Phase::Finishing { closed, .. } | Phase::Closed(closed) => *closed,
        };
        self.phase = Phase::Closed(Box::new(closed));
    }

    /// Handles a failed write. Reading goes on.
    pub(crate) fn handle_write_error(
        &mut self,
        now: Instant,
        kind: io::ErrorKind,
        is_written: bool,
    ) {
        let (sent, deadline) = match &self.phase {
            Phase::Open => (None, now.checked_add(self.timeout.into())),
            Phase::Closing { sent, deadline } => (Some(sent.clone()), *deadline),
            Phase::Broken { .. } | Phase::Closed(_) => return,
            Phase::Finishing { .. } => {
                let cause = CloseCause::TransportFailed(kind);
                return self.handle_end(Initiator::Remote, cause, is_written);
            }
        };
        self.phase = Phase::Broken { sent, kind, deadline };
    }

    /// Handles an abort by the program. Returns whether to send the frame.
    pub(crate) fn handle_abort(&mut self, frame: &CloseFrame) -> bool {
        let is_first = self.is_open();
        if is_first {
            let closed = Closed {
                initiator: Initiator::Local,
                sent: Some(frame.clone()),
                received: None,
                cause: CloseCause::Aborted,
                cut: 0,
            };
            self.phase = Phase::Closed(Box::new(closed));
        } else {
            // Queued bytes get one attempt to be written.
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

/// Returns the outcome after a failed write, begun by the end that had closed by then.
fn broken(kind: io::ErrorKind, sent: Option<CloseFrame>, received: Option<CloseFrame>) -> Closed {
    let initiator = if sent.is_some() { Initiator::Local } else { Initiator::Remote };
    Closed { initiator, sent, received, cause: CloseCause::TransportFailed(kind), cut: 0 }
}
