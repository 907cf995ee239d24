//! How much the kernel may hold back of what it can't send yet.

use std::time::Duration;

/// What a peer is allowed that has shown nothing yet, and one that is slow. Else the kernel takes
/// megabytes for it: pings would stand behind those, and nobody could see that it takes anything.
const LEAST: u32 = 256 << 10;

/// From here on the kernel decides: its own bound is no larger.
const UNBOUNDED: u32 = 2 << 20;

/// A peer that makes room for half of [`LEAST`] no sooner than this is slow.
const SLOW: Duration = Duration::from_millis(100);

/// A peer is allowed one part in so many of what it took in a row without being slow. What waits in
/// its own buffers was taken quickly as well, so that this is to be more than they hold.
const PARTS: u64 = 8;

/// How much the kernel is to hold back at the most, by how fast the peer takes it. To be woken for
/// each 128 KiB costs one that is fast half of its throughput.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    /// What the kernel was told; 0 is nothing.
    max: u32,
    /// How many MiB had been written when the peer was slow last.
    slow_at: u32,
}

impl Unsent {
    /// What to tell the kernel before it takes more than a little for the first time.
    #[inline]
    pub(crate) fn begin(&mut self) -> Option<u32> {
        if self.max != 0 {
            return None;
        }
        self.max = LEAST;
        Some(LEAST)
    }

    /// What to tell the kernel once it has made room: after so long, with so many bytes written ever.
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
