//! Closing, aborting, and what is due at deadlines.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;
use towline_proto::{CloseCode, CloseFrame, Closed};

use crate::connection::shared::{Shared, register};
use crate::connection::timekeeper::Timed;
use crate::transport::WriteHalf;

impl Shared {
    /// Begins to close, if that has not begun.
    pub(crate) fn close(self: &Arc<Self>, frame: CloseFrame) {
        self.update(|shared, state| {
            state.session.close(Instant::now().into_std(), frame);
            shared.flush(state);
        });
    }

    /// Ends the connection at once. What can be written without waiting is.
    pub(crate) fn abort(self: &Arc<Self>, frame: CloseFrame) {
        self.update(|shared, state| {
            state.session.abort(frame);
            let _ = shared.poll_write(state, &mut Context::from_waker(Waker::noop()));
        });
    }

    /// Closes a connection that the program holds no handle of any more.
    pub(crate) fn close_if_abandoned(self: &Arc<Self>) {
        self.update(|shared, state| {
            if state.receiver_is_gone && shared.senders.load(Ordering::Acquire) == 0 {
                if let Ok(going_away) = CloseFrame::new(CloseCode::GOING_AWAY, "") {
                    state.session.close(Instant::now().into_std(), going_away);
                }
                shared.flush(state);
            }
        });
    }

    /// Waits for the end.
    pub(crate) fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<Closed> {
        let mut state = self.lock();
        if let Some(closed) = state.session.closed() {
            return Poll::Ready(closed.clone());
        }
        register(&mut state.watchers, cx.waker());
        Poll::Pending
    }
}

impl Timed for Shared {
    fn handle_deadline(self: Arc<Self>, now: Instant) {
        self.update(|shared, state| {
            state.deadline = None;
            let session = &mut state.session;
            session.handle_received(shared.received_at().into_std());
            if session.is_peer_overdue(now.into_std()) {
                // A peer that takes what is sent is alive too, though it may be too busy to answer.
                let is_taking = std::mem::take(&mut state.peer_took_more);
                let has_unread = is_taking
                    || shared.has_input.load(Ordering::Relaxed)
                    || state.writer.as_ref().is_some_and(WriteHalf::has_unread);
                if has_unread {
                    session.handle_received(now.into_std());
                }
            }
            session.handle_timeout(now.into_std());
            shared.flush(state);
            shared.reschedule(state);
        });
    }
}
