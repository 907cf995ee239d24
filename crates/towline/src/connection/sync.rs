//! Locks, atomics and tasks: those of std and tokio.
//!
//! With `--cfg shuttle` they are those of [shuttle], which decides who runs when: so the tests in
//! `tests/threads` try what threads can do to each other, in the code that is shipped.
//!
//! [shuttle]: https://docs.rs/shuttle

use std::future::Future;

#[cfg(not(shuttle))]
pub(crate) use std::{
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    thread::ThreadId,
};

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering},
};

/// Where the tasks of connections run.
#[derive(Clone)]
pub(crate) struct Runtime {
    #[cfg(not(shuttle))]
    handle: tokio::runtime::Handle,
}

#[cfg(not(shuttle))]
impl Runtime {
    /// The runtime that this is called in.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, or in one without time.
    pub(crate) fn current() -> Self {
        Self { handle: tokio::runtime::Handle::current() }
    }

    /// Whether this is the runtime that this is called in.
    pub(crate) fn is_current(&self) -> bool {
        tokio::runtime::Handle::try_current().is_ok_and(|current| current.id() == self.handle.id())
    }

    /// # Panics
    ///
    /// Where the runtime that this is called in has no time: nothing would ever be due.
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

/// The thread that this is called on.
#[cfg(not(shuttle))]
pub(crate) fn this_thread() -> ThreadId {
    std::thread::current().id()
}

#[cfg(shuttle)]
impl Runtime {
    pub(crate) fn current() -> Self {
        Self {}
    }

    /// Never: what a thread keeps would be kept from one schedule to the next.
    pub(crate) fn is_current(&self) -> bool {
        false
    }

    pub(crate) fn check_time() {}

    /// A task that never ends is a fault. A panic with `()` is one that the test has raised: it ends
    /// its task alone, as with tokio.
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
        // Dropped, it would say that nobody minds.
        std::mem::forget(handle);
    }
}

#[cfg(shuttle)]
pub(crate) async fn yield_now() {
    shuttle::future::yield_now().await;
}

/// Tasks run on either of two threads, as it comes.
#[cfg(shuttle)]
pub(crate) type ThreadId = bool;

#[cfg(shuttle)]
pub(crate) fn this_thread() -> ThreadId {
    use shuttle::rand::Rng as _;

    shuttle::rand::thread_rng().r#gen()
}
