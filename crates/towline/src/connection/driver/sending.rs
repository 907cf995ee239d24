//! Queueing what is sent, and when to write it.

use std::future::poll_fn;
use std::num::NonZeroU64;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::time::Instant;
use towline_proto::{
    Broadcast, Compress, Frame, Message, MessageRef, Opcode, Outbound, Refused, SendError, Session,
};

use crate::connection::buffers;
use crate::connection::shared::{Flusher, Shared, State, Wait};
use crate::connection::waiting::{Place, Until};

/// So much is queued at the most before it is written, whatever else there is to do.
const WRITE_AT: usize = 64 << 10;

impl Shared {
    /// Does `then` once `is_ready` says so; until then, waits at `place`.
    #[inline]
    pub(crate) fn poll_when<R>(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        (place, until): (&mut Place, Until),
        is_ready: impl FnOnce(&Arc<Self>, &mut State) -> bool,
        then: impl FnOnce(&Arc<Self>, &mut State) -> R,
    ) -> Poll<R> {
        self.update(|shared, state| {
            if !is_ready(shared, state) {
                state.waiting.wait(until, place, cx.waker());
                return Poll::Pending;
            }
            if place.is_taken() {
                state.waiting.leave(place);
            }
            Poll::Ready(then(shared, state))
        })
    }

    /// Queues what `what` queues once there is room, and has it written.
    #[inline]
    pub(crate) fn poll_queue<R>(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        place: &mut Place,
        what: impl FnOnce(&mut Session) -> R,
    ) -> Poll<R> {
        self.poll_when(
            cx,
            (place, Until::Room),
            |shared, state| shared.has_room(state, Session::is_full),
            |shared, state| shared.queue(state, what),
        )
    }

    /// Queues the message in `slot` once there is room, and has it written. A message that is
    /// refused stays there.
    #[inline]
    pub(crate) fn poll_send(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        place: &mut Place,
        slot: &mut Option<Message>,
    ) -> Poll<Result<(), Refused>> {
        if self.join_queue(place, slot.as_ref().map(MessageRef::from)) {
            *slot = None;
            return Poll::Ready(Ok(()));
        }
        self.poll_queue(cx, place, |session| send_from(session, slot))
    }

    /// Queues the message in `slot`, compressed or not, once there is room, and has it written. A
    /// message that is refused stays there.
    pub(crate) fn poll_send_with(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        place: &mut Place,
        (slot, compress): (&mut Option<Message>, Compress),
    ) -> Poll<Result<(), Refused>> {
        self.poll_queue(cx, place, |session| take_and_send(session, slot, compress))
    }

    /// Queues a copy of the message in `slot` once there is room, and has it written.
    #[inline]
    pub(crate) fn poll_send_ref(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        place: &mut Place,
        slot: &mut Option<MessageRef<'_>>,
    ) -> Poll<Result<(), Refused>> {
        if self.join_queue(place, *slot) {
            *slot = None;
            return Poll::Ready(Ok(()));
        }
        self.poll_queue(cx, place, |session| match slot.take() {
            Some(message) => session.send_ref(message),
            None => Ok(()),
        })
    }

    /// Queues a small message behind others which somebody is going to write already: the most
    /// frequent case, at the least expense. Who has waited for room goes the long way, on which the
    /// place is given up, and what is left of the room handed on.
    #[inline]
    fn join_queue(&self, place: &Place, message: Option<MessageRef<'_>>) -> bool {
        let Some(message) = message else { return false };
        if place.is_taken() {
            return false;
        }
        let mut state = self.lock();
        let is_to_be_written = matches!(state.flusher, Flusher::Scheduled);
        is_to_be_written && state.session.join(message, WRITE_AT)
    }

    /// Queues the message in `slot` whether there is room or not.
    pub(crate) fn send_beyond_room(
        self: &Arc<Self>,
        slot: &mut Option<Message>,
    ) -> Result<(), Refused> {
        self.update(|shared, state| shared.queue(state, |session| send_from(session, slot)))
    }

    /// Waits until there is room.
    pub(crate) fn poll_room(self: &Arc<Self>, cx: &mut Context<'_>, place: &mut Place) -> Poll<()> {
        self.poll_when(
            cx,
            (place, Until::Room),
            |shared, state| shared.has_room(state, Session::is_full),
            |_, _| (),
        )
    }

    /// Queues the message in `slot` if there is room; `None` if there is none.
    #[inline]
    pub(crate) fn try_send(
        self: &Arc<Self>,
        slot: &mut Option<Message>,
    ) -> Option<Result<(), Refused>> {
        self.update(|shared, state| {
            shared
                .has_room(state, Session::is_full)
                .then(|| shared.queue(state, |session| send_from(session, slot)))
        })
    }

