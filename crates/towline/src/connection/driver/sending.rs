//! Queueing what is sent, and when to write it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use tokio::time::Instant;
use towline_proto::{Frame, Message, Opcode, Refused, SendError, Session};

use crate::connection::buffers;
use crate::connection::shared::{Shared, State, register};

/// So much is queued at the most before it is written, whatever else there is to do.
const WRITE_AT: usize = 64 << 10;

impl Shared {
    /// Queues a message once there is room, and has it written.
    #[inline]
    pub(crate) fn poll_send(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        message: &mut Option<Message>,
    ) -> Poll<Result<(), SendError<Message>>> {
        self.update(|shared, state| {
            if !shared.has_room(state, Session::is_full) {
                register(&mut state.senders, cx.waker());
                return Poll::Pending;
            }
            let Some(message) = message.take() else { return Poll::Ready(Ok(())) };
            Poll::Ready(shared.queue(state, |session| session.send(message)))
        })
    }

    /// Queues a message whether there is room or not.
    pub(crate) fn send_beyond_room(
        self: &Arc<Self>,
        message: Message,
    ) -> Result<(), SendError<Message>> {
        self.update(|shared, state| shared.queue(state, |session| session.send(message)))
    }

    /// Waits until there is room.
    pub(crate) fn poll_room(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.update(|shared, state| {
            if shared.has_room(state, Session::is_full) {
                return Poll::Ready(());
            }
            register(&mut state.senders, cx.waker());
            Poll::Pending
        })
    }

    /// Queues a message if there is room; else gives it back, without a reason.
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

    /// Queues a frame made by hand once there is room, and has it written.
    pub(crate) fn poll_send_frame(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        frame: &mut Option<Frame>,
    ) -> Poll<Result<(), SendError<Frame>>> {
        let Some(next) = frame.take() else { return Poll::Ready(Ok(())) };
        self.update(|shared, state| {
            if !shared.has_room(state, |session| session.is_full_for(&next)) {
                let waiting = match next.opcode() {
                    Opcode::Continuation => &mut state.continuing,
                    _ => &mut state.senders,
                };
                register(waiting, cx.waker());
                *frame = Some(next);
                return Poll::Pending;
            }
            let now = Instant::now().into_std();
            Poll::Ready(shared.queue(state, |session| session.send_frame(now, next)))
        })
    }

    /// Queues what `what` queues once there is room, and has it written.
    pub(crate) fn poll_queue<R>(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        what: impl FnOnce(&mut Session) -> R,
    ) -> Poll<R> {
        self.update(|shared, state| {
            if !shared.has_room(state, Session::is_full) {
                register(&mut state.senders, cx.waker());
                return Poll::Pending;
            }
            Poll::Ready(shared.queue(state, what))
        })
    }

    /// Waits until everything queued has been written.
    pub(crate) fn poll_flush(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.update(|shared, state| {
            shared.flush(state);
            if state.is_flushed() {
                return Poll::Ready(());
            }
            register(&mut state.flushing, cx.waker());
            Poll::Pending
        })
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
