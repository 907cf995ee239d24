//! Locks, atomics and tasks of std and tokio.
//!
//! With `--cfg shuttle` they are those of [shuttle], which controls the scheduling: so the tests in
//! `tests/threads` explore interleavings of threads in the code that is shipped.
//!
//! [shuttle]: https://docs.rs/shuttle

use std::future::Future;

#[cfg(not(shuttle))]
pub(crate) use std::{
    hash::RandomState,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    thread::ThreadId,
};

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering},
};

/// Hashes alike each time: which locks threads share is not to depend on anything but the schedule.
#[cfg(shuttle)]
pub(crate) type RandomState = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

/// The runtime that the tasks of connections run on.
#[derive(Clone)]
pub(crate) struct Runtime {
    #[cfg(not(shuttle))]
    handle: tokio::runtime::Handle,
}

#[cfg(not(shuttle))]
impl Runtime {
    /// Returns the current runtime.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub(crate) fn current() -> Self {
        Self { handle: tokio::runtime::Handle::current() }
    }

    /// Returns the current runtime, if there is one.
    pub(crate) fn try_current() -> Option<Self> {
        Some(Self { handle: tokio::runtime::Handle::try_current().ok()? })
    }

    /// Whether this is the current runtime.
    pub(crate) fn is_current(&self) -> bool {
        tokio::runtime::Handle::try_current().is_ok_and(|current| current.id() == self.handle.id())
    }

    /// # Panics
    ///
    /// Panics if the time driver of the current runtime is not enabled: deadlines could not work.
    pub(crate) fn check_time() {
        drop(tokio::time::sleep(std::time::Duration::ZERO));
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(task);
    }
}

#[cfg(not(shuttle))]
pub(crate) async fn yield_now() {
    tokio::task::yield_now().await;
}

/// Returns the current thread.
#[cfg(not(shuttle))]
pub(crate) fn this_thread() -> ThreadId {
    std::thread::current().id()
}

#[cfg(shuttle)]
impl Runtime {
    pub(crate) fn current() -> Self {
        Self {}
    }

    pub(crate) fn try_current() -> Option<Self> {
        Some(Self {})
    }

    /// Always `false`: a thread-local must not be reused from one schedule to the next.
    pub(crate) fn is_current(&self) -> bool {
        false
    }

    pub(crate) fn check_time() {}

    /// A task that never ends fails the test. A panic with `()` was raised by the test: it ends its
    /// task only, as with tokio.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

        let mut task = Box::pin(task);
        let handle = shuttle::future::spawn(std::future::poll_fn(move |cx| {
            match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(cx))) {
                Ok(polled) => polled,
                Err(panic) if panic.is::<()>() => std::task::Poll::Ready(()),
                Err(panic) => resume_unwind(panic),
            }
        }));
        // Dropping the handle would detach the task, and shuttle would not notice that it hangs.
        std::mem::forget(handle);
    }
}

#[cfg(shuttle)]
pub(crate) async fn yield_now() {
    shuttle::future::yield_now().await;
}

/// Tasks run on one of two threads, at random.
#[cfg(shuttle)]
pub(crate) type ThreadId = bool;

#[cfg(shuttle)]
pub(crate) fn this_thread() -> ThreadId {
    use shuttle::rand::Rng as _;

    shuttle::rand::thread_rng().r#gen()
}
