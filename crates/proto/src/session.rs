//! All parts of a connection except the decoding of its input.
//!
//! In a split connection, only the receiving half has the [`Inbound`](crate::inbound::Inbound). The
//! sending halves, the timers and the answers to the peer share the `Session`.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::burst::Burst;
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
use crate::round_trip::RoundTrips;
use crate::stall::Stall;
use crate::stats::{Counts, Stats, Sums};
use crate::wire::close::CloseFrame;
use crate::wire::frame::Frame;
use crate::wire::opcode::{MAX_CONTROL_PAYLOAD, Opcode};

/// Sending, closing and keepalive of a [connection](crate::connection::Connection), which has an example.
///
/// - Commands: [`send`](Self::send), [`ping`](Self::ping), [`close`](Self::close), …
/// - Events go in through `handle_*`, always with the time.
/// - Actions come out of `poll_*`: bytes to write, the next deadline, what to do with the
///   transport.
#[derive(Debug)]
pub struct Session {
    outbound: Outbound,
    closing: Closing,
    keepalive: Timer,
    stall: Stall,
    control_rate: ControlRate,
    started: Instant,
    sums: Sums,
    pings_received: u64,
    round_trips: RoundTrips,
    send_high_water_mark: usize,
}

impl Session {
    /// Creates the session of a connection after the opening handshake.
    pub fn new(role: Role, config: &Config, now: Instant) -> Self {
        Self {
            outbound: Outbound::new(role, config),
            closing: Closing::new(role, config.close_timeout),
            keepalive: Timer::new(config.keepalive, now),
            stall: Stall::new(config.send_timeout),
            control_rate: ControlRate {
                limit: config.max_received_control_rate,
                frames: 0,
                second: 0,
            },
            started: now,
            sums: Sums::default(),
            pings_received: 0,
            round_trips: RoundTrips::default(),
            send_high_water_mark: config.send_high_water_mark,
        }
    }

    /// Sets the compression that the handshake negotiated.
    #[must_use]
    pub fn with_compression(mut self, compression: Option<&Negotiated>) -> Self {
        self.outbound = self.outbound.with_compression(compression);
        self
    }

    /// Queues a message, even if the queue is full: check [`is_full`](Self::is_full) first.
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

    /// Queues a message like [`send`](Self::send), by reference: an owned payload is moved out of
    /// it. On error, the message is unchanged.
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

    /// Queues a message of at most 4 KiB behind others that are ready to be written, if no other
    /// work is needed: the connection is open, fewer than `most` bytes are ready, and the queue is
    /// below its high-water mark. Returns the length of the message, or `None` if
    /// [`send_from`](Self::send_from) must be used.
    #[inline(always)]
    pub fn join(&mut self, outgoing: &Outgoing<'_>, most: usize) -> Option<usize> {
        if !self.closing.is_open() {
            return None;
        }
        self.outbound.join(outgoing, most.min(self.send_high_water_mark))
    }

    /// Queues all messages of a burst with one copy, if that has the same result as checking
    /// [`is_full`](Self::is_full) and calling [`send`](Self::send) for each. Returns `false`, and queues
    /// nothing, if it does not: then send the messages one by one.
    ///
    /// That is so if the connection is closing, if there is no room for all of them, or if this connection
    /// masks, compresses or fragments any of them (RFC 6455, sections 5.3 and 5.4, and RFC 7692). Messages
    /// longer than [`Outbound::COPY_MAX`] and those behind a message that is not encoded yet are sent one by
    /// one as well.
    #[inline]
    pub fn send_burst(&mut self, burst: &Burst) -> bool {
        self.has_room(burst) && self.outbound.send_burst(burst)
    }

    /// Returns whether the host can write the bytes of a [burst](Burst::wire) to the transport itself:
    /// nothing is queued, and [`send_burst`](Self::send_burst) would queue these bytes.
    ///
    /// If all of them are written, call [`handle_passed`](Self::handle_passed). Otherwise call `send_burst`,
    /// and advance [`poll_transmit`](Self::poll_transmit) by the number of bytes that were written.
    #[inline]
    pub fn can_pass(&self, burst: &Burst) -> bool {
        self.has_room(burst) && self.outbound.can_pass(burst)
    }

    /// Records that the host has written all bytes of a burst, as [`can_pass`](Self::can_pass) allowed.
    pub fn handle_passed(&mut self, burst: &Burst) {
        self.outbound.handle_passed(burst);
    }

    /// Returns whether the queue is not full before the last message of a burst.
    #[inline]
    fn has_room(&self, burst: &Burst) -> bool {
        let before_last = self.outbound.queued_cost() + burst.before_last();
        self.closing.is_open() && !self.is_above_mark(before_last)
    }

