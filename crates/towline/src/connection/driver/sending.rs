//! Queueing messages and frames, in one way for all senders.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::time::Instant;
use towline_proto::{CloseCode, CloseFrame, Frame, Mark, Opcode, Outgoing, Refused};

use crate::connection::shared::{Core, Shared};
use crate::connection::timekeeper::Moment;
use crate::connection::waiting::{Place, Until};
use crate::connection::when_full::WhenFull;
use crate::connection::work::Work;
use crate::connection::writer::WRITE_AT;

/// An item that can be queued.
pub(crate) trait Item {
    /// The queue in which it waits for its turn; `None` if it does not wait.
    fn line(&self, core: &Core) -> Option<Until>;

    /// Queues the item. After an error, it is unchanged.
    fn queue(&mut self, core: &mut Core) -> Result<(), Refused>;

    /// The length of the payload.
    fn len(&self) -> usize;

    /// Queues the item behind others that the flusher is going to write, if that is all there is to
    /// do: the fast path.
    #[inline]
    fn join(&mut self, _: &mut Core) -> bool {
        false
    }
}

impl Item for Outgoing<'_> {
    fn line(&self, _: &Core) -> Option<Until> {
        Some(Until::Room)
    }

    #[inline(always)]
    fn queue(&mut self, core: &mut Core) -> Result<(), Refused> {
        core.session.send_from(self)
    }

    #[inline]
    fn len(&self) -> usize {
        Outgoing::len(self)
    }

    #[inline(always)]
    fn join(&mut self, core: &mut Core) -> bool {
        if core.writer.can_join()
            && core.waiting.is_empty()
            && let Some(len) = core.session.join(self, WRITE_AT)
        {
            core.writer.work.add_message(len);
            return true;
        }
        false
    }
}

/// A frame that the program built, and the number of its sender.
pub(crate) struct ByHand {
    pub(crate) frame: Frame,
    pub(crate) maker: NonZeroU64,
}

impl ByHand {
    /// Whether another sender's message is unfinished.
    fn is_others_turn(&self, core: &Core) -> bool {
        core.unfinished_by.is_some_and(|maker| maker != self.maker)
    }
}

impl Item for ByHand {
    fn line(&self, core: &Core) -> Option<Until> {
        match self.frame.opcode() {
            Opcode::Close => None,
            Opcode::Continuation | Opcode::Ping | Opcode::Pong => Some(Until::RoomAhead),
            Opcode::Text | Opcode::Binary if self.is_others_turn(core) => Some(Until::Finished),
            Opcode::Text | Opcode::Binary => Some(Until::Room),
        }
    }

    fn queue(&mut self, core: &mut Core) -> Result<(), Refused> {
        let opcode = self.frame.opcode();
        if opcode == Opcode::Continuation && self.is_others_turn(core) {
            return Err(Refused::OthersMessage);
        }
        let sent = core.session.send_frame(Instant::now().into_std(), self.frame.clone());
        sent.map_err(|error| error.why())?;
        // A control frame is not a part of the message.
        if !opcode.is_control() {
            let is_unfinished = core.session.outbound().is_message_unfinished();
            core.unfinished_by = is_unfinished.then_some(self.maker);
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.frame.len()
    }
}

/// A ping or an unsolicited pong.
pub(crate) struct Control {
    pub(crate) is_ping: bool,
    pub(crate) payload: Bytes,
}

impl Item for Control {
    fn line(&self, _: &Core) -> Option<Until> {
        Some(Until::RoomAhead)
    }

    fn queue(&mut self, core: &mut Core) -> Result<(), Refused> {
        let (session, payload) = (&mut core.session, self.payload.clone());
        let sent = if self.is_ping { session.ping(payload) } else { session.pong(payload) };
        sent.map_err(|error| error.why())
    }

    fn len(&self) -> usize {
        self.payload.len()
    }
}

/// The ping of a round trip.
#[derive(Default)]
pub(crate) struct Asking {
    /// The number of the round trip, once the ping is queued.
    pub(crate) number: Option<u32>,
}

impl Item for Asking {
    fn line(&self, _: &Core) -> Option<Until> {
        Some(Until::RoomAhead)
    }

    fn queue(&mut self, core: &mut Core) -> Result<(), Refused> {
        let number = core.session.begin_round_trip(Instant::now().into_std())?;
        self.number = Some(number);
        Ok(())
    }

    fn len(&self) -> usize {
        8
    }
}

impl Shared {
    /// Queues the item when it has its turn and there is room, and makes sure that it is written.
    #[inline(always)]
    pub(crate) fn poll_send(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        place: &mut Place,
        item: &mut impl Item,
    ) -> Poll<Result<(), Refused>> {
        // A waiter takes the slow path, which leaves its place in the queue.
        if !place.is_taken() && item.join(&mut self.lock()) {
            return Poll::Ready(Ok(()));
        }
        self.poll_queue(cx, place, item)
    }

    #[inline(never)]
    fn poll_queue(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        place: &mut Place,
        item: &mut impl Item,
    ) -> Poll<Result<(), Refused>> {
        self.update(|core| {
            ready!(core.poll_pay(cx));
            if let Some(line) = item.line(core)
                && core.must_wait(line, place)
            {
                core.waiting.wait(line, place, cx.waker());
                return Poll::Pending;
            }
            if place.is_taken() {
                core.leave(place);
            }
            Poll::Ready(self.queue(core, item))
        })
    }

