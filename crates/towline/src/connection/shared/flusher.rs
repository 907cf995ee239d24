//! The task of the flusher, see `writer/mod.rs`.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::connection::shared::{Core, LINES, Shared};
use crate::connection::sync::{ThreadId, this_thread, yield_now};
use crate::connection::writer::Wrote;

/// How often the flusher yields to a task on another thread that is still queueing.
const HOLD_BACK: usize = 8;

/// Whether the flusher has more to do after it has yielded.
#[derive(PartialEq, Eq)]
enum Flow {
    GoesOn,
    Ends,
}

impl Shared {
    pub(super) fn spawn_flusher(self: &Arc<Self>) {
        let flusher = self.clone().flush(this_thread());
        self.timekeeper.runtime().spawn(flusher);
    }

    /// If the flusher runs on a different thread than the task that queued a message, that task has
    /// possibly not yielded yet. The flusher waits for it while it keeps queueing.
    async fn flush(self: Arc<Self>, scheduled_on: ThreadId) {
        if this_thread() != scheduled_on {
            let mut queued = self.queued();
            for _ in 0..HOLD_BACK {
                yield_now().await;
                if std::mem::replace(&mut queued, self.queued()) == queued {
                    break;
                }
            }
        }
        // Yielding, unlike waking itself, lets the runtime poll sockets and timers.
        while poll_fn(|cx| self.update(|core| core.poll_flusher(cx))).await == Flow::GoesOn {
            yield_now().await;
        }
    }

    /// The number of bytes in the queue.
    fn queued(&self) -> usize {
        self.lock().session.outbound().queued_len()
    }
}

impl Core {
    /// Writes, and lets waiters have the room. Waiters that were woken before this poll and did not
    /// use their turn are passed over, so that the next one is woken.
    fn poll_flusher(&mut self, cx: &mut Context<'_>) -> Poll<Flow> {
        let wrote = self.writer.run(&mut self.session, cx);
        let mut is_serving = false;
        for line in LINES {
            if !self.is_full(line) {
                is_serving |= self.waiting.is_waiting(line);
                self.waiting.pass(line);
            }
        }
        if is_serving {
            return Poll::Ready(Flow::GoesOn);
        }
        if ready!(wrote) == Wrote::Enough {
            return Poll::Ready(Flow::GoesOn);
        }
        self.writer.rest();
        Poll::Ready(Flow::Ends)
    }
}
