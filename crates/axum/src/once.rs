//! Polls a future that is ready at once.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::task::coop::unconstrained;

/// Returns the output of a future, if it is ready. If it is not, poll it again in a task.
pub(crate) fn once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    // A task that has used up its budget would see nothing ready.
    let mut future = unconstrained(future);
    match Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