    /// Queues a message if there is room and no other sender waits for it. Otherwise returns
    /// `None`.
    #[inline]
    pub(crate) fn try_send(
        self: &Arc<Self>,
        outgoing: &mut Outgoing<'_>,
    ) -> Option<Result<(), Refused>> {
        self.update(|core| {
            let must_wait = core.must_wait(Until::Room, &Place::default());
            (!must_wait).then(|| {
                let sent = self.queue(core, outgoing);
                if core.writer.work.is_due() && !core.writer.work.pay_now() {
                    self.heard.note_used_up();
                }
                sent
            })
        })
    }

    /// Queues a message even if there is no room.
    pub(crate) fn send_beyond_room(
        self: &Arc<Self>,
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), Refused> {
        self.update(|core| self.queue(core, outgoing))
    }

    /// Queues a broadcast if there is room; otherwise applies `when_full`. Adds the work to `work`.
    pub(crate) fn send_broadcast(
        self: &Arc<Self>,
        outgoing: &mut Outgoing<'_>,
        when_full: WhenFull,
        work: &mut Work,
    ) -> Delivered {
        self.update(|core| {
            if !core.session.is_open() {
                return Delivered::Closing;
            }
            if core.is_full_after_writing(Until::Room) {
                core.have_no_room_for(outgoing, when_full);
                return Delivered::Full;
            }
            let before = std::mem::take(&mut core.writer.work);
            // Broadcasts that were kept are older. They are sent first, unless this one replaces them.
            if let WhenFull::KeepNewest(most) = when_full {
                core.drop_older_than_newest(most.get() - 1);
            }
            core.send_newest();
            let delivered = if core.keeps_newest() {
                core.have_no_room_for(outgoing, when_full);
                Delivered::Full
            } else {
                let sent = self.queue(core, outgoing);
                if sent.is_ok() { Delivered::Sent } else { Delivered::Closing }
            };
            work.add(std::mem::replace(&mut core.writer.work, before));
            work.add_call();
            delivered
        })
    }

    /// Waits until there is room.
    pub(crate) fn poll_room(self: &Arc<Self>, cx: &mut Context<'_>, place: &mut Place) -> Poll<()> {
        self.update(|core| {
            ready!(core.poll_pay(cx));
            if core.must_wait(Until::Room, place) {
                core.waiting.wait(Until::Room, place, cx.waker());
                return Poll::Pending;
            }
            core.leave(place);
            Poll::Ready(())
        })
    }

    /// Returns a mark behind all bytes that are queued now.
    pub(crate) fn mark(&self) -> Mark {
        self.lock().session.outbound().mark()
    }

    /// Returns a mark behind all bytes that are queued now and do not wait for a message made of
    /// frames.
    pub(crate) fn mark_before_frame(&self) -> Mark {
        self.lock().session.outbound().mark_before_frame()
    }

    /// Waits until everything before the mark has been flushed. Returns `false` if some of it was
    /// dropped.
    pub(crate) fn poll_flush(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        place: &mut Place,
        mark: Mark,
    ) -> Poll<bool> {
        self.update(|core| {
            ready!(core.poll_pay(cx));
            let Core { session, writer, waiting, .. } = core;
            if !session.outbound().has_reached(mark) {
                writer.want_flush();
                writer.write_now(session);
                writer.work.add_call();
            }
            let outbound = session.outbound();
            if !outbound.has_reached(mark) && !writer.is_over() {
                waiting.wait(Until::Flushed(mark), place, cx.waker());
                return Poll::Pending;
            }
            waiting.leave(place);
            Poll::Ready(outbound.is_written(mark))
        })
    }

    #[inline]
    fn queue(&self, core: &mut Core, item: &mut impl Item) -> Result<(), Refused> {
        let receiving = self.heard.position();
        let is_first = core.session.outbound().is_empty();
        core.writer.prepare(&mut core.session);
        let len = item.len();
        let result = item.queue(core);
        core.writer.work.add_message(len);
        core.writer.queued(&mut core.session, is_first, receiving, &mut Moment::default());
        result
    }
}

/// The result of a broadcast at one connection.
pub(crate) enum Delivered {
    Sent,
    Full,
    Closing,
}

impl Core {
    fn have_no_room_for(&mut self, outgoing: &Outgoing<'_>, when_full: WhenFull) {
        match when_full {
            WhenFull::Skip => {}
            WhenFull::KeepNewest(most) => self.keep_newest(outgoing.to_owned(), most),
            WhenFull::Close => self.end_as_too_slow(),
        }
    }

    /// Ends a connection that cannot keep up.
    pub(crate) fn end_as_too_slow(&mut self) {
        let frame = CloseFrame::new(CloseCode::TRY_AGAIN_LATER, "too slow");
        self.session.abort(frame.unwrap_or(CloseFrame::EMPTY));
        self.writer.write_last(&mut self.session);
    }

    /// Charges the work for senders to the task's budget, so that a loop that sends lets other
    /// tasks run. If the budget is used up, tokio stores the task's waker.
    #[inline]
    fn poll_pay(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let work = &mut self.writer.work;
        if work.is_due() { work.poll_pay(cx) } else { Poll::Ready(()) }
    }

    /// Whether a sender has to wait for room, or for its turn. On a connection that is closing it
    /// does not wait: sending fails at once.
    #[inline]
    fn must_wait(&mut self, line: Until, place: &Place) -> bool {
        if !self.session.is_open() {
            return false;
        }
        self.is_full_after_writing(line) || !self.waiting.may_go(line, place)
    }

    /// Whether there is still no room after an attempt to write.
    #[inline]
    fn is_full_after_writing(&mut self, line: Until) -> bool {
        if line == Until::Finished {
            return self.session.is_open();
        }
        if self.is_full(line) {
            self.writer.write_now(&mut self.session);
        }
        self.is_full(line)
    }
}
