//! The start of virtual time.

use std::time::Instant;

/// Returns the instant from which virtual time is counted.
///
/// An `Instant` can only be read from the clock, and this is the only place that does so. Its value
/// makes no difference to any test.
pub fn start() -> Instant {
    Instant::now()
}
