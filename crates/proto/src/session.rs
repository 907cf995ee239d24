//! Everything of a connection but the decoding of its input.
//!
//! A connection that is split has its [`Inbound`](crate::inbound::Inbound) in the receiving half
//! alone; what the sending halves, the timers and the answers to the peer share is here.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::closing::{CloseCause, Closed, Closing, Initiator, TransportFate};
use crate::compression::Negotiated;
use crate::config::{Config, Keepalive};
use crate::fault::{Fault, LimitExceeded};
use crate::incoming::Incoming;
use crate::keepalive::{Due, Timer};
use crate::outbound::{Outbound, check_control};
use crate::outgoing::Outgoing;
use crate::refused::{Refused, SendError};
use crate::role::Role;
use crate::stall::Stall;
use crate::wire::close::CloseFrame;
use crate::wire::frame::Frame;
use crate::wire::opcode::{MAX_CONTROL_PAYLOAD, Opcode};

/// Sending, closing and keepalive of a connection.
///
/// - Commands: [`send`](Self::send), [`ping`](Self::ping), [`close`](Self::close), …
/// - What happened goes in by `handle_*`; the time always with it.
/// - What is to be done comes out by `poll_*`: bytes to write, the next deadline, what becomes of
///   the transport.
#[derive(Debug)]
pub struct Session {
    outbound: Outbound,
    closing: Closing,
    keepalive: Timer,
    stall: Stall,
    control_rate: ControlRate,
    send_high_water_mark: usize,
}

impl Session {
    /// The session of a connection whose opening handshake is done.
    pub fn new(role: Role, config: &Config, now: Instant) -> Self {
        Self {
            outbound: Outbound::new(role, config),
            closing: Closing::new(role, config.close_timeout),
            keepalive: Timer::new(config.keepalive, now),
            stall: Stall::new(config.send_timeout),
            control_rate: ControlRate {
                limit: config.max_received_control_rate,
                second: now,
                frames: 0,
            },
            send_high_water_mark: config.send_high_water_mark,
        }
    }

    /// The same, with compression as the handshake agreed on it.
    #[must_use]
    pub fn with_compression(mut self, compression: Option<&Negotiated>) -> Self {
        self.outbound = self.outbound.with_compression(compression);
        self
    }

