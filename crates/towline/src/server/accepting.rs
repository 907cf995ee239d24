//! Requests being accepted. A shutdown waits for them as it does for connections.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use tokio::sync::Notify;

/// The responses being sent that will make connections.
#[derive(Clone, Default)]
pub(crate) struct Accepting(Arc<Inner>);

#[derive(Default)]
struct Inner {
    count: AtomicUsize,
    fewer: Notify,
    given_up: Notify,
}

/// A response being sent. Drop it once its connection is registered, or has failed.
pub(crate) struct OnItsWay(Arc<Inner>);

impl Accepting {
    /// Waits for the response to be sent, unless all are given up. A response that is sent at once
    /// is not counted.
    pub(crate) async fn wait<T>(
        &self,
        answer: impl Future<Output = io::Result<T>>,
    ) -> io::Result<(T, Option<OnItsWay>)> {
        let mut answer = pin!(answer);
        let mut given_up = pin!(None);
        let mut on_its_way = None;
        let given = std::future::poll_fn(|cx| {
            if let Poll::Ready(given) = answer.as_mut().poll(cx) {
                return Poll::Ready(given);
            }
            if on_its_way.is_none() {
                on_its_way = Some(self.begin());
                given_up.set(Some(self.0.given_up.notified()));
            }
            match given_up.as_mut().as_pin_mut().map(|given_up| given_up.poll(cx)) {
                Some(Poll::Ready(())) => Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::ConnectionAborted,
                    "the response was not sent by the deadline of the shutdown",
                ))),
                _ => Poll::Pending,
            }
        });
        let given = given.await?;
        Ok((given, on_its_way))
    }

    /// Counts a response as being sent.
    pub(crate) fn begin(&self) -> OnItsWay {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        OnItsWay(self.0.clone())
    }

    /// Gives up the responses being sent now.
    pub(crate) fn give_up(&self) {
        self.0.given_up.notify_waiters();
    }

    pub(crate) fn is_none(&self) -> bool {
        self.0.count.load(Ordering::SeqCst) == 0
    }

    /// Waits until no response is being sent.
    pub(crate) async fn wait_for_none(&self) {
        loop {
            let fewer = self.0.fewer.notified();
            if self.is_none() {
                return;
            }
            fewer.await;
        }
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::SeqCst);
        self.0.fewer.notify_waiters();
    }
}
