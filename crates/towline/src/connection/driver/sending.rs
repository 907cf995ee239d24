//! Queueing what is sent, and when to write it.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use tokio::time::Instant;
use towline_proto::{Frame, Message, MessageRef, Opcode, Refused, SendError, Session};

use crate::connection::buffers;
use crate::connection::shared::{Shared, State, Wait};
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

    /// Queues a message once there is room, and has it written.
    #[inline]
    pub(crate) async fn send(self: &Arc<Self>, message: Message) -> Result<(), SendError<Message>> {
        // There practically always is.
        let message = match self.try_send(message) {
            Ok(()) => return Ok(()),
            Err((Some(why), message)) => return Err(SendError::new(why, message)),
            Err((None, message)) => message,
        };
        let (mut wait, mut message) = (Wait::new(self), Some(message));
        poll_fn(|cx| {
            self.poll_queue(cx, &mut wait.place, |session| match message.take() {
                Some(message) => session.send(message),
                None => Ok(()),
            })
        })
        .await
    }

    /// Queues a copy of a message once there is room, and has it written.
    #[inline]
    pub(crate) async fn send_ref(self: &Arc<Self>, message: MessageRef<'_>) -> Result<(), Refused> {
        let queued = self.update(|shared, state| {
            shared
                .has_room(state, Session::is_full)
                .then(|| shared.queue(state, |session| session.send_ref(message)))
        });
        if let Some(result) = queued {
            return result;
        }
        let mut wait = Wait::new(self);
        poll_fn(|cx| self.poll_queue(cx, &mut wait.place, |session| session.send_ref(message)))
            .await
    }

    /// Queues a message whether there is room or not.
    pub(crate) fn send_beyond_room(
        self: &Arc<Self>,
        message: Message,
    ) -> Result<(), SendError<Message>> {
        self.update(|shared, state| shared.queue(state, |session| session.send(message)))
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

    /// Queues a message if there is room; else gives it back, without a reason.
    #[inline]
    pub(crate) fn try_send(
        self: &Arc<Self>,
        message: Message,
    ) -> Result<(), (Option<Refused>, Message)> {
        self.update(|shared, state| {
            if !shared.has_room(state, Session::is_full) {
                return Err((None, message));
            }
            shared.queue(state, |session| session.send(message)).map_err(|error| {
                let (why, message) = error.split();
                (Some(why), message)
            })
        })
    }

    /// Queues a frame made by hand once there is room, and has it written. `sender` is who makes
    /// it.
    pub(crate) fn poll_send_frame(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        place: &mut Place,
        (frame, sender): (&mut Option<Frame>, u64),
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
