//! Closing, aborting, and what is due at deadlines.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use tokio::time::Instant;
use towline_proto::{CloseCause, CloseCode, CloseFrame, Closed};

use crate::connection::shared::{Shared, State};
use crate::connection::timekeeper::Timed;
use crate::connection::waiting::{Place, Until};
use crate::error::{Error, Result};

impl Shared {
    /// Begins to close, if that has not begun.
    pub(crate) fn close(self: &Arc<Self>, frame: CloseFrame) {
        self.update(|shared, state| shared.begin_to_close(state, frame));
    }

    fn begin_to_close(self: &Arc<Self>, state: &mut State, frame: CloseFrame) {
        state.session.close(Instant::now().into_std(), frame);
        self.flush(state);
    }

    /// Ends the connection at once. What can be written without waiting is.
    pub(crate) fn abort(self: &Arc<Self>, frame: CloseFrame) {
        self.update(|shared, state| {
            state.session.abort(frame);
            let _ = shared.write_now(state);
        });
    }

    /// Closes a connection that the program holds no handle of any more.
    pub(crate) fn close_if_abandoned(self: &Arc<Self>) {
        self.update(|shared, state| {
            if state.receiver_is_gone && shared.senders.load(Ordering::Acquire) == 0 {
                let frame = CloseFrame::new(CloseCode::GOING_AWAY, "").unwrap_or(CloseFrame::EMPTY);
                shared.begin_to_close(state, frame);
            }
        });
    }

    /// Closes where a sender is gone that has left a message made of frames unfinished: nothing
    /// could be sent after it, by anyone.
    pub(crate) fn close_if_unfinished(self: &Arc<Self>, sender: NonZeroU64) {
        self.update(|shared, state| {
            if state.unfinished_by == Some(sender) {
                let reason = "a message made of frames was left unfinished";
                let frame = CloseFrame::new(CloseCode::INTERNAL_ERROR, reason);
                shared.begin_to_close(state, frame.unwrap_or(CloseFrame::EMPTY));
            }
        });
    }

    /// Waits until it is certain how the connection ends.
    pub(crate) fn poll_outcome(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        place: &mut Place,
    ) -> Poll<()> {
        self.poll_when(
            cx,
            (place, Until::End),
            |_, state| state.session.outcome().is_some(),
            |_, _| (),
        )
    }

    /// What the end is to who receives.
    pub(crate) fn end_of_receiving(&self) -> Result<()> {
        match self.lock().session.outcome() {
            // The peer's close frame is the end of the stream, whatever became of ours; and what
            // this end's program aborted is no surprise to it.
            Some(closed) if closed.received().is_some() => Ok(()),
            Some(closed) if closed.cause() == CloseCause::Aborted => Ok(()),
            Some(closed) => Err(Error::from_closed(closed)),
            None => Ok(()),
        }
    }

    /// Waits for the end.
    pub(crate) fn poll_closed(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        place: &mut Place,
    ) -> Poll<Closed> {
        let mut closed = None;
        self.poll_when(
            cx,
            (place, Until::End),
            |_, state| {
                closed = state.session.closed().cloned();
                closed.is_some()
            },
            |_, _| (),
        )
        .map(|()| closed.expect("it was there"))
    }
}

impl Timed for Shared {
    fn handle_deadline(self: Arc<Self>, now: Instant) {
        let mut wake = None;
        self.update(|shared, state| {
            state.deadline = None;
            let session = &mut state.session;
            session.handle_received(shared.received_at().into_std());
            // A peer that takes what is sent is alive too, though it may be too busy to answer.
            let is_taking = std::mem::take(&mut state.peer_took_more);
            if session.is_peer_overdue(now.into_std()) {
                let has_unread = is_taking
                    || shared.has_input.load(Ordering::Relaxed)
                    || state.writer.as_ref().is_some_and(|writer| writer.has_unread(&mut wake));
                if has_unread {
                    session.handle_received(now.into_std());
                }
            }
            session.handle_timeout(now.into_std());
            shared.flush(state);
            shared.reschedule(state);
        });
        if let Some(waker) = wake {
            waker.wake();
        }
    }
}
