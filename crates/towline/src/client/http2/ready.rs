//! The streams of a connection that have received something.
//!
//! `h2` keeps each DATA frame as it arrived, and ends the whole connection if too many small ones
//! are kept. So the task of the connection does not leave them there until a program receives: it
//! moves their payload into a buffer of the stream, up to the stream's window.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Wake, Waker};

/// A stream that takes what `h2` has received for it.
pub(crate) trait Take: Send + Sync {
    fn take(&self);
}

/// The streams that `h2` has received something for.
#[derive(Default)]
pub(crate) struct Ready(Mutex<List>);

#[derive(Default)]
struct List {
    streams: Vec<Weak<dyn Take>>,
    /// The task of the connection, unless it is running.
    task: Option<Waker>,
    /// Whether it was woken while it was running.
    is_woken: bool,
}

impl Ready {
    /// Returns the waker that puts this stream on the list.
    pub(crate) fn waker(self: &Arc<Self>, stream: Weak<dyn Take>) -> Waker {
        Arc::new(Notice { stream, ready: self.clone() }).into()
    }

    /// Has all streams on the list take what there is. Others wake `task`.
    pub(crate) fn take_all(&self, task: Option<&Waker>) {
        loop {
            let streams = {
                let mut list = self.lock();
                if list.streams.is_empty() {
                    list.task = task.cloned();
                    let is_woken = mem::take(&mut list.is_woken);
                    drop(list);
                    if let Some(task) = task.filter(|_| is_woken) {
                        task.wake_by_ref();
                    }
                    return;
                }
                mem::take(&mut list.streams)
            };
            for stream in streams {
                if let Some(stream) = stream.upgrade() {
                    stream.take();
                }
            }
        }
    }

    /// Notes that the task of the connection runs, and needs no waking.
    pub(crate) fn begin(&self) {
        self.lock().task = None;
    }

    /// Wakes the task of the connection.
    pub(crate) fn wake_task(&self) {
        let task = {
            let mut list = self.lock();
            list.is_woken = list.task.is_none();
            list.task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts a stream on the list. `h2` calls it under its own lock, so it must drop no stream.
struct Notice {
    stream: Weak<dyn Take>,
    ready: Arc<Ready>,
}

impl Wake for Notice {
    fn wake(self: Arc<Self>) {
        let task = {
            let mut list = self.ready.lock();
            list.streams.push(self.stream.clone());
            list.task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}
