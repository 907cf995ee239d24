//! Panics: tokio ends the task alone, and nobody waits for the tasks of the library.

use std::panic;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Counts those of all threads from now on, and prints each as before.
pub(crate) fn count() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Relaxed);
        print(info);
    }));
}

pub(crate) fn counted() -> u64 {
    PANICS.load(Relaxed)
}
