//! Watches for the end of a connection without keeping it open.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

use tokio::time::Instant;
use towline_proto::{CloseFrame, Closed, Message};

use crate::connection::Connection;
use crate::connection::shared::{Core, Shared};
use crate::connection::waiting::Place;

/// Sees the end of a connection. It is none of the connection's handles: when they are dropped, the
/// connection closes.
pub(crate) struct Watch {
    shared: Arc<Shared>,
    place: Place,
    clock: Arc<Clock>,
}

/// Notes when the connection wakes those that wait for its end, even if nobody asks for it then.
#[derive(Default)]
struct Clock(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    end: Option<Instant>,
    /// The task that waits for the end.
    waker: Option<Waker>,
}

impl Watch {
    pub(crate) fn new(connection: &Connection) -> Self {
        let shared = connection.shared().clone();
        let mut watch = Self { shared, place: Place::default(), clock: Arc::default() };
        let _ = watch.poll();
        watch
    }

    /// Waits for the end. Returns how the connection ended, or `None` if the program dropped it, and
    /// when.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<(Option<Closed>, Instant)> {
        self.clock.lock().waker = Some(cx.waker().clone());
        self.poll().map(|closed| {
            let end = *self.clock.lock().end.get_or_insert_with(Instant::now);
            (closed, end)
        })
    }

    fn poll(&mut self) -> Poll<Option<Closed>> {
        let end = |core: &Core| match core.is_abandoned {
            // The close that follows takes as long as the peer likes.
            true => Some(None),
            false => core.session.outcome().cloned().map(Some),
        };
        let waker = self.clock.clone().into();
        self.shared.poll_end(&mut Context::from_waker(&waker), &mut self.place, end)
    }

    /// Takes the messages that were queued and not written.
    pub(crate) fn take_unsent(&self) -> Vec<Message> {
        self.shared.take_unsent()
    }

    /// Returns what closes the connection from elsewhere.
    pub(crate) fn closer(&self) -> Closer {
        Closer(Arc::downgrade(&self.shared))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.leave(&mut self.place);
    }
}

impl Clock {
    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Clock {
    fn wake(self: Arc<Self>) {
        let waker = {
            let mut noted = self.lock();
            noted.end.get_or_insert_with(Instant::now);
            noted.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }
}

/// Closes a connection that it does not keep.
#[derive(Default)]
pub(crate) struct Closer(Weak<Shared>);

impl Closer {
    /// Begins to close, unless the connection is closing already.
    pub(crate) fn close(&self, frame: CloseFrame) {
        if let Some(shared) = self.0.upgrade() {
            let _ = shared.close(frame);
        }
    }
}
