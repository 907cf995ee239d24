//! What happens: input, the transport, and time.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::closing::{CloseCause, Initiator};
use crate::fault::Fault;
use crate::incoming::Incoming;
use crate::keepalive::Due;
use crate::session::Session;
use crate::stats::Counts;
use crate::wire::opcode::{MAX_CONTROL_PAYLOAD, Opcode};

impl Session {
    /// Records that bytes of the peer were received at `at`.
    #[inline]
    pub fn handle_received(&mut self, at: Instant) {
        self.keepalive.handle_received(at);
    }

    /// Records that bytes of the peer were received between these two times.
    #[inline]
    pub fn handle_received_between(&mut self, from: Instant, to: Instant) {
        self.keepalive.handle_received_between(from, to);
    }

    /// Records that the peer took bytes at `at` for which the transport had no room before: a sign
    /// of life of a peer that is too busy to answer. Nothing was received.
    #[inline]
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
    #[inline]
    pub fn handle_moved(&mut self) {
        self.stall.handle_moved();
    }

    /// Returns since when the transport has been full without progress, as far as recorded.
    #[inline]
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

    fn ask(&mut self, now: Instant) {
        self.keepalive.handle_ping_sent(now);
        let payload = self.round_trips.begin_keepalive(now);
        // Eight bytes are never too long.
        let _ = self.outbound.control(Opcode::Ping, payload);
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
