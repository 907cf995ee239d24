//! Closing and aborting.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Instant;
use towline_proto::{CloseCause, CloseCode, CloseFrame, Closed, Initiator, Message, Refused};

use crate::connection::shared::{Core, Shared};
use crate::connection::sync::Ordering;
use crate::connection::waiting::{Place, Until};
use crate::error::{Error, Result};

impl Shared {
    /// Begins to close, unless the connection is closing already.
    pub(crate) fn close(self: &Arc<Self>, frame: CloseFrame) -> std::result::Result<(), Refused> {
        self.update(|core| core.close(frame))
    }

    /// Ends the connection at once, after writing what the transport takes without waiting.
    pub(crate) fn abort(self: &Arc<Self>, frame: CloseFrame) {
        self.update(|core| {
            core.session.abort(frame);
            core.writer.write_last(&mut core.session);
        });
    }

    /// Notes that the receiver was dropped.
    pub(crate) fn lose_receiver(&self) {
        let mut core = self.lock();
        core.receiver.is_gone = true;
        core.receiver.has_panicked = std::thread::panicking();
    }

    /// Closes the connection if the program has dropped all handles to it: with 1001, or with 1011
    /// if a panic dropped the receiver or the last sender.
    pub(crate) fn close_if_abandoned(self: &Arc<Self>) {
        let mut wake = Vec::new();
        self.update(|core| {
            if core.receiver.is_gone && self.senders.load(Ordering::Acquire) == 0 {
                let code = match core.receiver.has_panicked || std::thread::panicking() {
                    true => CloseCode::INTERNAL_ERROR,
                    false => CloseCode::GOING_AWAY,
                };
                let frame = CloseFrame::new(code, "").unwrap_or(CloseFrame::EMPTY);
                core.is_abandoned |= core.close(frame).is_ok();
                // No handle waits any more, but a reconnecting client does.
                core.waiting.wake_all(Until::End, &mut wake);
            }
        });
        for waker in wake {
            waker.wake();
        }
    }

    /// Closes the connection if a dropped sender has left a message made of frames unfinished:
    /// nothing can be sent after that.
    pub(crate) fn close_if_unfinished(self: &Arc<Self>, sender: NonZeroU64) {
        self.update(|core| {
            if core.unfinished_by == Some(sender) {
                let reason = "a message made of frames was left unfinished";
                let frame = CloseFrame::new(CloseCode::INTERNAL_ERROR, reason);
                let _ = core.close(frame.unwrap_or(CloseFrame::EMPTY));
            }
        });
    }

    /// Waits until the outcome of the connection is known.
    pub(crate) fn poll_outcome(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        place: &mut Place,
    ) -> Poll<()> {
        self.poll_end(cx, place, |core| core.session.outcome().map(|_| ()))
    }

    /// Waits until the connection has ended.
    pub(crate) fn poll_closed(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        place: &mut Place,
    ) -> Poll<Closed> {
        self.poll_end(cx, place, |core| core.session.closed().cloned())
    }

    /// Waits until nothing is written any more.
    pub(crate) fn poll_written(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        place: &mut Place,
    ) -> Poll<()> {
        self.poll_end(cx, place, |core| core.writer.is_over().then_some(()))
    }

    /// Takes the messages that were queued and not written.
    pub(crate) fn take_unsent(&self) -> Vec<Message> {
        self.lock().session.outbound().take_unsent()
    }

    pub(crate) fn poll_end<T>(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        place: &mut Place,
        end: impl FnOnce(&Core) -> Option<T>,
    ) -> Poll<T> {
        self.update(|core| match end(core) {
            Some(end) => {
                core.waiting.leave(place);
                Poll::Ready(end)
            }
            None => {
                core.waiting.wait(Until::End, place, cx.waker());
                Poll::Pending
            }
        })
    }

    /// The result of receiving after the end. A close code can report a failure of the peer; a
    /// close that this program began is no error.
    pub(crate) fn end_of_receiving(&self) -> Result<()> {
        let core = self.lock();
        let Some(closed) = core.session.outcome() else { return Ok(()) };
        let is_expected = match closed.received().map(CloseFrame::code) {
            _ if closed.cause() == CloseCause::Aborted => true,
            Some(CloseCode::NORMAL | CloseCode::GOING_AWAY | CloseCode::NO_STATUS) => true,
            Some(_) => closed.initiator() == Initiator::Local,
            None => false,
        };
        if is_expected {
            return Ok(());
        }
        Err(Error::from_closed(closed).with_failure(core.failure()))
    }
}

impl Core {
    fn close(&mut self, frame: CloseFrame) -> std::result::Result<(), Refused> {
        self.session.close(Instant::now().into_std(), frame)?;
        self.writer.write_now(&mut self.session);
        Ok(())
    }
}
