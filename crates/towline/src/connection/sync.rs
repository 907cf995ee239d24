//! Locks, atomics and tasks: those of std and tokio.
//!
//! With `--cfg shuttle` they are those of [shuttle], which decides who runs when: so the tests in
//! `tests/threads` try what threads can do to each other, in the code that is shipped.
//!
//! [shuttle]: https://docs.rs/shuttle

use std::future::Future;

#[cfg(not(shuttle))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
};

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
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
    /// Outside of a tokio runtime.
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

#[cfg(shuttle)]
impl Runtime {
    pub(crate) fn current() -> Self {
        Self {}
    }

    pub(crate) fn is_current(&self) -> bool {
        true
    }

    pub(crate) fn check_time() {}

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        shuttle::future::spawn(task);
    }
}

#[cfg(shuttle)]
pub(crate) async fn yield_now() {
    shuttle::future::yield_now().await;
}
