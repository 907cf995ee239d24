//! Bursts, whose bytes many connections send.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Buf as _;
use tokio::io::AsyncWrite as _;
use tokio::task::unconstrained;
use towline_proto::{Burst, Session};

use crate::connection::buffers;
use crate::connection::timekeeper::Moment;
use crate::connection::writer::{Flusher, Receiving, Writer, bound_unsent};

impl Writer {
    /// Queues a burst. Returns `false` if its messages have to be sent one by one.
    pub(crate) fn send_burst(&mut self, session: &mut Session, burst: &Burst) -> bool {
        self.prepare(session);
        let is_sent = session.send_burst(burst);
        if is_sent {
            self.work.add_messages(burst.messages(), burst.payload_bytes());
        } else if let Some(buffer) = session.outbound().reclaim_buffer() {
            buffers::give_send(buffer);
        }
        is_sent
    }

    /// Writes a burst from where it is, if nothing is queued and it begins a turn. What the transport does
    /// not take is queued. Returns `false` if the burst has to be queued before it is written.
    pub(crate) fn pass(
        &mut self,
        session: &mut Session,
        burst: &Burst,
        receiver: Receiving,
        moment: &mut Moment,
    ) -> bool {
        let is_busy = matches!(self.flusher, Flusher::Blocked(_)) || self.unflushed;
        if is_busy
            || self.is_over()
            || !session.can_pass(burst)
            || !self.begins_turn(receiver, moment)
        {
            return false;
        }
        let Ok(half) = &mut self.half else { return false };
        let wire = burst.wire();
        let end = session.outbound().written_ever() + wire.len() as u64;
        bound_unsent(&mut self.unsent, half, end);
        let write = pin!(unconstrained(poll_fn(|cx| Pin::new(&mut *half).poll_write(cx, wire))));
        let wrote = write.poll(&mut Context::from_waker(Waker::noop()));
        self.unflushed = half.holds_back();
        self.work.add_messages(burst.messages(), burst.payload_bytes());
        self.work.add_call();
        if matches!(wrote, Poll::Ready(Ok(count)) if count == wire.len()) {
            session.handle_passed(burst);
        } else {
            self.queue_rest(session, burst, wrote);
        }
        if session.is_open() && session.outbound().is_empty() {
            self.flush_now(session);
        } else {
            self.write_now(session);
        }
        true
    }

    /// Flushes the transport without waiting, and leaves the rest to the flusher.
    fn flush_now(&mut self, session: &mut Session) {
        let flush = pin!(unconstrained(poll_fn(|cx| self.poll_flush(session, cx))));
        if flush.poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            self.full(session);
            self.schedule();
        }
    }

    /// Queues a burst of which the transport has not taken all bytes.
    #[cold]
    fn queue_rest(&mut self, session: &mut Session, burst: &Burst, wrote: Poll<io::Result<usize>>) {
        self.prepare(session);
        session.send_burst(burst);
        match wrote {
            Poll::Ready(Ok(0)) => self.note(session, Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(count)) => session.outbound().advance(count),
            Poll::Ready(Err(error)) => self.note(session, Err(error)),
            // Writing again finds out.
            Poll::Pending => {}
        }
    }
}
