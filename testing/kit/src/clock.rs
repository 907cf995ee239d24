//! Where virtual time starts.

use std::time::Instant;

/// A moment to count virtual time from.
///
/// An `Instant` can't be made, only asked for: this is the one place that asks. What the clock
/// says makes no difference to any test.
pub fn start() -> Instant {
    Instant::now()
}
