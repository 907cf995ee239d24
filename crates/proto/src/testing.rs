//! Helpers for unit tests.

use std::time::Instant;

/// The start of virtual time.
#[expect(clippy::disallowed_methods, reason = "a moment cannot be made, only asked for")]
pub(crate) fn start() -> Instant {
    Instant::now()
}
