//! Limits how many unsent bytes the kernel buffers.

use std::time::Duration;

/// The limit for a new peer and for a slow one. Without it, the kernel buffers megabytes: pings
/// would be queued behind them, and the peer's progress could not be observed.
const LEAST: u32 = 256 << 10;

/// From this limit on, the kernel's own limit applies, which is not larger.
const UNBOUNDED: u32 = 2 << 20;

/// A peer that takes this long to make room for half of [`LEAST`] is slow.
const SLOW: Duration = Duration::from_millis(100);

/// The limit is this fraction of the bytes that the peer took since it was last slow. The peer's
/// own buffers fill quickly too, so the bytes must exceed their size.
const PARTS: u64 = 8;

/// The limit of unsent bytes in the kernel, by the speed of the peer. Waking up for each 128 KiB
/// would cost a fast peer half of its throughput.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    /// The limit that was set; 0 if none was.
    max: u32,
    /// The number of MiB that had been written when the peer was last slow.
    slow_at: u32,
}

impl Unsent {
    /// Returns the first limit, to be set before the first larger write.
    #[inline]
    pub(crate) fn begin(&mut self) -> Option<u32> {
        if self.max != 0 {
            return None;
        }
        self.max = LEAST;
        Some(LEAST)
    }

    /// Returns the new limit, if it has changed, after the kernel took `waited` to make room.
    /// `written` is the total number of bytes.
    pub(crate) fn handle_room(&mut self, waited: Duration, written: u64) -> Option<u32> {
        if waited >= SLOW {
            self.slow_at = u32::try_from(written >> 20).unwrap_or(u32::MAX);
        }
        let quickly = written.saturating_sub(u64::from(self.slow_at) << 20);
        let allowed = u32::try_from(quickly / PARTS).unwrap_or(u32::MAX).max(LEAST);
        let allowed = if allowed >= UNBOUNDED { u32::MAX } else { allowed };
        let is_worth_a_call = allowed < self.max || allowed / 2 >= self.max;
        if !is_worth_a_call {
            return None;
        }
        self.max = allowed;
        Some(allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(1);

    #[test]
    fn a_peer_that_is_fast_for_long_is_left_to_the_kernel() {
        let mut unsent = Unsent::default();
        assert_eq!((unsent.begin(), unsent.begin()), (Some(LEAST), None));
        let told: Vec<_> =
            (1..1000).filter_map(|round| unsent.handle_room(SOON, round * (128 << 10))).collect();
        assert_eq!(told, [2 * LEAST, 4 * LEAST, u32::MAX]);
    }

    #[test]
    fn a_peer_that_is_slow_or_becomes_so_is_kept_short() {
        let mut unsent = Unsent::default();
        unsent.begin();
        assert_eq!(unsent.handle_room(SOON, 100 << 20), Some(u32::MAX));
        assert_eq!(unsent.handle_room(SLOW, 101 << 20), Some(LEAST));
        for round in 0..1000 {
            // It reads a megabyte at once every now and then.
            let written = (110 + round) << 20;
            assert_eq!(unsent.handle_room(SLOW, written), None);
            assert_eq!(unsent.handle_room(SOON, written + (512 << 10)), None);
        }
    }
}
