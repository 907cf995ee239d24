//! Calls code of the program that must not affect other connections.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls a function for one of many connections. Its stream or its subscriber may panic, which must
/// not affect the others.
pub(crate) fn alone<T>(act: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(act)).ok()
}