    /// The same, compressed or not.
    pub(crate) fn try_send_with(
        self: &Arc<Self>,
        slot: &mut Option<Message>,
        compress: Compress,
    ) -> Option<Result<(), Refused>> {
        self.update(|shared, state| {
            shared
                .has_room(state, Session::is_full)
                .then(|| shared.queue(state, |session| take_and_send(session, slot, compress)))
        })
    }

    /// Queues a message for many connections if there is room; else returns `None`.
    pub(crate) fn try_broadcast(
        self: &Arc<Self>,
        broadcast: &mut Broadcast,
    ) -> Option<Result<(), Refused>> {
        self.update(|shared, state| {
            shared
                .has_room(state, Session::is_full)
                .then(|| shared.queue(state, |session| session.send_broadcast(broadcast)))
        })
    }

    /// Queues a message for many connections once there is room, and has it written.
    pub(crate) async fn broadcast(
        self: &Arc<Self>,
        broadcast: &Mutex<Broadcast>,
    ) -> Result<(), Refused> {
        let mut wait = Wait::new(self);
        let send = |session: &mut Session| {
            session.send_broadcast(&mut broadcast.lock().unwrap_or_else(PoisonError::into_inner))
        };
        poll_fn(|cx| self.poll_queue(cx, &mut wait.place, send)).await
    }

    /// Queues a frame made by hand once there is room, and has it written. `sender` is who makes
    /// it.
    pub(crate) fn poll_send_frame(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        place: &mut Place,
        (frame, sender): (&mut Option<Frame>, NonZeroU64),
    ) -> Poll<Result<(), SendError<Frame>>> {
        let Some(next) = frame.as_ref() else { return Poll::Ready(Ok(())) };
        let until = match next.opcode() {
            Opcode::Continuation => Until::RoomToContinue,
            _ => Until::Room,
        };
        let next = next.clone();
        self.poll_when(
            cx,
            (place, until),
            |shared, state| shared.has_room(state, |session| session.is_full_for(&next)),
            |shared, state| {
                let now = Instant::now().into_std();
                let Some(frame) = frame.take() else { return Ok(()) };
                let is_control = frame.opcode().is_control();
                let sent = shared.queue(state, |session| session.send_frame(now, frame));
                // Neither a ping in between nor a frame that was refused is a part of the message.
                if sent.is_ok() && !is_control {
                    let is_unfinished = state.session.outbound().is_message_unfinished();
                    state.unfinished_by = is_unfinished.then_some(sender);
                }
                sent
            },
        )
    }

    /// Waits until everything queued has been written.
    pub(crate) fn poll_flush(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        place: &mut Place,
    ) -> Poll<()> {
        self.poll_when(
            cx,
            (place, Until::Flushed),
            |shared, state| {
                shared.flush(state);
                state.is_flushed()
            },
            |_, _| (),
        )
    }

    /// Whether there is room to send, possibly made by writing. A connection that is closing has
    /// it: sending fails at once.
    #[inline]
    fn has_room(self: &Arc<Self>, state: &mut State, is_full: impl Fn(&Session) -> bool) -> bool {
        let has_room = |state: &State| !state.session.is_open() || !is_full(&state.session);
        if has_room(state) {
            return true;
        }
        self.flush(state);
        has_room(state)
    }

    #[inline]
    fn queue<R>(self: &Arc<Self>, state: &mut State, what: impl FnOnce(&mut Session) -> R) -> R {
        let is_first = state.session.outbound().is_empty();
        if !state.session.outbound().has_buffer() {
            state.session.outbound().lend_buffer(buffers::take_send());
        }
        let result = what(&mut state.session);
        let may_go_on = state.wrote_this_turn || self.has_input.load(Ordering::Relaxed);
        if (is_first && !may_go_on) || state.session.outbound().queued_len() >= WRITE_AT {
            state.wrote_this_turn = true;
            self.flush(state);
        } else {
            self.schedule_flusher(state);
        }
        result
    }
}

/// A small message is copied from where it is, which is less than to move it about. A long one is
/// taken, and put back if it is refused.
#[inline]
fn send_from(session: &mut Session, slot: &mut Option<Message>) -> Result<(), Refused> {
    match slot.as_ref().map(MessageRef::from) {
        Some(message) if message.as_bytes().len() <= Outbound::COPY_MAX => {
            session.send_ref(message).map(|()| *slot = None)
        }
        Some(_) => take_and_send(session, slot, Compress::Auto),
        None => Ok(()),
    }
}

fn take_and_send(
    session: &mut Session,
    slot: &mut Option<Message>,
    compress: Compress,
) -> Result<(), Refused> {
    let Some(message) = slot.take() else { return Ok(()) };
    session.send_with(message, compress).map_err(|error| {
        let (why, message) = error.split();
        *slot = Some(message);
        why
    })
}