    /// Queues a message. It is taken whatever is queued already: ask [`is_full`](Self::is_full).
    ///
    /// # Errors
    ///
    /// [`Refused::Closing`], with the message, once a close frame was sent or received.
    #[inline(always)]
    pub fn send<'m>(
        &mut self,
        message: impl Into<Outgoing<'m>>,
    ) -> Result<(), SendError<Outgoing<'m>>> {
        let outgoing = message.into();
        if !self.closing.is_open() {
            return Err(SendError::new(Refused::Closing, outgoing));
        }
        self.outbound.send(outgoing);
        Ok(())
    }

    /// Queues a message as [`send`](Self::send) does, from where it is: what was owned is taken
    /// out of it, and what is refused is left as it was.
    ///
    /// # Errors
    ///
    /// [`Refused::Closing`], once a close frame was sent or received.
    #[inline(always)]
    pub fn send_from(&mut self, outgoing: &mut Outgoing<'_>) -> Result<(), Refused> {
        if !self.closing.is_open() {
            return Err(Refused::Closing);
        }
        self.outbound.send_from(outgoing);
        Ok(())
    }

    /// Queues a message of 4 KiB at the most behind others that are ready to be written, if that
    /// is all there is to do: the connection is open, fewer than `most` bytes are ready, and the
    /// queue is below its high-water mark. Returns how long it was; if it is `None`, the message is
    /// for [`send_from`](Self::send_from).
    #[inline(always)]
    pub fn join(&mut self, outgoing: &Outgoing<'_>, most: usize) -> Option<usize> {
        if !self.closing.is_open() {
            return None;
        }
        self.outbound.join(outgoing, most.min(self.send_high_water_mark))
    }

    /// Queues a frame made by hand, in its turn. Messages queued while a message is unfinished
    /// follow it. A close frame does what [`close`](Self::close) does.
    ///
    /// # Errors
    ///
    /// [`Refused`], with the frame, for one that can't stand here.
    pub fn send_frame(&mut self, now: Instant, frame: Frame) -> Result<(), SendError<Frame>> {
        if !self.closing.is_open() {
            return Err(SendError::new(Refused::Closing, frame));
        }
        if frame.opcode() != Opcode::Close {
            return self.outbound.frame(frame);
        }
        let frame = check_control(frame)?;
        match CloseFrame::decode(frame.payload()) {
            Ok(close) => self.close(now, close).map_err(|why| SendError::new(why, frame)),
            Err(malformed) => Err(SendError::new(Refused::MalformedClose(malformed), frame)),
        }
    }

    /// Queues a ping, in front of all messages that are not frames yet.
    ///
    /// # Errors
    ///
    /// [`Refused`], with the payload: longer than 125 bytes, or the connection is closing.
    pub fn ping(&mut self, payload: Bytes) -> Result<(), SendError<Bytes>> {
        self.control(Opcode::Ping, payload)
    }

    /// Queues a pong that answers no ping. Those that do are sent without being asked for.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn pong(&mut self, payload: Bytes) -> Result<(), SendError<Bytes>> {
        self.control(Opcode::Pong, payload)
    }

    /// Begins to close: what is queued is sent, then `frame`, then the peer's is awaited for as
    /// long as the close timeout says.
    ///
    /// # Errors
    ///
    /// [`Refused::Closing`] if the connection is closing already. Nothing has changed then.
    pub fn close(&mut self, now: Instant, frame: CloseFrame) -> Result<(), Refused> {
        if !self.closing.handle_close(now, &frame) {
            return Err(Refused::Closing);
        }
        self.outbound.close(frame);
        Ok(())
    }

    /// Ends the connection without waiting for the peer. What has become frames is worth one
    /// attempt to write it; then the transport goes.
    pub fn abort(&mut self, frame: CloseFrame) {
        self.outbound.discard_waiting();
        if self.closing.handle_abort(&frame) {
            self.outbound.close(frame);
        }
    }

    /// Takes note that bytes of the peer came at `at`: a sign of life.
    pub fn handle_received(&mut self, at: Instant) {
        self.keepalive.handle_received(at);
    }

    /// Takes note that bytes of the peer came at some time between these two: a sign of life.
    pub fn handle_received_between(&mut self, from: Instant, to: Instant) {
        self.keepalive.handle_received_between(from, to);
    }

    /// Takes note that bytes of the peer lie unread at `now`, so that it is not to be taken for
    /// dead; and asks it again, so that it hears of this end, whose program may be busy for long.
    pub fn handle_unread(&mut self, now: Instant) {
        if self.closing.is_open() {
            self.ask(now);
        }
    }

    /// Answers a ping that lies unread, for a program that is too busy to receive. It is answered
    /// once more when it is received, which is allowed (section 5.5.3).
    pub fn handle_unread_ping(&mut self, payload: Bytes) {
        if self.closing.is_open() && payload.len() <= MAX_CONTROL_PAYLOAD {
            self.outbound.pong(payload);
        }
    }

    /// The transport takes no more at `now`. If it takes nothing until the send timeout has passed,
    /// that is the end.
    pub fn handle_full(&mut self, now: Instant) {
        // A transport that is to be flushed may wait too.
        if !self.outbound.is_empty() {
            self.stall.handle_full(now, self.outbound.written_ever());
        }
    }

    /// The transport is full, and has taken some of what it had held back itself.
    pub fn handle_moved(&mut self) {
        self.stall.handle_moved();
    }

    /// Since when the transport has been full without taking anything, as far as that was told.
    pub fn full_since(&self) -> Option<Instant> {
        self.stall.since()
    }

    /// Takes note of what was decoded: answers a ping, goes on with closing, closes after a fault.
    ///
    /// # Errors
    ///
    /// A [`Fault`], which it has dealt with: the one that was decoded, or that the limit of control
    /// frames a second is exceeded.
    #[inline]
    pub fn handle_incoming(&mut self, now: Instant, incoming: &Incoming<'_>) -> Result<(), Fault> {
        match incoming {
            Incoming::Text(_)
            | Incoming::Binary(_)
            | Incoming::Frame(_)
            | Incoming::More
            | Incoming::End => Ok(()),
            Incoming::Fault(fault) => {
                self.handle_fault(now, *fault);
                Err(*fault)
            }
            Incoming::Ping(payload) => {
                self.count_control(now)?;
                if self.closing.is_open() {
                    self.outbound.pong(payload.clone());
                }
                Ok(())
            }
            Incoming::Pong(_) => self.count_control(now),
            Incoming::Close(frame) => {
                if let Some(answer) = self.closing.handle_peer_close(now, frame.clone()) {
                    self.outbound.close(answer);
                }
                Ok(())
            }
        }
    }

    /// Takes note of a ping that the program answers itself: it counts against the limit of control
    /// frames a second, and gets no pong from here.
    ///
    /// # Errors
    ///
    /// As [`handle_incoming`](Self::handle_incoming).
    pub fn handle_unanswered_ping(&mut self, now: Instant) -> Result<(), Fault> {
        self.count_control(now)
    }

    /// Takes note of a fault of the peer: what waits is given up, and the close frame sent.
    pub fn handle_fault(&mut self, now: Instant, fault: Fault) {
        self.handle_fault_in_words(now, fault, &fault.to_string());
    }

    /// The same, with a reason of the host's in the close frame, of which as much is sent as fits.
    pub fn handle_fault_in_words(&mut self, now: Instant, fault: Fault, reason: &str) {
        if let Some(frame) = self.closing.handle_fault(now, fault, reason) {
            self.outbound.discard_waiting();
            self.outbound.close(frame);
        }
    }

    /// The transport has nothing more to read, or was closed as
    /// [`poll_transport`](Self::poll_transport) said.
    pub fn handle_transport_end(&mut self) {
        self.end(Initiator::Remote, CloseCause::TransportEnded);
    }

    /// Writing failed at `now`. Nothing can be sent any more, but go on reading: the peer's close
    /// frame may be there and say why.
    pub fn handle_write_error(&mut self, now: Instant, kind: std::io::ErrorKind) {
        let is_written = self.outbound.is_close_written();
        self.closing.handle_write_error(now, kind, is_written);
        self.outbound.discard();
    }

    /// Reading failed, and so the transport.
    pub fn handle_transport_error(&mut self, kind: std::io::ErrorKind) {
        self.end(Initiator::Remote, CloseCause::TransportFailed(kind));
    }

    /// Does what is due at `now`.
    ///
    /// If [`is_peer_overdue`](Self::is_peer_overdue), this ends the connection: look for unread
    /// bytes first.
    pub fn handle_timeout(&mut self, now: Instant) {
        let is_written = self.outbound.is_close_written();
        self.closing.handle_timeout(now, is_written);
        if self.closing.is_open() {
            match self.keepalive.poll_due(now) {
                Some(Due::Ping) => self.ask(now),
                Some(Due::Dead) => self.end(Initiator::Local, CloseCause::PeerUnresponsive),
                None => {}
            }
        }
        if self.closing.is_open() && self.poll_stalled().is_some_and(|deadline| now >= deadline) {
            self.end(Initiator::Local, CloseCause::SendTimeout);
        }
        if self.closing.closed().is_some() {
            self.outbound.discard();
        }
    }

    /// When a silent peer is asked, if it is: as configured.
    pub fn keepalive(&self) -> Option<Keepalive> {
        self.keepalive.keepalive()
    }

    /// Whether the peer is taken for dead at `now` unless something of it lies unread.
    pub fn is_peer_overdue(&self, now: Instant) -> bool {
        self.closing.is_open() && self.keepalive.poll_due(now) == Some(Due::Dead)
    }

    /// What is to be written, if anything is. Advance it by what was.
    #[inline]
    pub fn poll_transmit(&mut self) -> Option<&mut Outbound> {
        self.outbound.fill();
        (!self.outbound.is_empty()).then_some(&mut self.outbound)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is next to be called. It moves: later with
    /// everything that is received and written, earlier with a close and with a full transport.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.closing.is_open() {
            return self.closing.deadline();
        }
        match (self.keepalive.poll_timeout(), self.poll_stalled()) {
            (Some(keepalive), Some(stalled)) => Some(keepalive.min(stalled)),
            (keepalive, stalled) => keepalive.or(stalled),
        }
    }

    /// When the peer is given up if it takes nothing of what is queued for it.
    fn poll_stalled(&self) -> Option<Instant> {
        self.stall.deadline(self.outbound.written_ever()).filter(|_| !self.outbound.is_empty())
    }

    fn ask(&mut self, now: Instant) {
        self.keepalive.handle_ping_sent(now);
        // An empty payload is not too long.
        let _ = self.outbound.control(Opcode::Ping, Bytes::new());
    }

    /// What to do with the transport. To be asked after writing.
    pub fn poll_transport(&self) -> TransportFate {
        self.closing.transport(self.outbound.is_empty())
    }

    /// Whether messages may be sent: no close frame was sent or received yet.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.closing.is_open()
    }

    /// Whether what comes in is to be decoded. If not, it is to be read and thrown away.
    #[inline]
    pub fn is_receiving(&self) -> bool {
        self.closing.is_receiving()
    }

    /// Whether the queue is above its high-water mark, so that a sender should wait.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.is_above_mark(self.outbound.queued_cost())
    }

    /// Whether a frame that continues a message made by hand should wait. It doesn't for what is
    /// held back behind that message.
    pub fn is_full_to_continue(&self) -> bool {
        self.is_above_mark(self.outbound.cost_before_frame())
    }

    /// The encoder, to lend it a buffer and to see how much is queued.
    pub fn outbound(&mut self) -> &mut Outbound {
        &mut self.outbound
    }

    /// How the connection ended, once it has: the transport is, or is to be, closed.
    pub fn closed(&self) -> Option<&Closed> {
        self.closing.closed()
    }

    /// How the connection is going to end, as soon as that is certain: when both close frames
    /// are exchanged, ours being written, or when a fault is found. It does not change.
    pub fn outcome(&self) -> Option<&Closed> {
        let is_written = self.outbound.is_close_written();
        let outcome = self.closing.outcome()?;
        let is_certain = !outcome.is_clean() || is_written || self.closing.closed().is_some();
        is_certain.then_some(outcome)
    }

    /// Who began to close, once somebody has: known before the [`outcome`](Self::outcome) is.
    pub fn initiator(&self) -> Option<Initiator> {
        self.closing.initiator()
    }

    /// From how many bytes on the queue [is full](Self::is_full).
    pub fn send_high_water_mark(&self) -> usize {
        self.send_high_water_mark
    }

    fn is_above_mark(&self, queued: usize) -> bool {
        queued > 0 && queued >= self.send_high_water_mark
    }

    fn control(&mut self, opcode: Opcode, payload: Bytes) -> Result<(), SendError<Bytes>> {
        if !self.closing.is_open() {
            return Err(SendError::new(Refused::Closing, payload));
        }
        self.outbound.control(opcode, payload)
    }

    fn count_control(&mut self, now: Instant) -> Result<(), Fault> {
        let Err(limit) = self.control_rate.count(now) else { return Ok(()) };
        let fault = Fault::from(limit);
        self.handle_fault(now, fault);
        Err(fault)
    }

    fn end(&mut self, initiator: Initiator, cause: CloseCause) {
        let is_written = self.outbound.is_close_written();
        self.closing.handle_end(initiator, cause, is_written);
        self.outbound.discard();
    }
}

/// Counts control frames by the second.
#[derive(Debug)]
struct ControlRate {
    limit: Option<NonZeroU32>,
    second: Instant,
    frames: u32,
}

impl ControlRate {
    fn count(&mut self, now: Instant) -> Result<(), LimitExceeded> {
        let Some(limit) = self.limit else { return Ok(()) };
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            self.second = now;
            self.frames = 0;
        }
        self.frames += 1;
        let limit = limit.get();
        if self.frames > limit { Err(LimitExceeded::ControlRate { limit }) } else { Ok(()) }
    }
}
