//! A future that continues in the background when dropped, for responses.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind, Result};

/// A future that is spawned when dropped before it is ready.
///
/// Written by hand to keep it small, since the program's task stores it.
pub(crate) enum SeeThrough<F: Future> {
    AtOnce { runtime: Handle, answer: Pin<Box<F>> },
    InBackground(JoinHandle<F::Output>),
    Done,
}

impl<F: Future> SeeThrough<F> {
    pub(crate) fn new(runtime: Handle, answer: F) -> Self {
        Self::AtOnce { runtime, answer: Box::pin(answer) }
    }
}

impl<T, F> Future for SeeThrough<F>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        if let Self::AtOnce { runtime, answer } = &mut *self {
            let entered = runtime.enter();
            let first = answer.as_mut().poll(cx);
            drop(entered);
            match std::mem::replace(&mut *self, Self::Done) {
                Self::AtOnce { runtime, answer } if first.is_pending() => {
                    *self = Self::InBackground(runtime.spawn(answer));
                }
                _ => return first,
            }
        }
        let Self::InBackground(task) = &mut *self else { panic!("polled after completion") };
        let result = ready!(Pin::new(task).poll(cx));
        *self = Self::Done;
        Poll::Ready(result.unwrap_or_else(|error| {
            Err(Error::new(ErrorKind::RequestGone, format!("the response was abandoned: {error}")))
        }))
    }
}
