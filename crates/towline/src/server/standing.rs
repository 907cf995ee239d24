//! Whether a server takes requests.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use tokio::sync::Notify;

/// Whether a server takes requests.
///
/// Even while it is mounted, odd while it is not; each change counts it up.
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

    /// Has requests taken. The term may have begun before.
    pub(crate) fn mount(&self) -> Term {
        let even = |now: usize| now.next_multiple_of(2);
        let mounted =
            self.now.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| Some(even(now)));
        Term(mounted.map_or_else(even, even))
    }

    /// Has no further requests taken. [`tell`](Self::tell) those who are at it.
    pub(crate) fn unmount(&self) {
        self.now.fetch_or(1, Ordering::SeqCst);
    }

    /// Wakes those whose term may have ended: with no lock held, since wakers are the program's.
    pub(crate) fn tell(&self) {
        self.changed.notify_waiters();
    }

    /// `future`, or `None` if it is not ready by the end of this term.
    ///
    /// Nothing is registered for a future that is ready at once.
    pub(crate) async fn during<F: Future>(&self, term: Term, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut changed = pin!(self.changed.notified());
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            // Registered before the look, so that no change is missed between the two.
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
