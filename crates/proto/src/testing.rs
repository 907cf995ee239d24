//! What unit tests share.

use std::time::Instant;

/// A moment to count virtual time from.
#[expect(clippy::disallowed_methods, reason = "a moment cannot be made, only asked for")]
pub(crate) fn start() -> Instant {
    Instant::now()
}
