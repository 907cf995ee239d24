//! Reading from a peer that sends too fast.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use towline_proto::{Fault, Incoming, LimitExceeded};

use crate::connection::driver::reading::Reader;
use crate::connection::shared::Shared;
use crate::connection::throttle::TooFast;

impl Reader {
    /// Waits until the peer is within its rate again. Meanwhile the connection is like one whose
    /// program is busy.
    #[cold]
    pub(super) fn poll_throttle(&mut self, shared: &Arc<Shared>, cx: &mut Context<'_>) -> Poll<()> {
        let Some((rest, by)) = self.throttle.as_ref().and_then(|throttle| throttle.rest()) else {
            return Poll::Ready(());
        };
        self.look_after_answers(shared);
        if self.received.is_empty() {
            self.received.release();
        }
        // Pausing counts it.
        self.is_counted = !self.received.is_empty();
        self.note_position(shared);
        shared.poll_pause(cx, (rest, by), self.held())
    }

    /// Counts a message. Returns `false` if it is one too many: receiving is over then.
    #[cold]
    pub(super) fn admit_message(&mut self, shared: &Arc<Shared>) -> bool {
        let counted = self.throttle.as_mut().map_or(Ok(()), |throttle| throttle.take_message());
        self.admit(shared, counted)
    }

    /// Counts bytes. Returns `false` if they are too many: receiving is over then.
    #[inline]
    pub(super) fn admit_bytes(&mut self, shared: &Arc<Shared>, count: usize) -> bool {
        let Some(throttle) = &mut self.throttle else { return true };
        let counted = throttle.take_bytes(count);
        self.admit(shared, counted)
    }

    fn admit(&mut self, shared: &Arc<Shared>, counted: Result<(), LimitExceeded>) -> bool {
        let Err(limit) = counted else { return true };
        let fault = Incoming::Fault(Fault::from(limit));
        drop(shared.handle_incoming(fault, self.inbound.take_counts()));
        // What is still received is dropped, at the speed of the peer, until it learns of its end.
        self.throttle = None;
        self.is_over = true;
        false
    }
}

impl Shared {
    /// Lets the receiver wait for this long, unless the connection is closing: then what the peer
    /// still sends is bounded by the close timeout. `held` is the memory that it keeps meanwhile.
    fn poll_pause(
        self: &Arc<Self>,
        cx: &mut Context<'_>,
        (rest, by): (Duration, TooFast),
        held: u32,
    ) -> Poll<()> {
        let mut is_new = false;
        let paused = self.update(|core| {
            core.receiver.held = held;
            if !core.session.is_open() {
                return Poll::Ready(());
            }
            match &mut core.receiver.waker {
                Some(known) => known.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            is_new = !std::mem::replace(&mut core.receiver.is_paused, true);
            let now = Instant::now();
            self.call_at(core, now.checked_add(rest).unwrap_or(now));
            Poll::Pending
        });
        if is_new {
            self.slowed_down(by);
        }
        paused
    }
}
