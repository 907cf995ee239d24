//! Whether a server takes requests.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use tokio::sync::Notify;

/// Whether a server takes requests.
///
/// Even while mounted, odd while unmounted; each change increments it.
pub(crate) struct Standing {
    now: AtomicUsize,
    changed: Notify,
}

/// The time from a mount to the next unmount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Term(usize);

impl Standing {
    pub(crate) fn mounted() -> Self {
        Self { now: AtomicUsize::new(0), changed: Notify::new() }
    }

    /// The present term, while the server is mounted.
    pub(crate) fn term(&self) -> Option<Term> {
        let now = self.now.load(Ordering::SeqCst);
        (now & 1 == 0).then_some(Term(now))
    }

    /// Starts taking requests. The term may have begun before.
    pub(crate) fn mount(&self) -> Term {
        let even = |now: usize| now.next_multiple_of(2);
        let mounted =
            self.now.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| Some(even(now)));
        Term(mounted.map_or_else(even, even))
    }

    /// Stops taking requests. [`tell`](Self::tell) the waiting tasks afterwards.
    pub(crate) fn unmount(&self) {
        self.now.fetch_or(1, Ordering::SeqCst);
    }

    /// Wakes tasks whose term may have ended. Call it without a lock, since wakers run code of the
    /// program.
    pub(crate) fn tell(&self) {
        self.changed.notify_waiters();
    }

    /// Returns the output of `future`, or `None` if the term ends first.
    ///
    /// A future that is ready at once registers nothing.
    pub(crate) async fn during<F: Future>(&self, term: Term, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut changed = pin!(self.changed.notified());
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            // Registered before the term is read, so that no change is missed in between.
            while changed.as_mut().poll(cx).is_ready() {
                changed.set(self.changed.notified());
            }
            if self.term() == Some(term) { Poll::Pending } else { Poll::Ready(None) }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_ends_with_the_unmount_and_never_comes_back() {
        let standing = Standing::mounted();
        let first = standing.term();
        assert!(first.is_some());
        assert_eq!(Some(standing.mount()), first);
        standing.unmount();
        assert_eq!(standing.term(), None);
        standing.unmount();
        let second = Some(standing.mount());
        assert!(second != first);
        assert_eq!(standing.term(), second);
    }
}
