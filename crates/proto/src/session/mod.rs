//! All parts of a connection except the decoding of its input.
//!
//! In a split connection, only the receiving half has the [`Inbound`](crate::inbound::Inbound). The
//! sending halves, the timers and the answers to the peer share the `Session`.

mod control_rate;

mod sending;

mod handling;

use std::time::Instant;

use crate::closing::{Closed, Closing, Initiator, TransportFate};
use crate::compression::Negotiated;
use crate::config::{Config, Keepalive};
use crate::keepalive::{Due, Timer};
use crate::outbound::Outbound;
use crate::role::Role;
use crate::round_trip::RoundTrips;
use crate::session::control_rate::ControlRate;
use crate::stall::Stall;
use crate::stats::{Stats, Sums};

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
            control_rate: ControlRate::new(config.max_received_control_rate),
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

    /// Returns the keepalive as configured.
    pub fn keepalive(&self) -> Option<Keepalive> {
        self.keepalive.keepalive()
    }

    /// Returns whether the peer is considered dead at `now`, unless bytes of it are unread.
    #[inline]
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
    #[inline]
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
    #[inline]
    fn poll_stalled(&self) -> Option<Instant> {
        self.stall.deadline(self.outbound.written_ever()).filter(|_| !self.outbound.is_empty())
    }

    /// Returns what to do with the transport. Call it after writing.
    #[inline]
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
    #[inline]
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
    #[inline]
    pub fn outbound(&mut self) -> &mut Outbound {
        &mut self.outbound
    }

    /// Returns how the connection ended, once it has: the transport is closed, or is to be.
    #[inline]
    pub fn closed(&self) -> Option<&Closed> {
        self.closing.closed()
    }

    /// Returns how the connection will end, as soon as that is certain: when both close frames are
    /// exchanged (ours is being written), or after a fault. It does not change.
    #[inline]
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
    #[inline]
    pub fn send_high_water_mark(&self) -> usize {
        self.send_high_water_mark
    }

    #[inline]
    fn is_above_mark(&self, queued: usize) -> bool {
        queued > 0 && queued >= self.send_high_water_mark
    }
}
