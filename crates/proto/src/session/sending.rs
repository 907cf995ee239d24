//! What the program does: sending, pinging and closing.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::burst::Burst;
use crate::outbound::check_control;
use crate::outgoing::Outgoing;
use crate::refused::{Refused, SendError};
use crate::session::Session;
use crate::wire::close::CloseFrame;
use crate::wire::frame::Frame;
use crate::wire::opcode::Opcode;

impl Session {
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
    /// longer than [`Outbound::COPY_MAX`](crate::Outbound::COPY_MAX) and those behind a message that is not encoded yet are sent one by
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
    #[inline]
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
    /// messages behind it are dropped: see [`Closed::cut_messages`](crate::Closed::cut_messages).
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

    fn control(&mut self, opcode: Opcode, payload: Bytes) -> Result<(), SendError<Bytes>> {
        if !self.closing.is_open() {
            return Err(SendError::new(Refused::Closing, payload));
        }
        self.outbound.control(opcode, payload)
    }
}
