//! The limit for control frames.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::fault::LimitExceeded;

/// Counts control frames per second.
#[derive(Debug)]
pub(super) struct ControlRate {
    limit: Option<NonZeroU32>,
    frames: u32,
    /// When the second began, in nanoseconds.
    second: u64,
}

impl ControlRate {
    const SECOND: u64 = 1_000_000_000;

    pub(super) fn new(limit: Option<NonZeroU32>) -> Self {
        Self { limit, frames: 0, second: 0 }
    }

    /// Counts a frame at this age of the connection.
    pub(super) fn count(&mut self, age: Duration) -> Result<(), LimitExceeded> {
        let Some(limit) = self.limit else { return Ok(()) };
        let now = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        if now.saturating_sub(self.second) >= Self::SECOND {
            self.second = now;
            self.frames = 0;
        }
        self.frames += 1;
        let limit = limit.get();
        if self.frames > limit { Err(LimitExceeded::ControlRate { limit }) } else { Ok(()) }
    }
}