    /// Queues a frame made by the program. Messages queued while a message made of such frames is
    /// unfinished are sent after it. A close frame has the same effect as [`close`](Self::close).
    ///
    /// # Errors
    ///
    /// [`Refused`], with the frame, if the frame is not allowed here.
    pub fn send_frame(&mut self, now: Instant, frame: Frame) -> Result<(), SendError<Frame>> {
        if !self.closing.is_open() {
            return Err(SendError::new(Refused::Closing, frame));
        }
        if frame.opcode() == Opcode::Ping {
            let payload = frame.payload().clone();
            self.outbound.frame(frame)?;
            self.round_trips.handle_other_ping(&payload);
            return Ok(());
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

    /// Queues a ping, ahead of all messages that are not encoded yet.
    ///
    /// # Errors
    ///
    /// [`Refused`], with the payload, if it is longer than 125 bytes or the connection is closing.
    pub fn ping(&mut self, payload: Bytes) -> Result<(), SendError<Bytes>> {
        let sent = payload.clone();
        self.control(Opcode::Ping, payload)?;
        self.round_trips.handle_other_ping(&sent);
        Ok(())
    }

    /// Queues a ping to measure a round trip, and returns its number. Its payload is chosen here.
    /// A pong answers all pings before its own as well, since the peer may answer the latest only
    /// (RFC 6455, section 5.5.3).
    ///
    /// # Errors
    ///
    /// [`Refused::Closing`], once a close frame was sent or received.
    pub fn begin_round_trip(&mut self, now: Instant) -> Result<u32, Refused> {
        if !self.closing.is_open() {
            return Err(Refused::Closing);
        }
        let (number, payload) = self.round_trips.begin(now);
        self.outbound.control(Opcode::Ping, payload).map_err(|error| error.why())?;
        Ok(number)
    }

    /// Returns how long a round trip took, once, after its pong was received.
    pub fn take_round_trip(&mut self, number: u32) -> Option<Duration> {
        self.round_trips.take(number)
    }

    /// Forgets a round trip whose result is not taken.
    pub fn forget_round_trip(&mut self, number: u32) {
        self.round_trips.forget(number);
    }

    /// Returns whether the result of this round trip is there to be taken.
    pub fn is_round_trip_over(&self, number: u32) -> bool {
        self.round_trips.is_over(number)
    }

    /// Queues an unsolicited pong. Pings are answered automatically.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn pong(&mut self, payload: Bytes) -> Result<(), SendError<Bytes>> {
        self.control(Opcode::Pong, payload)
    }

    /// Starts to close: sends the queued messages, then `frame`, then waits for the peer's close
    /// frame until the close timeout. A message made of frames that is unfinished is cut off, and
    /// messages behind it are dropped: see [`Closed::cut_messages`].
    ///
    /// # Errors
    ///
    /// [`Refused::Closing`] if the connection is closing already; nothing changes.
    pub fn close(&mut self, now: Instant, frame: CloseFrame) -> Result<(), Refused> {
        if !self.closing.handle_close(now, &frame) {
            return Err(Refused::Closing);
        }
        let cut = self.outbound.close(frame);
        self.closing.handle_cut(cut);
        Ok(())
    }

    /// Ends the connection without waiting for the peer. Bytes that are encoded are written once as
    /// far as possible; then the transport is closed.
    pub fn abort(&mut self, frame: CloseFrame) {
        self.outbound.discard_waiting();
        if self.closing.handle_abort(&frame) {
            self.outbound.close(frame);
        }
    }

    /// Records that bytes of the peer were received at `at`.
    pub fn handle_received(&mut self, at: Instant) {
        self.keepalive.handle_received(at);
    }

    /// Records that bytes of the peer were received between these two times.
    pub fn handle_received_between(&mut self, from: Instant, to: Instant) {
        self.keepalive.handle_received_between(from, to);
    }

    /// Records that the peer took bytes at `at` for which the transport had no room before: a sign
    /// of life of a peer that is too busy to answer. Nothing was received.
    pub fn handle_taken(&mut self, at: Instant) {
        self.keepalive.handle_taken(at);
    }

    /// Adds what the [decoder](crate::inbound::Inbound::take_counts) has counted.
    #[inline]
    pub fn handle_counts(&mut self, counts: Counts) {
        self.sums.add(counts);
    }

    /// Records that a sender has waited this long for room in the queue.
    pub fn handle_waited(&mut self, waited: Duration) {
        self.sums.add_wait(waited);
    }

    /// Records that bytes of the peer are unread at `now`, so the peer is not considered dead.
    /// Sends another ping if one is due, so that the peer hears from this end while its program is
    /// busy.
    pub fn handle_unread(&mut self, now: Instant) {
        if self.closing.is_open() {
            self.ask(now);
        }
    }

    /// Answers a ping that is still unread, for a program that is too busy to receive. The ping is
    /// answered again when it is received, which RFC 6455, section 5.5.3, allows.
    pub fn handle_unread_ping(&mut self, payload: Bytes) {
        if self.closing.is_open() && payload.len() <= MAX_CONTROL_PAYLOAD {
            self.outbound.pong(payload);
        }
    }

    /// Records that the transport is full at `now`. If it accepts no bytes until the send timeout,
    /// the connection ends.
    pub fn handle_full(&mut self, now: Instant) {
        // A transport that is being flushed may be full too.
        if !self.outbound.is_empty() {
            self.stall.handle_full(now, self.outbound.written_ever());
        }
    }

    /// Records that the transport is full but has made progress with bytes that it had buffered.
    pub fn handle_moved(&mut self) {
        self.stall.handle_moved();
    }

    /// Returns since when the transport has been full without progress, as far as recorded.
    pub fn full_since(&self) -> Option<Instant> {
        self.stall.since()
    }

    /// Handles a decoded item: answers a ping or a close frame, closes after a fault.
    ///
    /// # Errors
    ///
    /// The decoded [`Fault`], or the one for exceeding the limit of control frames per second. It
    /// is already handled.
    #[inline]
    pub fn handle_incoming(&mut self, now: Instant, incoming: &Incoming<'_>) -> Result<(), Fault> {
        match incoming {
            Incoming::Text(_)
            | Incoming::Binary(_)
            | Incoming::Frame(_)
            | Incoming::Piece(_)
            | Incoming::Skipped
            | Incoming::More
            | Incoming::End => Ok(()),
            Incoming::Fault(fault) => {
                self.handle_fault(now, *fault);
                Err(*fault)
            }
            Incoming::Ping(payload) => {
                self.pings_received += 1;
                self.count_control(now)?;
                if self.closing.is_open() {
                    self.outbound.pong(payload.clone());
                }
                Ok(())
            }
            Incoming::Pong(payload) => {
                self.round_trips.handle_pong(now, payload);
                self.count_control(now)
            }
            Incoming::Close(frame) => {
                if let Some(answer) = self.closing.handle_peer_close(now, frame.clone()) {
                    let cut = self.outbound.close(answer);
                    self.closing.handle_cut(cut);
                }
                Ok(())
            }
        }
    }

    /// Handles a ping that the program answers itself: it counts against the limit of control
    /// frames per second, and no pong is queued.
    ///
    /// # Errors
    ///
    /// As [`handle_incoming`](Self::handle_incoming).
    pub fn handle_unanswered_ping(&mut self, now: Instant) -> Result<(), Fault> {
        self.pings_received += 1;
        self.count_control(now)
    }

    /// Handles a fault of the peer: drops the queued messages and sends the close frame.
    pub fn handle_fault(&mut self, now: Instant, fault: Fault) {
        self.handle_fault_in_words(now, fault, &fault.to_string());
    }

    /// Like [`handle_fault`](Self::handle_fault), with a reason chosen by the host. The reason is
    /// truncated to fit a close frame.
    pub fn handle_fault_in_words(&mut self, now: Instant, fault: Fault, reason: &str) {
        if let Some(frame) = self.closing.handle_fault(now, fault, reason) {
            self.outbound.discard_waiting();
            self.outbound.close(frame);
        }
    }

    /// Records that the transport is at its end, or was closed as
    /// [`poll_transport`](Self::poll_transport) asked.
    pub fn handle_transport_end(&mut self) {
        self.end(Initiator::Remote, CloseCause::TransportEnded);
    }

    /// Records that writing failed at `now`. Nothing more can be sent, but go on reading: the
    /// peer's close frame may be unread and give the reason.
    pub fn handle_write_error(&mut self, now: Instant, kind: std::io::ErrorKind) {
        let is_written = self.outbound.is_close_written();
        self.closing.handle_write_error(now, kind, is_written);
        self.outbound.discard();
    }

    /// Records that reading failed, and with it the transport.
    pub fn handle_transport_error(&mut self, kind: std::io::ErrorKind) {
        self.end(Initiator::Remote, CloseCause::TransportFailed(kind));
    }

    /// Handles the deadlines that have passed at `now`.
    ///
    /// If [`is_peer_overdue`](Self::is_peer_overdue), this ends the connection: check for unread
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

    /// Returns the keepalive as configured.
    pub fn keepalive(&self) -> Option<Keepalive> {
        self.keepalive.keepalive()
    }

    /// Returns whether the peer is considered dead at `now`, unless bytes of it are unread.
    pub fn is_peer_overdue(&self, now: Instant) -> bool {
        self.closing.is_open() && self.keepalive.poll_due(now) == Some(Due::Dead)
    }

    /// Returns the bytes to write, if any. Advance it by the number of bytes written.
    #[inline]
    pub fn poll_transmit(&mut self) -> Option<&mut Outbound> {
        self.outbound.fill();
        (!self.outbound.is_empty()).then_some(&mut self.outbound)
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout) next. It changes: to later
    /// when bytes are received or written, to earlier on a close and when the transport is full.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.closing.is_open() {
            return self.closing.deadline();
        }
        match (self.keepalive.poll_timeout(), self.poll_stalled()) {
            (Some(keepalive), Some(stalled)) => Some(keepalive.min(stalled)),
            (keepalive, stalled) => keepalive.or(stalled),
        }
    }

    /// Returns when the connection ends if the peer accepts no queued bytes.
    fn poll_stalled(&self) -> Option<Instant> {
        self.stall.deadline(self.outbound.written_ever()).filter(|_| !self.outbound.is_empty())
    }

    fn ask(&mut self, now: Instant) {
        self.keepalive.handle_ping_sent(now);
        let payload = self.round_trips.begin_keepalive(now);
        // Eight bytes are never too long.
        let _ = self.outbound.control(Opcode::Ping, payload);
    }

    /// Returns what to do with the transport. Call it after writing.
    pub fn poll_transport(&self) -> TransportFate {
        self.closing.transport(self.outbound.is_empty())
    }

    /// Returns whether messages may be sent: no close frame has been sent or received.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.closing.is_open()
    }

    /// Returns whether received bytes are decoded. If not, read and discard them.
    #[inline]
    pub fn is_receiving(&self) -> bool {
        self.closing.is_receiving()
    }

    /// Returns whether the queue is at its high-water mark, so that a sender should wait.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.is_above_mark(self.outbound.queued_cost())
    }

    /// Returns whether a frame that continues a message made of frames should wait. Messages that
    /// are queued behind that message do not count.
    pub fn is_full_to_continue(&self) -> bool {
        self.is_above_mark(self.outbound.cost_before_frame())
    }

    /// Returns what was sent and received until `now`.
    pub fn stats(&self, now: Instant) -> Stats {
        let (waits, waited) = self.sums.waits();
        Stats {
            sent: self.outbound.traffic(),
            received: self.sums.traffic(),
            pings_sent: self.outbound.pings(),
            pings_received: self.pings_received,
            round_trip: self.round_trips.measured(),
            queued_messages: self.outbound.queued_messages(),
            queued_bytes: self.outbound.queued_len(),
            waits,
            waited,
            age: now.saturating_duration_since(self.started),
            idle: now.saturating_duration_since(self.keepalive.heard()),
        }
    }

    /// Returns the encoder, to lend it a buffer or to inspect the queue.
    pub fn outbound(&mut self) -> &mut Outbound {
        &mut self.outbound
    }

    /// Returns how the connection ended, once it has: the transport is closed, or is to be.
    pub fn closed(&self) -> Option<&Closed> {
        self.closing.closed()
    }

    /// Returns how the connection will end, as soon as that is certain: when both close frames are
    /// exchanged (ours is being written), or after a fault. It does not change.
    pub fn outcome(&self) -> Option<&Closed> {
        let is_written = self.outbound.is_close_written();
        let outcome = self.closing.outcome()?;
        let is_certain = !outcome.is_clean() || is_written || self.closing.closed().is_some();
        is_certain.then_some(outcome)
    }

    /// Returns which end began to close. Known before the [`outcome`](Self::outcome).
    pub fn initiator(&self) -> Option<Initiator> {
        self.closing.initiator()
    }

    /// Returns the number of bytes at which the queue [is full](Self::is_full).
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
        let Err(limit) = self.control_rate.count(now.saturating_duration_since(self.started))
        else {
            return Ok(());
        };
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

/// Counts control frames per second.
#[derive(Debug)]
struct ControlRate {
    limit: Option<NonZeroU32>,
    frames: u32,
    /// When the second began, in nanoseconds.
    second: u64,
}

impl ControlRate {
    const SECOND: u64 = 1_000_000_000;

    /// Counts a frame at this age of the connection.
    fn count(&mut self, age: Duration) -> Result<(), LimitExceeded> {
        let Some(limit) = self.limit else { return Ok(()) };
        let now = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        if now.saturating_sub(self.second) >= Self::SECOND {
            self.second = now;
            self.frames = 0;
        }
        self.frames += 1;
        let limit = limit.get();
        if self.frames > limit { Err(LimitExceeded::ControlRate { limit }) } else { Ok(()) }
    }
}
